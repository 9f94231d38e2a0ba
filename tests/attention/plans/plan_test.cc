// The plan's grammar, its JSON form, globs, and what the runtime makes of them.
#include "attention/plans/plan.h"

#include <catch2/catch.hpp>

#include "attention/attention_runtime.h"
#include "tensor/glob.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

TEST_CASE("globs cross dots, range over numbers and offer alternatives") {
  const std::string path = "down_blocks.0.attentions.1.transformer_blocks.0.attn1";
  CHECK(MatchGlob("*", path));
  CHECK(MatchGlob("*attn1", path));
  CHECK(MatchGlob("down_blocks.0.*", path));
  CHECK(MatchGlob(path, path));
  CHECK(MatchGlob("down_blocks.[0-2].attentions.[1].*attn1", path));
  CHECK_FALSE(MatchGlob("down_blocks.[1-2].*", path));
  CHECK_FALSE(MatchGlob("*attn2", path));
  CHECK_FALSE(MatchGlob("attn1", path));
  CHECK(MatchGlob("transformer_blocks.[4-20].attn", "transformer_blocks.12.attn"));
  CHECK_FALSE(MatchGlob("transformer_blocks.[4-20].attn", "transformer_blocks.120.attn"));
  CHECK_FALSE(MatchGlob("*[2-3].attn", "blocks.12.attn"));
  CHECK(MatchGlob("*.[12-13].attn", "blocks.12.attn"));
  CHECK(MatchGlob("", ""));
  CHECK_FALSE(MatchGlob("", "a"));
  CHECK(ExpandBraces("{a,b}.{c,d}") == std::vector<std::string>{"a.c", "b.c", "a.d", "b.d"});
  CHECK_THROWS(ExpandBraces("{a,{b}}"));
  CHECK_THROWS(ExpandBraces("a}"));
  const std::string stars(500, '*');
  CHECK_FALSE(MatchGlob(stars + "x", path));
}

TEST_CASE("operators parse") {
  CHECK(ParseOperator("dense").Text() == "dense");
  CHECK(ParseOperator(" clear ( r = 8 , down=4 ) ").Text() == "clear(r=8,down=4)");
  CHECK(ParseOperator("gna()").Text() == "gna");
  for (const char* bad : {"", "clear(", "clear(r)", "clear(r=)", "clear(r=1))", "clear(r=(1))",
                          "clear)r=1(", "Clear", "clear(r=1)x", "a b"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(ParseOperator(bad), Error);
  }
}

TEST_CASE("rules parse, and print as the same plan") {
  const auto plan = AttentionPlan::Parse(
      "down_blocks.0.*@0-14#0,3-7 tokens>=1024: clear(r=8) else dense; *@25%-100%: gna(window=7x5);"
      "halo;");
  REQUIRE(plan.Rules().size() == 3);
  const PlanRule& first = plan.Rules()[0];
  CHECK(first.op.Text() == "clear(r=8)");
  CHECK(first.otherwise->Text() == "dense");
  CHECK((first.HasHead(0) && first.HasHead(5) && !first.HasHead(2) && !first.HasHead(8)));
  CHECK((first.steps.Holds(14, 50) && !first.steps.Holds(15, 50)));
  CHECK((first.MatchesTokens(1024) && !first.MatchesTokens(1023)));
  const PlanRule& second = plan.Rules()[1];
  CHECK((!second.steps.Holds(2, 10) && second.steps.Holds(3, 10) && second.steps.Holds(9, 10)));
  CHECK_FALSE(plan.Rules()[2].has_selector);
  CHECK(AttentionPlan::Parse(plan.Text()).Text() == plan.Text());
  CHECK(AttentionPlan::Parse("").Empty());
  // Alternatives at the start are no JSON.
  const auto either = AttentionPlan::Parse("{down,up}_blocks.*: halo");
  CHECK((either.Rules()[0].MatchesPath("up_blocks.0") && !either.Rules()[0].MatchesPath("mid")));
}

TEST_CASE("plans that make no sense are refused with the place") {
  for (const char* bad : {"*: ",
                          ": dense",
                          "*@: dense",
                          "*@5-2: dense",
                          "*@10%: dense",
                          "*@50%-20%: dense",
                          "*@0-120%: dense",
                          "*#: dense",
                          "*#a: dense",
                          "*#3-1: dense",
                          "* tokens>=x: dense",
                          "a b: dense",
                          "dense else",
                          "clear(r=1) else",
                          "{a: dense",
                          "*: dense else dense else dense",
                          "{\"rules\":1}",
                          "{\"rules\":[{}]}",
                          "{\"rules\":[{\"operator\":\"a;b\"}]}",
                          "{\"x\":[]}",
                          "{\"rules\":[{\"operator\":\"dense\",\"match\":\"a:b\"}]}",
                          "{{{{{{{{{{{{",
                          "{\"rules\":[{\"operator\":\"dense\",\"unknown\":\"b\"}]}"}) {
    CAPTURE(bad);
    try {
      AttentionPlan::Parse(bad);
      FAIL("parsed");
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kUsage);
      CHECK(std::string(error.what()).find('\n') == std::string::npos);
    }
  }
}

