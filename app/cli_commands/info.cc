// `fovea info`: what a model or a picture is, and which samplers and operators exist.
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/cli_commands/commands.h"
#include "app/cli_commands/reports/device_report.h"
#include "app/cli_commands/reports/model_report.h"
#include "app/cli_commands/reports/operator_report.h"
#include "app/cli_commands/reports/picture_report.h"
#include "app/flags/common_flags.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "models/search/model_search.h"
#include "pipelines/sampling/scheduler.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using Json = nlohmann::ordered_json;

struct InfoFlags {
  CommonFlags common;
  ModelFlags models;
  std::optional<std::string> subject;
  bool layers = false, tensors = false, operators = false, samplers = false, models_found = false;
  bool devices = false;

  void Add(Flags& flags);
};

void InfoFlags::Add(Flags& flags) {
  flags.Text("MODEL|PICTURE", "", subject, "model folder, file or name, or a picture",
             "the built-in still-life-unet");
  models.Add(flags);
  flags.Switch("--layers", layers, "list every attention site");
  flags.Switch("--tensors", tensors, "list every tensor");
  flags.Switch("--operators", operators, "list the attention operators, and the presets of plans");
  flags.Switch("--samplers", samplers, "list the samplers");
  flags.Switch("--devices", devices, "list what can compute here: the processor, GPUs, kernels");
  flags.Switch("--list-models", models_found, "list what names are looked up in");
  common.Add(flags);
}

void ReportModels(const ModelFlags& flags, bool as_json) {
  const ModelListing listing = ListModels(flags.SearchPath());
  for (const std::string& warning : listing.warnings) PrintWarning(warning);
  if (as_json) {
    Json models = Json::array();
    for (const ListedModel& each : listing.models) {
      models.push_back({{"name", each.name},
                        {"kind", each.kind},
                        {"bytes", each.bytes},
                        {"path", each.path.string()}});
    }
    PrintJson({{"models", models}});
    return;
  }
  for (const ListedModel& each : listing.models) {
    std::printf("%-10s %-40s %10s  %s\n", each.kind.c_str(), OneLine(each.name).c_str(),
                FormatBytes(static_cast<double>(each.bytes)).c_str(),
                OneLine(each.path.string()).c_str());
  }
}

template <class Names>
void ListNames(const char* key, const Names& names, bool json) {
  if (json) {
    PrintJson({{key, names}});
    return;
  }
  for (const auto& name : names) std::printf("%s\n", std::string(name).c_str());
}

int RunInfo(const InfoFlags& flags) {
  flags.common.Apply();
  const int lists = int{flags.operators} + int{flags.samplers} + int{flags.models_found} +
                    int{flags.devices} + int{flags.subject.has_value()};
  if (lists > 1) {
    throw Error(
        ErrorCode::kUsage,
        "give one of a model or picture, --operators, --samplers, --devices and --list-models at a "
        "time");
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
  if (flags.devices) {
    const Json report = DescribeDevices();
    if (json)
      PrintJson(report);
    else
      PrintDevices(report);
    return kExitDone;
  }
  if (flags.models_found) {
    ReportModels(flags.models, json);
    return kExitDone;
  }
  if (flags.samplers) {
    ListNames("samplers", SamplerNames(), json);
    return kExitDone;
  }
  const std::string subject = flags.subject.value_or(flags.models.model.value_or(""));
  if (!subject.empty() && IsPicture(subject)) {
    const Json report = DescribePicture(subject);
    if (json)
      PrintJson(report);
    else
      PrintPicture(report);
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
