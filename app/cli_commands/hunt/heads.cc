// `fovea heads`: one small picture a head, sorted by how far it moves the picture.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>

#include <nlohmann/json.hpp>

#include "app/cli_commands/analytics/tables.h"
#include "app/cli_commands/commands.h"
#include "app/cli_commands/hunt/head_model.h"
#include "app/output_files.h"
#include "app/process/exit_code.h"
#include "app/progress.h"
#include "pipelines/hunt/picture_scorer.h"
#include "pipelines/maps/map_picture.h"
#include "pipelines/pictures/formats/png_file.h"
#include "pipelines/pictures/resample.h"
#include "tensor/error.h"

namespace fovea {
namespace {

struct HeadsFlags {
  GenerateFlags generate;
  std::optional<std::string> heads, show;
  std::optional<int64_t> columns, side;
  bool layers = false;

  void Add(Flags& flags);
};

void HeadsFlags::Add(Flags& flags) {
  flags.Text("--heads", "LIST", heads, "heads to show, as --perturb names them", "all");
  flags.Choice("--show", show, {"guided", "perturbed"},
               "guided: the picture led away from the head; perturbed: what the network draws with "
               "the head broken",
               "guided");
  flags.Switch("--whole-layers", layers, "one picture a layer, all of its heads broken");
  flags.Whole("--columns", columns, 1, 100, "pictures in a row of the sheet", "8");
  flags.Whole("--side", side, 16, 1024, "longer side of a small picture, in pixels", "160");
  generate.names_heads = true;
  generate.Add(flags);
}

struct Shown {
  std::string item, layer;
  double distance = 0, saturation = 0;
  Image small;
};

Image Small(const Image& image, int64_t side) {
  const double scale = static_cast<double>(side) / std::max(image.width, image.height);
  return ResizeLanczos(image, std::max(1, static_cast<int>(image.width * scale)),
                       std::max(1, static_cast<int>(image.height * scale)));
}

int RunHeads(const HeadsFlags& flags) {
  flags.generate.common.Apply();
  const StopSignals signals;
  const std::filesystem::path folder = flags.generate.output.value_or("out/heads");
  OutputFiles files;
  files.MakeFolder(folder);
  const auto sheet_file = files.Replace(folder / "heads.png");
  const auto table_file = files.Replace(folder / "heads.csv");
  const HeadModel model(flags.generate, flags.heads.value_or("*"));
  const bool perturbed = flags.show.value_or("guided") == "perturbed";
  if (perturbed && model.settings.cfg > 1 && model.pipeline->Resolve(model.settings).cfg > 1) {
    // c + S (c - p) is p only where c stands alone and S is -1.
    GenerateSettings with = model.settings, without = model.settings;
    without.cfg = 1;
    if (model.pipeline->DryRun(with).flops > model.pipeline->DryRun(without).flops) {
      throw Error(ErrorCode::kUsage,
                  "--show perturbed: is the network without guidance; leave "
                  "--cfg out");
    }
  }
  if (perturbed && !model.settings.perturb.empty()) {
    throw Error(ErrorCode::kUsage, "--show perturbed: is of one head; leave --perturb out");
  }
  const int64_t side = flags.side.value_or(160);
  const Image plain = DrawOne(model, model.settings, signals);

  std::vector<Shown> all;
  for (const NamedHead& each : model.heads) {
    const std::string& item = flags.layers ? each.layer : each.item;
    if (all.empty() || all.back().item != item) all.push_back({item, each.layer, 0, 0, {}});
  }
  Progress progress;
  for (size_t i = 0; i < all.size(); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    GenerateSettings settings = model.settings;
    settings.perturb += (settings.perturb.empty() ? "" : ",") + all[i].item;
    if (perturbed) settings.perturb_scale = -1;
    const Image made = DrawOne(model, settings, signals);
    all[i].distance = PictureDistance(made, plain);
    all[i].saturation = SaturationOf(made);
    all[i].small = Small(made, side);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    progress.Step(static_cast<int>(i + 1), static_cast<int>(all.size()), seconds.count());
  }
  progress.End();
  std::stable_sort(all.begin(), all.end(),
                   [](const Shown& a, const Shown& b) { return a.distance > b.distance; });

  std::vector<Image> pictures = {DrawPlain(Small(plain, side), "none")};
  std::string csv = "rank,item,layer,distance,saturation\n";
  auto list = nlohmann::ordered_json::array();
  for (size_t i = 0; i < all.size(); ++i) {
    const Shown& each = all[i];
    pictures.push_back(DrawPlain(each.small, each.item));
    csv += std::to_string(i + 1) + "," + each.item + "," + each.layer + "," +
           Number(each.distance) + "," + Number(each.saturation) + "\n";
    list.push_back(
        {{"item", each.item}, {"distance", each.distance}, {"saturation", each.saturation}});
  }
  WritePng(sheet_file, Sheet(pictures, static_cast<int>(flags.columns.value_or(8))), {});
  std::ofstream table(table_file, std::ios::binary);
  table << csv;
  if (!table.flush()) {
    throw Error(ErrorCode::kBadFile, table_file.string() + ": cannot be written");
  }
  const auto written = files.Commit();
  if (flags.generate.common.json) {
    nlohmann::ordered_json json = {{"model", model.name},
                                   {"show", perturbed ? "perturbed" : "guided"},
                                   {"saturation", SaturationOf(plain)},
                                   {"heads", std::move(list)}};
    for (const auto& file : written) json["files"].push_back(file.string());
    PrintJson(json);
  } else {
    for (const auto& file : written) std::printf("%s\n", file.c_str());
  }
  return kExitDone;
}

}  // namespace

Command HeadsCommand() {
  const auto flags = std::make_shared<HeadsFlags>();
  return {"heads", "show what each head does to a picture, one small picture a head",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunHeads(*flags); }};
}

}  // namespace fovea
