// `fovea info`: what a model or a picture is, and which samplers and operators exist.
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/cli_commands/commands.h"
#include "app/cli_commands/model_report.h"
#include "app/cli_commands/operator_report.h"
#include "app/common_flags.h"
#include "app/exit_code.h"
#include "pipelines/metadata.h"
#include "pipelines/png_file.h"
#include "pipelines/scheduler.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using Json = nlohmann::ordered_json;

struct InfoFlags {
  CommonFlags common;
  ModelFlags models;
  std::optional<std::string> subject;
  bool layers = false, tensors = false, operators = false, samplers = false;

  void Add(Flags& flags);
};

void InfoFlags::Add(Flags& flags) {
  flags.Text("MODEL|PICTURE", "", subject, "model folder or name, or a picture of ours",
             "the built-in still-life-unet");
  models.Add(flags);
  flags.Switch("--layers", layers, "list every attention site");
  flags.Switch("--tensors", tensors, "list every tensor");
  flags.Switch("--operators", operators, "list the attention operators, and the presets of plans");
  flags.Switch("--samplers", samplers, "list the samplers");
  common.Add(flags);
}

// By content, since a model may be a file of any name, too.
bool IsPng(const std::string& path) {
  constexpr unsigned char kSignature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return false;
  unsigned char first[8] = {};
  const bool complete = std::fread(first, 1, sizeof first, file) == sizeof first;
  std::fclose(file);
  return complete && std::equal(first, first + sizeof first, kSignature);
}

template <class Names>
void ListNames(const char* key, const Names& names, bool json) {
  if (json) {
    PrintJson({{key, names}});
    return;
  }
  for (const auto& name : names) std::printf("%s\n", std::string(name).c_str());
}

void ReportPicture(const std::string& path, bool as_json) {
  const Image image = ReadPng(path);
  const PngText text = ReadPngText(path);
  const PictureSettings read = ReadPictureSettings(text, path);
  const Json settings = SettingsToJson(read.settings);
  if (as_json) {
    Json json;
    json["picture"] = path;
    json["width"] = image.width;
    json["height"] = image.height;
    json["version"] = read.provenance.version;
    json["settings"] = settings;
    json["device"] = {{"kind", read.provenance.device},
                      {"instruction_set", read.provenance.instruction_set},
                      {"threads", read.provenance.threads}};
    if (!read.provenance.attention.empty()) json["attention"] = ToJson(read.provenance.attention);
    if (!read.provenance.hires.Empty()) json["hires"] = ToJson(read.provenance.hires);
    json["init_latents"] = read.provenance.init_latents;
    if (const auto found = text.find("parameters"); found != text.end()) {
      json["parameters"] = found->second;
    }
    PrintJson(json);
    return;
  }
  std::printf("%s: %dx%d, fovea %s\n", path.c_str(), image.width, image.height,
              read.provenance.version.c_str());
  for (const auto& [name, value] : settings.items()) {
    const std::string shown = value.is_string() ? value.get<std::string>() : value.dump();
    std::printf("%-12s %s\n", name.c_str(), OneLine(shown).c_str());
  }
  std::printf("%-12s %s, %s, %d threads\n", "device", read.provenance.device.c_str(),
              read.provenance.instruction_set.c_str(), read.provenance.threads);
  if (!read.provenance.hires.Empty()) {
    std::printf("%-12s %s\n", "ran", OneLine(Line(read.provenance.hires)).c_str());
  }
  for (const std::string& line : Lines(read.provenance.attention)) {
    std::printf("%-12s %s\n", "ran", OneLine(line).c_str());
  }
  if (read.provenance.init_latents) std::printf("%-12s given by --init-latents\n", "noise");
}

int RunInfo(const InfoFlags& flags) {
  flags.common.Apply();
  const int lists = int{flags.operators} + int{flags.samplers} + int{flags.subject.has_value()};
  if (lists > 1) {
    throw Error(ErrorCode::kUsage,
                "give one of a model or picture, --operators and --samplers at a time");
  }
  const bool json = flags.common.json;
  if (flags.operators) {
    const Json report = DescribeOperators();
    if (json)
      PrintJson(report);
    else
      PrintOperators(report);
    return kExitDone;
  }
  if (flags.samplers) {
    ListNames("samplers", SamplerNames(), json);
    return kExitDone;
  }
  const std::string subject = flags.subject.value_or(flags.models.model.value_or(""));
  if (!subject.empty() && IsPng(subject)) {
    ReportPicture(subject, json);
    return kExitDone;
  }
  const ModelFolder folder = flags.models.Open(subject);
  const Json report = DescribeModel(folder, {flags.layers, flags.tensors});
  if (json)
    PrintJson(report);
  else
    PrintModel(report);
  return kExitDone;
}

}  // namespace

Command InfoCommand() {
  const auto flags = std::make_shared<InfoFlags>();
  return {"info", "describe a model or a picture; list samplers and operators",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunInfo(*flags); }};
}

}  // namespace fovea
