#include "app/cli_commands/analytics/study.h"

#include <algorithm>
#include <cmath>

#include "app/process/exit_code.h"
#include "models/files/text_file.h"
#include "pipelines/analytics/token_statistics.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/vision/find_tower.h"
#include "pipelines/vision/text_model.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

std::vector<double> Softmax(const std::vector<double>& logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0;
  for (const double each : logits) sum += p.emplace_back(std::exp(each - top));
  for (double& each : p) each /= sum;
  return p;
}

std::vector<float> Normal(const HostTensor& tensor) {
  const HostTensor values = tensor.ToF32();
  std::vector<float> out(values.Data<float>(), values.Data<float>() + values.NumElements());
  double sum = 0;
  for (const float each : out) sum += static_cast<double>(each) * static_cast<double>(each);
  for (float& each : out) each = static_cast<float>(each / std::sqrt(std::max(sum, 1e-30)));
  return out;
}

}  // namespace

Study::Study(const AnalyticsRequest& request) : request_(request) {
  for (const fs::path& file : request.files) pictures_.push_back(ReadPicture(file));
  const NamedTensors first = request.model.Run(pictures_.front(), request.options);
  if (first.contains("image_embeds")) ReadCaptions();
  if (first.contains("image_embeds") && answers_.empty()) {
    for (const Image& each : pictures_) {
      right_.push_back(answers_.size());
      answers_.push_back(Normal(request.model.Embed(each, request.options)));
    }
  }
  if (first.contains("image_embeds") || !first.contains("logits")) return;
  for (const Image& each : pictures_) {
    const std::vector<double> p = Read(each, {}).p;
    right_.push_back(static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin()));
  }
}

const std::vector<size_t>& Study::Right() const {
  if (right_.empty()) {
    throw Error(ErrorCode::kUnsupported,
                "--analytics importance and faithfulness: this model has neither classes nor "
                "CLIP's vectors to ask about");
  }
  return right_;
}

void Study::ReadCaptions() {
  std::vector<std::string> captions;
  for (const fs::path& file : request_.files) {
    const fs::path text = fs::path(file).replace_extension(".txt");
    if (!fs::is_regular_file(text)) return;  // all of them, or none
    std::string caption = ReadTextFile(text, size_t{1} << 16);
    while (!caption.empty() && (caption.back() == '\n' || caption.back() == '\r'))
      caption.pop_back();
    captions.push_back(std::move(caption));
  }
  const ComponentFolder& component = FindTextComponent(request_.folder);
  const auto model =
      TextModel::Load(component, FindTextTokenizer(request_.folder, component), request_.backend);
  ForwardOptions options;
  options.dtype = request_.options.dtype;
  std::vector<std::string> known;
  for (const std::string& caption : captions) {
    const auto found = std::find(known.begin(), known.end(), caption);
    right_.push_back(static_cast<size_t>(found - known.begin()));
    if (found != known.end()) continue;
    known.push_back(caption);
    bool cut = false;
    answers_.push_back(Normal(model->Embed(caption, options, &cut)));
  }
}

RelevanceTarget Study::TargetOf(size_t i) const {
  if (answers_.empty()) return {"", static_cast<int64_t>(Right()[i]), {}};
  return {"", 0, answers_[Right()[i]]};
}

PictureReading Study::Read(const Image& picture, const std::vector<AttentionListener*>& listeners) {
  if (request_.options.stop.stop_requested()) throw Cancelled{};
  ForwardOptions options = request_.options;
  options.listeners = listeners;
  NamedTensors outputs = request_.model.Run(picture, options);
  if (options.stop.stop_requested()) throw Cancelled{};
  PictureReading reading;
  if (outputs.contains("last_hidden_state")) {
    reading.states = HiddenStates(outputs.at("last_hidden_state").View());
  }
  std::vector<double> logits;
  if (answers_.empty() && !outputs.contains("logits")) return reading;
  if (answers_.empty()) {
    const HostTensor values = outputs.at("logits").ToF32();
    reading.vector.assign(values.Data<float>(), values.Data<float>() + values.NumElements());
    logits.assign(reading.vector.begin(), reading.vector.end());
  } else {
    reading.vector = Normal(outputs.at("image_embeds"));
    for (const std::vector<float>& answer : answers_) {
      double dot = 0;
      for (size_t i = 0; i < answer.size(); ++i) {
        dot += static_cast<double>(answer[i]) * static_cast<double>(reading.vector[i]);
      }
      logits.push_back(kClipLogitScale * dot);
    }
  }
  reading.p = Softmax(logits);
  return reading;
}

fs::path Study::MaskFile(size_t i) const {
  const fs::path& picture = request_.files[i];
  return picture.parent_path() / "masks" / picture.stem().concat(".png");
}

}  // namespace fovea
