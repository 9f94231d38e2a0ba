#include "pipelines/metadata/hires_report.h"

#include <cstdio>

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
    if (span.last > span.first) steps.append("-").append(std::to_string(span.last));
    report.stages.push_back({std::move(steps), Name(span.stage)});
  }
  return report;
}

nlohmann::ordered_json ToJson(const HiresReport& report) {
  nlohmann::ordered_json json;
  if (const HiresReport::TwoPass& two = report.two_pass; two.width != 0) {
    json["two_pass"] = {{"width", two.width},
                        {"height", two.height},
                        {"calls", {two.first, two.second}},
                        {"strength", two.strength}};
    return json;
  }
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
    if (json.contains("two_pass")) {
      const nlohmann::json& two = json.at("two_pass");
      report.two_pass = {two.at("width").get<int>(), two.at("height").get<int>(),
                         two.at("calls").at(0).get<int>(), two.at("calls").at(1).get<int>(),
                         two.at("strength").get<double>()};
      return report;
    }
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
  if (const HiresReport::TwoPass& two = report.two_pass; two.width != 0) {
    const auto steps = [](int first, int count) {
      return std::to_string(first) + "-" + std::to_string(first + count - 1);
    };
    char strength[32];
    std::snprintf(strength, sizeof strength, "%g", two.strength);
    return "two passes: " + std::to_string(two.width) + "x" + std::to_string(two.height) +
           " in steps " + steps(0, two.first) + ", then at strength " + strength + " in " +
           steps(two.first, two.second);
  }
  std::string line =
      "RAU-Net (" + report.schedule + (report.extreme ? ", extreme size" : "") + "): ";
  for (size_t i = 0; i < report.stages.size(); ++i) {
    line += (i == 0 ? "" : ", ") + report.stages[i].stage + (i == 0 ? " in steps " : " in ") +
            report.stages[i].steps;
  }
  return line + (report.windows ? "; with windows" : "; without windows");
}

}  // namespace fovea
