#include "attention/plans/plan.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "attention/plans/plan_json.h"
#include "tensor/error.h"
#include "tensor/glob.h"

namespace fovea {
namespace {

[[noreturn]] void Bad(std::string_view what, std::string_view where) {
  throw Error(ErrorCode::kUsage,
              "plan: " + std::string(what) + " in \"" + std::string(where.substr(0, 200)) + "\"");
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

// The position of `wanted` outside parentheses, or npos.
size_t FindOutside(std::string_view text, std::string_view wanted) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (depth == 0 && text.substr(i, wanted.size()) == wanted) return i;
  }
  return std::string_view::npos;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = FindOutside(text, std::string_view(&separator, 1));
    parts.push_back(Trim(text.substr(0, at)));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

int64_t ParseCount(std::string_view text, std::string_view where) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 1 << 30) {
    Bad("\"" + std::string(text) + "\" is not a count", where);
  }
  return value;
}

// "5" or "3-7": inclusive.
std::pair<int, int> ParseRange(std::string_view text, std::string_view where) {
  const size_t dash = text.find('-');
  const int first = static_cast<int>(ParseCount(text.substr(0, dash), where));
  if (dash == std::string_view::npos) return {first, first};
  const int last = static_cast<int>(ParseCount(text.substr(dash + 1), where));
  if (last < first) Bad("\"" + std::string(text) + "\" ends before it begins", where);
  return {first, last};
}

double ParsePercent(std::string_view text, std::string_view where) {
  double value = -1;
  if (text.size() < 2 || text.back() != '%') Bad("both ends of a range must be percents", where);
  text.remove_suffix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0 && value <= 100)) {
    Bad("percents go from 0% to 100%", where);
  }
  return value;
}

// Takes the part from `mark` on away from the selector; empty if there is none.
std::string_view TakeAfter(std::string_view* selector, std::string_view mark) {
  const size_t at = selector->find(mark);
  if (at == std::string_view::npos) return {};
  const std::string_view part = selector->substr(at + mark.size());
  *selector = selector->substr(0, at);
  if (Trim(part).empty()) Bad("nothing follows \"" + std::string(mark) + "\"", *selector);
  return Trim(part);
}

}  // namespace

StepRange ParseStepRange(std::string_view text) {
  StepRange range;
  if (text.find('%') != std::string_view::npos) {
    const size_t dash = text.find('-');
    if (dash == std::string_view::npos) Bad("percents need two ends, as 25%-100%", text);
    range.first = ParsePercent(text.substr(0, dash), text);
    range.last = ParsePercent(text.substr(dash + 1), text);
    if (range.last <= range.first) Bad("the steps end before they begin", text);
    return range;
  }
  const auto [first, last] = ParseRange(text, text);
  range = {static_cast<double>(first), static_cast<double>(last), false};
  return range;
}

OperatorSpec ParseOperator(std::string_view text) {
  text = Trim(text);
  const std::string_view whole = text;
  const auto is_word = [](std::string_view word) {
    return !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
  };
  OperatorSpec spec;
  const size_t open = text.find('(');
  spec.name = Trim(text.substr(0, open));
  if (!is_word(spec.name)) Bad("\"" + spec.name + "\" is not an operator's name", whole);
  if (open == std::string_view::npos) return spec;
  if (text.back() != ')') Bad("a parenthesis is not closed, or something follows it", whole);
  text = text.substr(open + 1, text.size() - open - 2);
  if (text.find_first_of("()") != std::string_view::npos) Bad("nested parentheses", whole);
  if (Trim(text).empty()) return spec;
  for (std::string_view part : Split(text, ',')) {
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos) Bad("arguments are NAME=VALUE", whole);
    const std::string_view name = Trim(part.substr(0, equals));
    const std::string_view value = Trim(part.substr(equals + 1));
    if (!is_word(name) || value.empty()) Bad("arguments are NAME=VALUE", whole);
    spec.params.emplace_back(name, value);
  }
  return spec;
}

bool StepRange::Holds(int step, int steps) const {
  if (!percent) return step >= first && step <= last;
  const double at = 100.0 * step / steps;
  return at >= first && at < last;
}

bool PlanRule::MatchesPath(std::string_view path) const {
  return !has_selector || std::any_of(globs.begin(), globs.end(), [path](const std::string& glob) {
    return MatchGlob(glob, path);
  });
}

bool PlanRule::HasHead(int head) const {
  return heads.empty() || std::any_of(heads.begin(), heads.end(), [head](const auto& range) {
           return head >= range.first && head <= range.second;
         });
}

namespace {

void ParseSelector(std::string_view selector, PlanRule* rule) {
  rule->has_selector = true;
  if (const auto least = TakeAfter(&selector, "tokens>="); !least.empty()) {
    rule->tokens_from = ParseCount(least, least);
  } else if (const auto below = TakeAfter(&selector, "tokens<"); !below.empty()) {
    rule->tokens_below = ParseCount(below, below);
  }
  if (const auto heads = TakeAfter(&selector, "#"); !heads.empty()) {
    for (std::string_view part : Split(heads, ',')) rule->heads.push_back(ParseRange(part, heads));
  }
  if (const auto steps = TakeAfter(&selector, "@"); !steps.empty()) {
    rule->steps = ParseStepRange(steps);
  }
  selector = Trim(selector);
  if (selector.empty()) Bad("the selector names no layer; \"*\" is every layer", rule->text);
  if (selector.size() > 512 || selector.find(' ') != std::string_view::npos) {
    Bad("a layer's path has no blanks", selector);
  }
  rule->globs = ExpandBraces(selector);
}

PlanRule ParseRule(std::string_view text) {
  PlanRule rule;
  rule.text = text;
  const size_t colon = FindOutside(text, ":");
  if (colon != std::string_view::npos) ParseSelector(text.substr(0, colon), &rule);
  std::string_view op = text.substr(colon == std::string_view::npos ? 0 : colon + 1);
  const size_t otherwise = FindOutside(op, " else ");
  rule.op = ParseOperator(op.substr(0, otherwise));
  if (otherwise != std::string_view::npos) rule.otherwise = ParseOperator(op.substr(otherwise + 6));
  return rule;
}

}  // namespace

AttentionPlan AttentionPlan::Parse(std::string_view text) {
  text = Trim(text);
  if (text.size() > 65536) Bad("a plan is at most 65536 characters", text);
  AttentionPlan plan;
  if (text.empty()) return plan;
  const std::string from_json = IsPlanJson(text) ? PlanFromJson(text) : std::string();
  for (std::string_view rule : Split(IsPlanJson(text) ? from_json : text, ';')) {
    if (rule.empty()) continue;  // a trailing semicolon
    plan.rules_.push_back(ParseRule(rule));
  }
  return plan;
}

std::string AttentionPlan::Text() const {
  std::string text;
  for (const PlanRule& rule : rules_) {
    if (!text.empty()) text += "; ";
    text += rule.text;
  }
  return text;
}

}  // namespace fovea
