// The plans in docs/operators.md, on the layers of two kinds of models.
#include <fstream>

#include <catch2/catch.hpp>

#include "attention/attention_runtime.h"
#include "pipelines/settings/plan_source.h"
#include "tensor/planning_backend.h"
#include "tests/support/source_dir.h"

namespace fovea {
namespace {

const std::filesystem::path kSource = SourceDir();

// The lines of the blocks that are marked as plans.
std::vector<std::string> Examples() {
  std::ifstream file(kSource / "docs" / "operators.md");
  std::vector<std::string> plans;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```"))
      inside = line == "```plan";
    else if (inside && !line.empty())
      plans.push_back(line);
  }
  return plans;
}

void Add(std::vector<AttentionSite>& sites, const std::string& path, SiteKind kind, int side) {
  sites.push_back({path, static_cast<int>(sites.size()), kind, 8, 40, GridLayout(side, side)});
}

// Layers named as in SD1.5 at 512 pixels.
std::vector<AttentionSite> UNetSites() {
  std::vector<AttentionSite> sites;
  for (int block = 0; block < 4; ++block) {
    for (const bool up : {false, true}) {
      if (block == (up ? 0 : 3)) continue;
      for (int i = 0; i < (up ? 3 : 2); ++i) {
        const std::string path = std::string(up ? "up" : "down") + "_blocks." +
                                 std::to_string(block) + ".attentions." + std::to_string(i) +
                                 ".transformer_blocks.0.";
        const int side = 64 >> (up ? 3 - block : block);
        Add(sites, path + "attn1", SiteKind::kSelf, side);
        Add(sites, path + "attn2", SiteKind::kCross, side);
      }
    }
  }
  return sites;
}

std::vector<AttentionSite> DitSites() {
  std::vector<AttentionSite> sites;
  for (int i = 0; i < 24; ++i) {
    Add(sites, "transformer_blocks." + std::to_string(i) + ".attn", SiteKind::kJoint, 64);
  }
  return sites;
}

// The operators that a plan uses beside dense, over 20 steps, without computing.
int UsesOf(const AttentionPlan& plan, const std::vector<AttentionSite>& sites) {
  AttentionRuntime runtime(plan, sites, 20, {1});
  const auto backend = MakeCpuBackend();
  const auto planning = MakePlanningBackend(*backend);
  Arena arena(*planning, kPlanningArenaBytes);
  Context ctx{*planning, arena};
  for (int step : {0, 10, 19}) {
    runtime.BeginStep(step, 20);
    for (const AttentionSite& site : sites) {
      ArenaScope scope(arena);
      AttentionSpec spec;
      spec.heads = site.heads;
      spec.head_dim = site.head_dim;
      spec.q = spec.kv = site.tokens;
      if (site.kind == SiteKind::kCross) spec.kv = TextLayout(77);
      const Shape q{1, TokenCount(spec.q), spec.heads, spec.head_dim};
      const Shape kv{1, TokenCount(spec.kv), spec.heads, spec.head_dim};
      AttentionIo io{ctx.New(q), ctx.New(kv), ctx.New(kv), ctx.New(q)};
      runtime.Attend(ctx, site, spec, io);
    }
  }
  int uses = 0;
  for (const AttentionUse& use : runtime.Report()) uses += use.op != "dense";
  return uses;
}

TEST_CASE("every plan of the documentation runs on a model that it is for") {
  const std::vector<std::string> examples = Examples();
  CHECK(examples.size() >= 8);
  for (const std::string& text : examples) {
    CAPTURE(text);
    const AttentionPlan plan = ReadPlan(text, kSource / "assets" / "plans");
    const bool dit = text.find("transformer_blocks.[") != std::string::npos;
    CHECK(UsesOf(plan, dit ? DitSites() : UNetSites()) > 0);
  }
}

TEST_CASE("every preset is named in the documentation, and runs where it is for") {
  std::ifstream file(kSource / "docs" / "operators.md");
  const std::string page((std::istreambuf_iterator<char>(file)), {});
  for (const PlanPreset& preset : ListPlanPresets(kSource / "assets" / "plans")) {
    CAPTURE(preset.name);
    CHECK(page.find("`" + preset.name + "`") != std::string::npos);
    if (preset.name.find("sdxl") != std::string::npos) continue;            // other layers
    if (preset.name == "gna-48" || preset.name == "gna-flux-4k") continue;  // larger grids
    const AttentionPlan plan = ReadPlan("preset:" + preset.name, kSource / "assets" / "plans");
    CHECK(UsesOf(plan, UNetSites()) > 0);
  }
}

}  // namespace
}  // namespace fovea
