// Guidance by itself: which branches a step asks, and what becomes of their answers. Numbers are
// those of diffusers' functions for c = (1,2,-1,.5), u = (.5,1.5,-.25,1), p = (.8,1,0,.2).
#include "pipelines/sampling/guidance.h"

#include <cmath>

#include <catch2/catch.hpp>

#include "tests/support/error_code.h"

namespace fovea {
namespace {

using Values = std::vector<float>;
using Kinds = std::vector<BranchKind>;

constexpr auto kU = BranchKind::kUnconditional;
constexpr auto kC = BranchKind::kConditional;
constexpr auto kP = BranchKind::kPerturbed;

const Values kPrompt = {1, 2, -1, .5F}, kNegative = {.5F, 1.5F, -.25F, 1},
             kWorse = {.8F, 1, 0, .2F};

// Answers of one picture at one step, in the order in which they are asked.
Values Combined(Guidance& guidance, int step = 0, int steps = 4) {
  Values outputs;
  for (const BranchKind kind : guidance.BranchesAt(step, steps)) {
    const Values& answer = kind == kU ? kNegative : kind == kC ? kPrompt : kWorse;
    outputs.insert(outputs.end(), answer.begin(), answer.end());
  }
  const std::span<float> guided = guidance.Combine(step, steps, outputs, 1);
  REQUIRE(guided.data() == outputs.data());
  return {guided.begin(), guided.end()};
}

Values Combined(const GuidanceSettings& settings) {
  return Combined(*MakeGuidance(settings));
}

void CheckNear(const Values& got, const Values& wanted) {
  REQUIRE(got.size() == wanted.size());
  for (size_t k = 0; k < got.size(); ++k) {
    CAPTURE(k, got[k], wanted[k]);
    CHECK(std::abs(got[k] - wanted[k]) < 2e-6F);  // a NaN is not below
  }
}

GuidanceSettings Scaled(double scale) {
  return {.scale = scale};
}

GuidanceSettings Perturbed(double scale, double perturb_scale) {
  return {.scale = scale, .perturbs = true, .perturb_scale = perturb_scale};
}

GuidanceSettings By(const char* method, double scale) {
  return {.method = ParseOperator(method), .scale = scale};
}

Kinds At(const Guidance& guidance, int step, int steps = 10) {
  const auto kinds = guidance.BranchesAt(step, steps);
  return {kinds.begin(), kinds.end()};
}

}  // namespace

TEST_CASE("guidance is off at 1, and leaves the answer alone") {
  for (const GuidanceSettings& off :
       {Scaled(1), Scaled(0), GuidanceSettings{.scale = 7.5, .model_is_guided = true}}) {
    const auto guidance = MakeGuidance(off);
    CHECK(At(*guidance, 0) == Kinds{kC});
    CHECK(Combined(*guidance) == kPrompt);
  }
}

TEST_CASE("linear guidance is what diffusers makes of the same answers") {
  CheckNear(Combined(Scaled(5)), {3, 4, -4, -1.5F});
  CheckNear(Combined(Perturbed(5, .9)), {3.18F, 4.9F, -4.9F, -1.23F});
  CheckNear(Combined(Perturbed(1, 3)), {1.6F, 5, -4, 1.4F});
}

TEST_CASE("rescaled guidance comes last") {
  GuidanceSettings settings = Perturbed(5, .9);
  settings.rescale = .7;
  CheckNear(Combined(settings), {1.583066F, 2.439316F, -2.439316F, -0.612318F});
  // Fully rescaled, a picture has the deviation of the prompt's answer, whatever its neighbours do.
  GuidanceSettings whole{.scale = 3, .rescale = 1};
  Values outputs = {1, 2, 0, 9, /* prompt */ 2, 5, 1, 3};
  const std::span<float> scaled = MakeGuidance(whole)->Combine(0, 1, outputs, 2);
  REQUIRE(scaled.size() == 4);
  CHECK(scaled[1] - scaled[0] == Approx(3));
  CHECK(std::abs(scaled[3] - scaled[2]) == Approx(2));
  // A flat answer has no deviation to divide by.
  Values flat = {2, 2, 2, 2};
  CHECK(MakeGuidance(whole)->Combine(0, 1, flat, 1)[0] == 2);
}

TEST_CASE("the other methods are what diffusers makes of the same answers") {
  CheckNear(Combined(By("apg(eta=0,r=0.5)", 7.5)), {1.089188F, 1.041742F, -1.657505F, -1.160357F});
  CheckNear(Combined(By("cfg-zero-star(zero-steps=0)", 5)),
            {2.614035F, 2.842105F, -3.807018F, -2.271930F});
  // Without its bounds, APG is CFG.
  CheckNear(Combined(By("apg(r=0)", 5)), Combined(Scaled(5)));
}

TEST_CASE("momentum remembers a picture's last step and no other picture's") {
  const auto guidance = MakeGuidance(By("apg(eta=0,r=0,momentum=-0.5)", 7.5));
  CHECK(guidance->KeepsState());
  Combined(*guidance, 0);
  CheckNear(Combined(*guidance, 1), {1.175F, .975F, -1.8625F, -1.475F});
  CHECK_FALSE(MakeGuidance(By("apg", 7.5))->KeepsState());

  const auto two = MakeGuidance(By("apg(eta=0,r=0,momentum=-0.5)", 7.5));
  Values last;
  for (int step = 0; step < 2; ++step) {
    last = kNegative;
    for (const Values* answer : {&kWorse, &kPrompt, &kPrompt}) {
      last.insert(last.end(), answer->begin(), answer->end());
    }
    two->Combine(step, 4, last, 2);
  }
  CheckNear({last.begin(), last.begin() + 4}, {1.175F, .975F, -1.8625F, -1.475F});
}

TEST_CASE("the first steps of a flow may be left out, and cost one branch") {
  GuidanceSettings settings = By("cfg-zero-star(zero-steps=2)", 5);
  settings.flow = true;
  const auto guidance = MakeGuidance(settings);
  CHECK(At(*guidance, 1) == Kinds{kC});
  CHECK(At(*guidance, 2) == Kinds{kU, kC});
  CHECK(Combined(*guidance, 1) == Values(4, 0.0F));
  CheckNear(Combined(*guidance, 2), {2.614035F, 2.842105F, -3.807018F, -2.271930F});
  // One step for a flow, none for others, which would end there.
  CHECK(Combined(*MakeGuidance({.method = {"cfg-zero-star", {}}, .flow = true})) ==
        Values(4, 0.0F));
  CHECK(Combined(By("cfg-zero-star", 1)) == kPrompt);
  CHECK(CodeOf([] { MakeGuidance(By("cfg-zero-star(zero-steps=1)", 5)); }) ==
        ErrorCode::kUnsupported);
}

TEST_CASE("a step asks the branches of its windows, and no other") {
  GuidanceSettings settings = Perturbed(5, 3);
  settings.interval = ParseStepRange("1-5");
  settings.perturb_steps = ParseStepRange("3-7");
  const auto guidance = MakeGuidance(settings);
  CHECK(At(*guidance, 0) == Kinds{kC});
  CHECK(At(*guidance, 1) == Kinds{kU, kC});
  CHECK(At(*guidance, 2) == Kinds{kU, kC});
  CHECK(At(*guidance, 3) == Kinds{kU, kC, kP});
  CHECK(At(*guidance, 5) == Kinds{kU, kC, kP});
  CHECK(At(*guidance, 6) == Kinds{kC});
  CHECK(Combined(*guidance, 0, 10) == kPrompt);
  settings.scale = 1;
  CHECK(At(*MakeGuidance(settings), 2) == Kinds{kC});
  CHECK(At(*MakeGuidance(settings), 3) == Kinds{kC, kP});
  // Stable Diffusion 3.5's skip-layer guidance: over 1 % and below 20 % of 28 steps.
  settings.interval = {};
  settings.perturb_steps = ParseStepRange("1%-20%");
  const auto published = MakeGuidance(settings);
  CHECK(At(*published, 0, 28) == Kinds{kC});
  CHECK(At(*published, 1, 28) == Kinds{kC, kP});
  CHECK(At(*published, 5, 28) == Kinds{kC, kP});
  CHECK(At(*published, 6, 28) == Kinds{kC});
}

TEST_CASE("a perturbed branch that cannot change anything is not asked") {
  CHECK(At(*MakeGuidance(Perturbed(5, 0)), 0) == Kinds{kU, kC});
  GuidanceSettings none = Scaled(5);
  none.perturb_scale = 3;
  CHECK(At(*MakeGuidance(none), 0) == Kinds{kU, kC});
}

TEST_CASE("methods and arguments that do not exist are refused") {
  for (const char* bad : {"nothing", "cfg(r=1)", "apg(eta=x)", "apg(momentum=2)", "apg(r=-1)",
                          "cfg-zero-star(zero-steps=-1)"}) {
    CAPTURE(bad);
    CHECK(CodeOf([&] { MakeGuidance(By(bad, 5)); }) == ErrorCode::kUsage);
  }
}

}  // namespace fovea
