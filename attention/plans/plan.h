// Which operator each layer, head and step uses: the text that people write.
//
//   plan = rule {";" rule}        rule = [selector ":"] operator ["else" operator]
//   selector = glob ["@" steps] ["#" heads] [" tokens>=" N | " tokens<" N]
//   operator = NAME ["(" ARG "=" VALUE {"," ARG "=" VALUE} ")"]
// The glob runs on the layer's path in the checkpoint; "*" crosses dots, "[4-20]" is a range of
// numbers,
// "{a,b}" are alternatives. Steps are 0-based and inclusive ("0-14"), percents half-open
// ("25%-100%"). The first rule that matches a head wins; "*:dense" is implied last.
// JSON with the same names:
// {"rules":[{"match":"*attn1","steps":"0-14","heads":"0,3-7","tokens":">=1024",
// "operator":"clear","args":{"r":16},"else":{"operator":"dense"}}]}.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attention/attention_site.h"
#include "attention/op_args.h"

namespace fovea {

// Throws kUsage saying where it stops to make sense. The operator and its arguments are checked by
// AttentionOp::Bind, not here.
OperatorSpec ParseOperator(std::string_view text);

struct StepRange {
  double first = 0, last = 100;  // inclusive steps, or half-open percents
  bool percent = true;
  bool Holds(int step, int steps) const;
};

// "0-14", "3", "25%-100%". Throws kUsage.
StepRange ParseStepRange(std::string_view text);

struct PlanRule {
  std::string text;  // as written, without outer blanks
  bool has_selector = false;
  std::vector<std::string> globs;  // alternatives of the selector, braces expanded
  StepRange steps;
  std::vector<std::pair<int, int>> heads;             // inclusive ranges; empty: all
  int64_t tokens_from = 0, tokens_below = INT64_MAX;  // of the queries
  OperatorSpec op;
  std::optional<OperatorSpec> otherwise;

  bool MatchesPath(std::string_view path) const;
  bool HasHead(int head) const;
  bool MatchesTokens(int64_t tokens) const {
    return tokens >= tokens_from && tokens < tokens_below;
  }
};

class AttentionPlan {
 public:
  AttentionPlan() = default;  // dense everywhere
  // The grammar, or JSON if the text begins with "{" and a quote. Pure; fuzzed. Throws kUsage.
  static AttentionPlan Parse(std::string_view text);

  const std::vector<PlanRule>& Rules() const { return rules_; }
  bool Empty() const { return rules_.empty(); }
  std::string Text() const;  // Parse(Text()) is the same plan

 private:
  std::vector<PlanRule> rules_;
};

}  // namespace fovea