TEST_CASE("the JSON form says the same") {
  const auto plan = AttentionPlan::Parse(
      R"({"rules":[{"match":"*attn1","steps":"0-14","heads":"0,3-7","tokens":">=1024",
          "operator":"clear","args":{"r":16},"else":{"operator":"dense"}},{"operator":"halo"}]})");
  CHECK(plan.Text() == "*attn1@0-14#0,3-7 tokens>=1024: clear(r=16) else dense; halo");
}

// A model of two self-attention sites and one cross-attention site.
struct Model {
  std::vector<AttentionSite> sites{{"a.0.attn1", 0, SiteKind::kSelf, 4, 16, GridLayout(8, 8)},
                                   {"a.0.attn2", 1, SiteKind::kCross, 4, 16, GridLayout(8, 8)},
                                   {"b.0.attn1", 2, SiteKind::kSelf, 4, 16, GridLayout(16, 16)}};
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 16 << 20};
  Context ctx{*backend, arena};

  HostTensor Attend(AttentionRuntime& runtime, size_t site) {
    AttentionSpec spec;
    spec.heads = 4, spec.head_dim = 16;
    spec.q = sites[site].tokens;
    spec.kv = sites[site].kind == SiteKind::kCross ? TextLayout(5) : spec.q;
    const HostTensor q = RandomNormal({1, TokenCount(spec.q), 4, 16}, 1);
    const HostTensor k = RandomNormal({1, TokenCount(spec.kv), 4, 16}, 2);
    HostTensor out(q.shape(), DType::kF32);
    runtime.Attend(ctx, sites[site], spec, {q.View(), k.View(), k.View(), out.View()});
    return out;
  }
};

double HeadDifference(const HostTensor& a, const HostTensor& b, int head) {
  Worst worst;
  for (int64_t i = 0; i < a.NumElements(); ++i) {
    if (i / 16 % 4 != head) continue;
    worst.Add(a.Data<float>()[i], b.Data<float>()[i]);
  }
  return worst.Value();
}

TEST_CASE("the runtime swaps heads and steps, and reports it") {
  Model model;
  AttentionRuntime dense,
      planned(AttentionPlan::Parse("a.*@1-2#1,3: clear(r=2)"), model.sites, 5, {0});
  const HostTensor want = model.Attend(dense, 0);
  planned.BeginStep(0, 5);
  CHECK(HeadDifference(model.Attend(planned, 0), want, 1) == 0);
  planned.BeginStep(1, 5);
  const HostTensor got = model.Attend(planned, 0);
  CHECK(HeadDifference(got, want, 0) == 0);
  CHECK(HeadDifference(got, want, 1) > 1e-3);
  CHECK(HeadDifference(got, want, 2) == 0);
  CHECK(HeadDifference(got, want, 3) > 1e-3);
  CHECK(HeadDifference(model.Attend(planned, 2), model.Attend(dense, 2), 1) == 0);
  const auto report = planned.Report();
  const auto clear = std::find_if(report.begin(), report.end(),
                                  [](const AttentionUse& use) { return use.op == "clear(r=2)"; });
  REQUIRE(clear != report.end());
  CHECK(clear->path == "a.0.attn1");
  CHECK(clear->heads == "1,3");
  CHECK(clear->steps.front().first == 1);
  CHECK((clear->density > 0.05 && clear->density < 0.2));
}

