#include "attention/plans/plan_json.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

[[noreturn]] void Bad(const std::string& what) {
  throw Error(ErrorCode::kUsage, "plan: " + what);
}

constexpr int kDepth = 8;

// Fields become text of the grammar, so none may hold its separators.
std::string Plain(const json& object, const char* field, std::string_view forbidden) {
  const auto found = object.find(field);
  if (found == object.end()) return {};
  if (!found->is_string()) Bad(std::string(field) + " must be a string");
  const auto& text = found->get_ref<const std::string&>();
  if (text.empty() || text.find_first_of(forbidden) != std::string::npos) {
    Bad(std::string(field) + " must be one word without the plan's separators");
  }
  return text;
}

void OnlyFields(const json& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) Bad("a rule must be an object");
  for (const auto& [name, value] : object.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      Bad("unknown field \"" + name.substr(0, 80) + "\"");
    }
  }
}

std::string Operator(const json& object) {
  std::string text = Plain(object, "operator", ";:()= \n\t");
  if (text.empty()) Bad("a rule needs an operator");
  const auto args = object.find("args");
  if (args == object.end()) return text;
  if (!args->is_object()) Bad("args must be an object");
  std::string list;
  for (const auto& [name, value] : args->items()) {
    const bool scalar = value.is_string() || value.is_number();
    const std::string shown = value.is_string() ? value.get<std::string>() : value.dump();
    constexpr std::string_view kForbidden = ";:(),= \n\t";
    if (!scalar || shown.empty() || shown.find_first_of(kForbidden) != std::string::npos ||
        name.find_first_of(kForbidden) != std::string::npos) {
      Bad("args must be words or numbers");
    }
    list += (list.empty() ? "" : ",") + name + '=' + shown;
  }
  return list.empty() ? text : text + '(' + list + ')';
}

std::string Rule(const json& rule) {
  OnlyFields(rule, {"match", "steps", "heads", "tokens", "operator", "args", "else"});
  std::string selector = Plain(rule, "match", ";:()@# \n\t");
  const std::string steps = Plain(rule, "steps", ";:()#, \n\t");
  const std::string heads = Plain(rule, "heads", ";:()@ \n\t");
  const std::string tokens = Plain(rule, "tokens", ";:()@#, \n\t");
  if (selector.empty() && !(steps.empty() && heads.empty() && tokens.empty())) selector = "*";
  if (!steps.empty()) selector += "@" + steps;
  if (!heads.empty()) selector += "#" + heads;
  if (!tokens.empty()) {
    if (tokens[0] != '<' && tokens.substr(0, 2) != ">=") Bad("tokens must be \">=N\" or \"<N\"");
    selector += " tokens" + tokens;
  }
  std::string text = (selector.empty() ? "" : selector + ": ") + Operator(rule);
  if (const auto otherwise = rule.find("else"); otherwise != rule.end()) {
    OnlyFields(*otherwise, {"operator", "args"});
    text += " else " + Operator(*otherwise);
  }
  return text;
}

}  // namespace

bool IsPlanJson(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t brace = text.find_first_not_of(kBlanks);
  if (brace == std::string_view::npos || text[brace] != '{') return false;
  const size_t next = text.find_first_not_of(kBlanks, brace + 1);
  return next != std::string_view::npos && text[next] == '"';
}

std::string PlanFromJson(std::string_view text) {
  const auto shallow = [](int depth, json::parse_event_t, json&) {
    if (depth > kDepth) Bad("JSON nested too deeply");
    return true;
  };
  const json plan = json::parse(text, shallow, /*allow_exceptions=*/false);
  if (plan.is_discarded()) Bad("the JSON does not parse");
  if (!plan.is_object() || plan.size() != 1 || !plan.contains("rules") ||
      !plan["rules"].is_array()) {
    Bad("the JSON form is {\"rules\":[...]}");
  }
  std::string all;
  for (const json& rule : plan["rules"]) all += (all.empty() ? "" : "; ") + Rule(rule);
  return all;
}

}  // namespace fovea
