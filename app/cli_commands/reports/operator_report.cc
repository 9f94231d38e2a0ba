#include "app/cli_commands/reports/operator_report.h"

#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/built_in_models.h"
#include "attention/attention_op.h"
#include "pipelines/settings/plan_source.h"

namespace fovea {
namespace {

using Json = nlohmann::ordered_json;

std::string Text(const Json& json, const char* key) {
  return json.at(key).get<std::string>();
}

}  // namespace

Json DescribeOperators() {
  Json names = Json::array(), details = Json::array(), presets = Json::array();
  for (const AttentionOp* op : AttentionOps()) {
    const OpAbout about = op->About();
    Json arguments = Json::array();
    for (const OpArg& arg : op->Args()) {
      arguments.push_back({{"name", arg.name}, {"default", arg.otherwise}, {"help", arg.help}});
    }
    names.push_back(op->Name());
    details.push_back({{"name", op->Name()},
                       {"what", about.what},
                       {"arguments", std::move(arguments)},
                       {"source", about.source},
                       {"cost", about.cost},
                       {"refuses", about.refuses}});
  }
  for (const PlanPreset& preset : ListPlanPresets(BuiltInPlansFolder())) {
    presets.push_back({{"name", preset.name}, {"about", preset.about}});
  }
  return {{"operators", std::move(names)},
          {"details", std::move(details)},
          {"presets", std::move(presets)}};
}

void PrintOperators(const Json& report) {
  for (const Json& op : report.at("details")) {
    std::printf("%s: %s\n", Text(op, "name").c_str(), Text(op, "what").c_str());
    for (const Json& argument : op.at("arguments")) {
      const std::string shown = Text(argument, "name") + "=" + Text(argument, "default");
      std::printf("  %-20s %s\n", shown.c_str(), Text(argument, "help").c_str());
    }
    for (const char* key : {"source", "cost", "refuses"}) {
      std::printf("  %-8s %s\n", key, Text(op, key).c_str());
    }
    std::printf("\n");
  }
  std::printf("presets of plans, given as --attention preset:NAME\n");
  for (const Json& preset : report.at("presets")) {
    std::printf("  %-28s %s\n", Text(preset, "name").c_str(), Text(preset, "about").c_str());
  }
}

}  // namespace fovea
