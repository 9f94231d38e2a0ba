#include "ui/plan_text.h"

#include <catch2/catch.hpp>

namespace fovea {

TEST_CASE("rules are split outside of brackets") {
  const auto rules = SplitRules(" a: clear(r=4) ;; {b;c}: window ; dense");
  REQUIRE(rules.size() == 3);
  CHECK(rules[0] == "a: clear(r=4)");
  CHECK(rules[1] == "{b;c}: window");
  CHECK(SplitRules("").empty());
}

TEST_CASE("an assignment replaces the rule of its selector and goes before the others") {
  CHECK(AssignOperator("", "", "clear(r=4)") == "clear(r=4)");
  CHECK(AssignOperator("clear(r=4)", "", "gna") == "gna");
  CHECK(AssignOperator("clear(r=4)", "", "dense") == "");
  CHECK(AssignOperator("clear(r=4)", "mid.attn1", "dense") == "mid.attn1: dense; clear(r=4)");
  CHECK(AssignOperator("a: gna; clear", "a", "halo") == "a: halo; clear");
  CHECK(AssignOperator("* tokens>=64: gna", "* tokens>=64", "halo") == "* tokens>=64: halo");
}

TEST_CASE("paths become words") {
  CHECK(ShortPath("down_blocks.0.attentions.1.transformer_blocks.0.attn1") ==
        "down 0, attention 1, block 0");
  CHECK(ShortPath("mid_block.attentions.0.transformer_blocks.2.attn2") ==
        "middle, attention 0, block 2");
  CHECK(ShortPath("x") == "x");
}

TEST_CASE("arguments that are empty are left out") {
  CHECK(OperatorText("gna", {}) == "gna");
  CHECK(OperatorText("gna", {{"window", "5"}, {"stride", ""}}) == "gna(window=5)");
}

}  // namespace fovea
