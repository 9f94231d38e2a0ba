// `fovea classify`: what a Vision Transformer takes pictures for.
#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/built_in_models.h"
#include "app/cli_commands/commands.h"
#include "app/common_flags.h"
#include "app/exit_code.h"
#include "app/picture_list.h"
#include "app/progress.h"
#include "app/stop_signals.h"
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
  const auto backend = MakeCpuBackend();
  const auto model =
      PictureModel::Load(FindPictureComponent(folder, flags.models.component), *backend);

  auto list = nlohmann::ordered_json::array();
  Progress progress;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    const Image image = ReadPicture(pictures[i]);
    signals.ThrowIfStopped();
    const auto scores = model->Classify(image, flags.top.value_or(5), options);
    signals.ThrowIfStopped();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    auto labels = nlohmann::ordered_json::array();
    for (const ClassScore& score : scores) {
      labels.push_back(
          {{"index", score.index}, {"label", score.label}, {"probability", score.probability}});
    }
    list.push_back({{"file", pictures[i].string()}, {"labels", std::move(labels)}});
    if (pictures.size() > 1) {
      progress.Step(static_cast<int>(i + 1), static_cast<int>(pictures.size()), seconds.count());
    }
  }
  progress.End();
  if (flags.common.json) {
    PrintJson({{"pictures", std::move(list)}});
    return kExitDone;
  }
  for (const auto& picture : list) {
    std::printf("%s\n", picture.at("file").get<std::string>().c_str());
    for (const auto& label : picture.at("labels")) {
      std::printf("%7.2f %%  %6lld  %s\n", 100 * label.at("probability").get<double>(),
                  label.at("index").get<long long>(),
                  OneLine(label.at("label").get<std::string>()).c_str());
    }
  }
  return kExitDone;
}

}  // namespace

Command ClassifyCommand() {
  const auto flags = std::make_shared<ClassifyFlags>();
  return {"classify", "say what a Vision Transformer takes pictures for",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunClassify(*flags); }};
}

}  // namespace fovea