TEST_CASE("operators without tiles report the pairs that they multiply") {
  Model model;
  AttentionRuntime planned(AttentionPlan::Parse("a.*: agent(agents=2x3)"), model.sites, 1, {0});
  model.Attend(planned, 0);
  REQUIRE(!planned.Report().empty());
  const double tokens = TokenCount(model.sites[0].tokens);
  CHECK(planned.Report()[0].density == Approx(2 * 6 / tokens));
  CHECK(planned.Report()[0].visited == Approx(2 * 6 / tokens));
}

TEST_CASE("rules leave cross-attention alone") {
  Model model;
  AttentionRuntime dense, planned(AttentionPlan::Parse("clear(r=2)"), model.sites, 1, {0});
  for (int head = 0; head < 4; ++head) {
    CHECK(HeadDifference(model.Attend(planned, 1), model.Attend(dense, 1), head) == 0);
    CHECK(HeadDifference(model.Attend(planned, 0), model.Attend(dense, 0), head) > 1e-3);
  }
}

TEST_CASE("refusals: without a selector dense stays, with one it is an error unless else says") {
  Model model;
  AttentionRuntime plain(AttentionPlan::Parse("clear(down=16)"), model.sites, 1, {0});
  model.Attend(plain, 0);
  CHECK(plain.Report()[0].op == "dense");
  CHECK(plain.Report()[0].refusal.find("divides") != std::string::npos);
  AttentionRuntime strict(AttentionPlan::Parse("*: clear(down=16)"), model.sites, 1, {0});
  CHECK_THROWS_WITH(model.Attend(strict, 0),
                    Catch::Contains("a.0.attn1") && Catch::Contains("divides"));
  AttentionRuntime relaxed(AttentionPlan::Parse("*: clear(down=16) else halo(block=4)"),
                           model.sites, 1, {0});
  model.Attend(relaxed, 0);
  CHECK(relaxed.Report()[0].op == "halo(block=4)");
}

TEST_CASE("rules that match nothing, unknown operators and arguments are errors") {
  Model model;
  const auto code = [&](const char* text, int steps) {
    try {
      AttentionRuntime runtime(AttentionPlan::Parse(text), model.sites, steps, {0});
    } catch (const Error& error) {
      return error.code;
    }
    return ErrorCode::kInternal;
  };
  CHECK(code("nowhere.*: halo", 5) == ErrorCode::kUnsupported);
  CHECK(code("*attn2: halo", 5) == ErrorCode::kUnsupported);  // only cross-attention
  CHECK(code("*#4: halo", 5) == ErrorCode::kUnsupported);
  CHECK(code("*@5-9: halo", 5) == ErrorCode::kUnsupported);
  CHECK(code("*: hallo", 5) == ErrorCode::kUsage);
  CHECK(code("*: halo(r=1)", 5) == ErrorCode::kUsage);
}

TEST_CASE("upstream windows count their draws in order of execution") {
  Model model;
  const auto plan = AttentionPlan::Parse("window(schedule=upstream)");
  AttentionRuntime whole(plan, model.sites, 3, {123}), jump(plan, model.sites, 3, {123});
  HostTensor last;
  for (int step = 0; step < 3; ++step) {
    whole.BeginStep(step, 3);
    model.Attend(whole, 0);
    last = model.Attend(whole, 2);  // draws 1, 3, 5
  }
  jump.BeginStep(2, 3);
  model.Attend(jump, 0);
  const HostTensor direct = model.Attend(jump, 2);
  for (int head = 0; head < 4; ++head) CHECK(HeadDifference(last, direct, head) == 0);
}

}  // namespace
}  // namespace fovea
