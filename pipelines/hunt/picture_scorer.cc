#include "pipelines/hunt/picture_scorer.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "pipelines/vision/find_tower.h"
#include "pipelines/vision/picture_model.h"
#include "pipelines/vision/text_model.h"
#include "tensor/error.h"

namespace fovea {
namespace {

double Cosine(const HostTensor& a, const HostTensor& b) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < a.NumElements(); ++i) {
    const double x = a.Data<float>()[i], y = b.Data<float>()[i];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa * bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

class ClipScorer final : public PictureScorer {
 public:
  ClipScorer(const ModelFolder& folder, std::string text, ForwardOptions options, Backend& backend)
      : text_(std::move(text)), options_(std::move(options)) {
    pictures_ = PictureModel::Load(FindPictureComponent(folder, {}), backend);
    const ComponentFolder& tower = FindTextComponent(folder);
    texts_ = TextModel::Load(tower, FindTextTokenizer(folder, tower), backend);
  }

  std::vector<double> Score(const std::vector<ScoredPicture>& pictures) override {
    std::vector<double> scores;
    for (const ScoredPicture& each : pictures) {
      const HostTensor& text = TextOf(each.prompt);
      const HostTensor picture = pictures_->Embed(*each.image, options_);
      if (options_.stop.stop_requested()) return {};
      if (picture.NumElements() != text.NumElements()) {
        throw Error(ErrorCode::kUnsupported,
                    "--score clip: pictures give vectors of " +
                        std::to_string(picture.NumElements()) + " numbers and texts of " +
                        std::to_string(text.NumElements()) + "; name a CLIP that projects both");
      }
      scores.push_back(Cosine(picture, text));
    }
    return scores;
  }

 private:
  const HostTensor& TextOf(const std::string& prompt) {
    std::string text = text_;
    for (size_t at = text.find("{}"); at != std::string::npos;
         at = text.find("{}", at + prompt.size())) {
      text.replace(at, 2, prompt);
    }
    const auto found = known_.find(text);
    if (found != known_.end()) return found->second;
    bool cut = false;
    return known_.emplace(text, texts_->Embed(text, options_, &cut)).first->second;
  }

  std::string text_;
  ForwardOptions options_;
  std::unique_ptr<PictureModel> pictures_;
  std::unique_ptr<TextModel> texts_;
  std::map<std::string, HostTensor> known_;
};

}  // namespace

std::unique_ptr<PictureScorer> MakeClipScorer(const ModelFolder& folder, const std::string& text,
                                              const ForwardOptions& options, Backend& backend) {
  return std::make_unique<ClipScorer>(folder, text, options, backend);
}

double SaturationOf(const Image& image) {
  double sum = 0;
  for (size_t i = 0; i + 2 < image.rgb.size(); i += 3) {
    const auto [low, high] = std::minmax({image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]});
    if (high > 0) sum += static_cast<double>(high - low) / high;
  }
  return image.rgb.empty() ? 0 : sum / (static_cast<double>(image.rgb.size()) / 3);
}

double PictureDistance(const Image& a, const Image& b) {
  ENSURE(a.rgb.size() == b.rgb.size() && !a.rgb.empty());
  double squares = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const double difference = static_cast<double>(a.rgb[i]) - b.rgb[i];
    squares += difference * difference;
  }
  return std::sqrt(squares / static_cast<double>(a.rgb.size()));
}

}  // namespace fovea
