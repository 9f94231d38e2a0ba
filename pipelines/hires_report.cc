#include "pipelines/hires_report.h"

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {

HiresReport ReportOf(const Hires& hires) {
  HiresReport report;
  if (!hires.Active()) return report;
  report.schedule = Name(hires.Run().schedule);
  report.extreme = IsExtreme(hires.Run());
  report.windows = hires.Windows();
  for (const HiresSpan& span : hires.Spans()) {
    std::string steps = std::to_string(span.first);
    if (span.last > span.first) steps += "-" + std::to_string(span.last);
    report.stages.push_back({std::move(steps), Name(span.stage)});
  }
  return report;
}

nlohmann::ordered_json ToJson(const HiresReport& report) {
  nlohmann::ordered_json json;
  json["schedule"] = report.schedule;
  json["extreme"] = report.extreme;
  json["windows"] = report.windows;
  json["stages"] = nlohmann::ordered_json::array();
  for (const HiresReport::Stage& stage : report.stages) {
    json["stages"].push_back({{"steps", stage.steps}, {"stage", stage.stage}});
  }
  return json;
}

HiresReport HiresFromJson(const nlohmann::json& json, const std::string& where) {
  HiresReport report;
  try {
    report.schedule = json.at("schedule").get<std::string>();
    report.extreme = json.at("extreme").get<bool>();
    report.windows = json.at("windows").get<bool>();
    for (const auto& stage : json.at("stages")) {
      report.stages.push_back(
          {stage.at("steps").get<std::string>(), stage.at("stage").get<std::string>()});
    }
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kBadFile,
                where + ": settings of the picture: hires does not say what ran");
  }
  return report;
}

std::string Line(const HiresReport& report) {
  if (report.Empty()) return {};
  std::string line =
      "RAU-Net (" + report.schedule + (report.extreme ? ", extreme size" : "") + "): ";
  for (size_t i = 0; i < report.stages.size(); ++i) {
    line += (i == 0 ? "" : ", ") + report.stages[i].stage + (i == 0 ? " in steps " : " in ") +
            report.stages[i].steps;
  }
  return line + (report.windows ? "; with windows" : "; without windows");
}

}  // namespace fovea
