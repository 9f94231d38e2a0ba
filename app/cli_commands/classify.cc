// `fovea classify`: what a Vision Transformer takes pictures for.
#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/built_in_models.h"
#include "app/cli_commands/commands.h"
#include "app/flags/common_flags.h"
#include "app/picture_list.h"
#include "app/process/exit_code.h"
#include "app/process/stop_signals.h"
#include "app/progress.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/settings/plan_source.h"
#include "pipelines/vision/find_tower.h"
#include "pipelines/vision/picture_model.h"
#include "tensor/error.h"

namespace fovea {
namespace {

struct ClassifyFlags {
  CommonFlags common;
  ModelFlags models;
  std::vector<std::string> pictures;
  std::optional<std::string> attention;
  std::optional<int64_t> top;

  void Add(Flags& flags);
};

void ClassifyFlags::Add(Flags& flags) {
  flags.TextList("PICTURE|DIR", "", pictures, "pictures, and folders of pictures");
  models.Add(flags, "none: name a model with a classifier");
  models.AddComponent(flags);
  flags.Whole("--top", top, 1, 1 << 20, "classes to list of each picture", "5");
  flags.Text("--attention", "PLAN", attention,
             "attention plan: [LAYERS:]OPERATOR;..., @FILE or preset:NAME", "dense");
  common.Add(flags);
}

nlohmann::ordered_json ToJson(const std::vector<ClassScore>& scores) {
  auto labels = nlohmann::ordered_json::array();
  for (const ClassScore& score : scores) {
    labels.push_back(
        {{"index", score.index}, {"label", score.label}, {"probability", score.probability}});
  }
  return labels;
}

// At once, so that what is done is there whatever becomes of the rest.
void PrintScores(const std::filesystem::path& file, const std::vector<ClassScore>& scores) {
  std::printf("%s\n", file.c_str());
  for (const ClassScore& score : scores) {
    std::printf("%7.2f %%  %6lld  %s\n", 100 * score.probability,
                static_cast<long long>(score.index), OneLine(score.label).c_str());
  }
  std::fflush(stdout);
}

int RunClassify(const ClassifyFlags& flags) {
  flags.common.Apply();
  if (flags.pictures.empty()) throw Error(ErrorCode::kUsage, "name a picture or a folder");
  if (!flags.models.model) throw Error(ErrorCode::kUsage, "name a model with -m");
  const StopSignals signals;
  ForwardOptions options;
  options.dtype = flags.common.ComputeType();
  options.stop = signals.Token();
  options.attention = ReadPlan(flags.attention.value_or(""), BuiltInPlansFolder());
  const auto pictures = ListPictures(flags.pictures);
  const ModelFolder folder = flags.models.Open(*flags.models.model);
  const auto backend = flags.common.MakeDevice();
  const auto model =
      PictureModel::Load(FindPictureComponent(folder, flags.models.component), *backend);

  auto list = nlohmann::ordered_json::array();
  PictureListReader reader;
  Progress progress;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const std::optional<Image> image = reader.Read(pictures[i]);
    signals.ThrowIfStopped();
    if (!image) continue;
    const auto scores = model->Classify(*image, flags.top.value_or(5), options);
    signals.ThrowIfStopped();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    if (pictures.size() > 1) {
      progress.Step(static_cast<int>(i + 1), static_cast<int>(pictures.size()), seconds.count());
    }
    if (flags.common.json) {
      list.push_back({{"file", pictures[i].file.string()}, {"labels", ToJson(scores)}});
    } else {
      progress.End();
      PrintScores(pictures[i].file, scores);
    }
  }
  progress.End();
  const int code = reader.ExitCode(pictures.size());
  if (flags.common.json) {
    nlohmann::ordered_json json{{"pictures", std::move(list)}};
    for (const auto& file : reader.Skipped()) json["skipped"].push_back(file.string());
    PrintJson(json);
  }
  return code;
}

}  // namespace

Command ClassifyCommand() {
  const auto flags = std::make_shared<ClassifyFlags>();
  return {"classify", "say what a Vision Transformer takes pictures for",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunClassify(*flags); }};
}

}  // namespace fovea
