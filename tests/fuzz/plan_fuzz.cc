// Fuzzes attention plans: the grammar, its JSON form, and the operators with whatever arguments
// come out of them, run on a small model.
#include <cmath>

#include "attention/attention_runtime.h"
#include "tensor/memory/host_tensor.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  return {
      "dense",
      "clear(r=8)",
      "*: clear(r=3,down=5,proportional=on) else dense",
      "down.*@0-14#0,2-3 tokens>=20: clear(r=2) else halo; *@25%-100%: gna(window=3x5); window;",
      "{down,up}.[0-1].attn1: window(grid=2x2,shift=1x2,odd=resample) else dense",
      "* tokens<100: window(schedule=upstream,quarter=3) else window(schedule=step)",
      "*: gna(window=7x5,stride=2x3,dilation=2,causal=0x1)",
      "*: halo(block=3x2,halo=1x4)",
      "*: radial(model=wan,decay=0.2,block=64,ring=half) else radial(model=2d,rule=half,tile=2x2)",
      "*: radial(model=hunyuan,block=128) else radial(model=2d,rule=lattice)",
      "*: agent(agents=3x2) else agent(agents=1)",
      "*#1: agentsd(ratio=0.4,sx=2,sy=2,agents=0.9,k=0.1,scale2=0.5,random=off) else dense",
      R"({"rules":[{"match":"*attn1","steps":"0-14","heads":"0,2-3","tokens":">=16",)"
      R"("operator":"clear","args":{"r":16},"else":{"operator":"dense"}},{"operator":"halo"}]})",
      R"({"rules":[{"operator":"gna","args":{"window":"3x5","stride":2}}]})",
      R"({"rules":[{"steps":"10%-60%","operator":"agentsd","args":{"ratio":0.4,"random":"on"}}]})",
  };
}

namespace {

constexpr int kSteps = 20;

TokenLayout JointLayout() {
  return {{SegmentKind::kText, 0, 3, {1, 1, 1}}, {SegmentKind::kGrid, 3, 24, {2, 3, 4}}};
}

const std::vector<AttentionSite>& Sites() {
  static const std::vector<AttentionSite> sites{
      {"down.0.attn1", 0, SiteKind::kSelf, 4, 8, GridLayout(5, 7)},
      {"down.0.attn2", 1, SiteKind::kCross, 4, 8, GridLayout(5, 7)},
      {"up.1.attn1", 2, SiteKind::kSelf, 4, 8, GridLayout(1, 64)},
      {"joint.2", 3, SiteKind::kJoint, 4, 8, JointLayout()}};
  return sites;
}

HostTensor Values(int tokens, float frequency) {
  HostTensor x({1, tokens, 4, 8}, DType::kF32);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    x.Data<float>()[i] = std::sin(frequency * static_cast<float>(i));
  }
  return x;
}

// Runs one site; what comes out of finite values is finite.
void Attend(AttentionRuntime& runtime, const AttentionSite& site) {
  static const std::unique_ptr<Backend> backend = MakeCpuBackend();
  static Arena arena(*backend, 64 << 20);
  Context ctx{*backend, arena};
  AttentionSpec spec;
  spec.heads = site.heads;
  spec.head_dim = site.head_dim;
  spec.q = spec.kv = site.tokens;
  if (site.kind == SiteKind::kCross) spec.kv = TextLayout(5);
  const HostTensor q = Values(TokenCount(spec.q), 0.7f), k = Values(TokenCount(spec.kv), 1.3f);
  HostTensor out(q.shape(), DType::kF32);
  const size_t mark = arena.Mark();
  try {
    runtime.Attend(ctx, site, spec, {q.View(), k.View(), k.View(), out.View()});
  } catch (const Error&) {
    arena.Release(mark);
    throw;
  }
  for (int64_t i = 0; i < out.NumElements(); ++i) {
    if (!std::isfinite(out.Data<float>()[i])) std::abort();
  }
}

}  // namespace
}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RefusesOrReads([&] { ParseOperator(text); });
  RefusesOrReads([&] {
    const AttentionPlan plan = AttentionPlan::Parse(text);
    if (AttentionPlan::Parse(plan.Text()).Text() != plan.Text()) std::abort();
    AttentionRuntime runtime(plan, Sites(), kSteps, {7});
    runtime.StepsOfChange();
    for (int step : {0, 9, kSteps - 1}) {
      runtime.BeginStep(step, kSteps);
      for (const AttentionSite& site : Sites()) Attend(runtime, site);
    }
  });
  return 0;
}
