#include "pipelines/settings/plan_source.h"

#include <algorithm>
#include <system_error>

#include "attention/attention_op.h"
#include "attention/plans/plan_json.h"
#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {

namespace fs = std::filesystem;

namespace {

constexpr size_t kMostBytes = 1 << 18;
constexpr std::string_view kBlanks = " \t\r\n";
constexpr std::string_view kPreset = "preset:";

std::string_view Trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// What remains of a plan file: JSON as it is, else the lines that are no comments, joined.
std::string RulesOf(std::string_view text) {
  if (IsPlanJson(text)) return std::string(text);
  std::string rules;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trim(text.substr(0, end));
    if (!line.empty() && line[0] != '#') rules.append(rules.empty() ? "" : " ").append(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return rules;
}

// Throws kUsage where an operator of the plan is none of ours.
void CheckOperators(const AttentionPlan& plan) {
  for (const PlanRule& rule : plan.Rules()) {
    FindAttentionOp(rule.op.name);
    if (rule.otherwise) FindAttentionOp(rule.otherwise->name);
  }
}

// "; its rule 2 does not parse" where one rule is wrong by itself.
std::string BadRule(std::string_view rules) {
  for (int number = 1; !rules.empty(); ++number) {
    const size_t end = std::min(rules.find(';'), rules.size());
    try {
      CheckOperators(AttentionPlan::Parse(rules.substr(0, end)));
    } catch (const Error&) {
      return "; its rule " + std::to_string(number) + " does not parse";
    }
    rules.remove_prefix(std::min(end + 1, rules.size()));
  }
  return {};
}

// Messages show none of the file's text: whoever names a file need not be who may read it.
AttentionPlan ReadPlanFile(const fs::path& path) {
  const std::string rules = RulesOf(ReadTextFile(path, kMostBytes));
  AttentionPlan plan;
  try {
    plan = AttentionPlan::Parse(rules);
    CheckOperators(plan);
  } catch (const Error& error) {
    throw Error(error.code,
                path.string() + ": holds no attention plan" +
                    (IsPlanJson(rules) ? "" : BadRule(rules)) +
                    "; a plan is [LAYERS:]OPERATOR[(NAME=VALUE,...)];..., or the same as JSON");
  }
  if (!plan.Empty()) return plan;
  throw Error(ErrorCode::kBadFile,
              path.string() + ": holds no rule; write one, as \"*: clear(r=8)\"");
}

std::string FirstComment(std::string_view text) {
  text = Trim(text);
  if (text.substr(0, 1) != "#") return {};
  return std::string(Trim(text.substr(1, text.find('\n') - 1)));
}

}  // namespace

std::vector<PlanPreset> ListPlanPresets(const fs::path& folder) {
  std::vector<PlanPreset> presets;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() != ".plan") continue;
    presets.push_back(
        {entry.path().stem().string(), FirstComment(ReadTextFile(entry.path(), kMostBytes))});
  }
  std::sort(presets.begin(), presets.end(),
            [](const PlanPreset& a, const PlanPreset& b) { return a.name < b.name; });
  return presets;
}

AttentionPlan ReadPlan(std::string_view argument, const fs::path& presets) {
  argument = Trim(argument);
  if (argument.substr(0, 1) == "@") return ReadPlanFile(fs::path(Trim(argument.substr(1))));
  if (argument.substr(0, kPreset.size()) != kPreset) return AttentionPlan::Parse(argument);
  const std::string name(Trim(argument.substr(kPreset.size())));
  std::string known;
  for (const PlanPreset& preset : ListPlanPresets(presets)) {
    if (preset.name == name) return ReadPlanFile(presets / (name + ".plan"));
    known += (known.empty() ? "" : ", ") + preset.name;
  }
  throw Error(ErrorCode::kUsage,
              "plan: no preset is called \"" + name + "\"; " +
                  (known.empty() ? presets.string() + " holds none" : "there are: " + known));
}

}  // namespace fovea
