// What looking costs: the probe that is always on, and one hovered row of all heads.
//
//   fovea-bench-probe MODEL_FOLDER [RUNS]
//
// Times whole runs of the model with and without the probe, in turns; one large attention site the
// same way; and a row of all heads of a FLUX-size layer (24 heads of 128, 4608 tokens) from kept
// queries and keys. Medians.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "attention/attention_runtime.h"
#include "attention/probe/attention_probe.h"
#include "attention/probe/matrix_passes.h"
#include "pipelines/generation/text_to_image.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

double Now() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

template <class Body>
double Time(const Body& body) {
  const double begin = Now();
  body();
  return Now() - begin;
}

// Of the fastest runs: what others did meanwhile is least in these.
double Least(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

HostTensor Random(const Shape& shape, DType dtype, uint32_t seed) {
  HostTensor x(shape, dtype);
  std::mt19937 bits(seed);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    const float value = static_cast<float>(bits() >> 8) / static_cast<float>(1 << 23) - 1;
    if (dtype == DType::kF32) {
      x.Data<float>()[i] = value;
    } else {
      x.Data<BFloat16>()[i] = ToBFloat16(value);
    }
  }
  return x;
}

struct Site {
  Site(int tokens_high, int tokens_wide, int text, int heads, int d, DType dtype) {
    TokenLayout layout;
    if (text > 0) layout = TextLayout(text);
    layout.push_back(
        {SegmentKind::kGrid, text, tokens_high * tokens_wide, {1, tokens_high, tokens_wide}});
    spec.heads = heads, spec.head_dim = d, spec.q = spec.kv = layout, spec.dtype = dtype;
    sites = {{"site", 0, text > 0 ? SiteKind::kJoint : SiteKind::kSelf, heads, d, layout}};
    const Shape shape{1, TokenCount(layout), heads, d};
    q = Random(shape, dtype, 1), k = Random(shape, dtype, 2), v = Random(shape, dtype, 3);
    out = HostTensor(shape, dtype);
  }
  void Run(Context& ctx, AttentionListener* listener) {
    AttentionRuntime runtime(AttentionPlan(), sites, 1, {1});
    runtime.SetListeners({listener});
    runtime.BeginStep(0, 1);
    runtime.Attend(ctx, sites[0], spec, {q.View(), k.View(), v.View(), out.View()});
  }
  AttentionSpec spec;
  std::vector<AttentionSite> sites;
  HostTensor q, k, v, out;
};

void TimeRows(Context& ctx, DType dtype) {
  Site site(64, 64, 512, 24, 128, dtype);
  AttentionProbe probe({.rows_every = 0, .pins = {{"*", 0, 0, {}}}});
  site.Run(ctx, &probe);
  const auto kept = probe.Find("site", 0);
  std::vector<float> rows(size_t{24} * 4608);
  const double first = Time([&] { RowOfHeads(kept->Matrix(ctx), 0, 2000, rows.data()); });
  std::vector<double> times;
  for (int i = 0; i < 60; ++i) {
    times.push_back(Time([&] {
      RowOfHeads(kept->Matrix(ctx), 0, static_cast<int32_t>(512 + (i * 997) % 4096), rows.data());
    }));
  }
  std::printf(
      "row of 24 heads x 128, 4608 tokens, %s: median %.2f ms, worst %.2f ms, first %.2f ms\n",
      std::string(Name(dtype)).c_str(), Median(times),
      *std::max_element(times.begin(), times.end()), first);
}

void TimeSite(Context& ctx, int runs) {
  Site site(64, 64, 0, 8, 40, DType::kF32);
  std::vector<double> off, on;
  for (int i = 0; i < runs; ++i) {
    AttentionProbe probe({});
    off.push_back(Time([&] { site.Run(ctx, nullptr); }));
    on.push_back(Time([&] { site.Run(ctx, &probe); }));
  }
  std::printf(
      "dense site of 8 heads x 40, 4096 tokens: %.2f ms, with the probe %.2f ms: +%.2f %%\n",
      Median(off), Median(on), 100 * (Median(on) / Median(off) - 1));
}

void TimeModel(const char* folder, int runs) {
  const auto backend = MakeCpuBackend();
  const auto pipeline = TextToImage::Load(OpenModelFolder(folder), *backend);
  GenerateSettings settings;
  settings.prompt = pipeline->SamplePrompt();
  settings.seed = 1;
  settings = pipeline->Resolve(settings);
  std::vector<double> off, on;
  for (int i = 0; i <= runs; ++i) {
    AttentionProbe probe({});
    const double without = pipeline->Run(settings, {}, {}).timings.denoise;
    const double with = pipeline->Run(settings, {}, {.listeners = {&probe}}).timings.denoise;
    if (i == 0) continue;  // packs weights
    off.push_back(without);
    on.push_back(with);
  }
  std::printf(
      "denoising, %d steps of %dx%d: %.4f s, with the probe %.4f s: %+.2f %%, of the fastest "
      "%+.2f %%\n",
      settings.steps, settings.width, settings.height, Median(off), Median(on),
      100 * (Median(on) / Median(off) - 1), 100 * (Least(on) / Least(off) - 1));
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: fovea-bench-probe MODEL_FOLDER [RUNS]\n");
    return 2;
  }
  const int runs = argc > 2 ? std::max(1, std::atoi(argv[2])) : 9;
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, size_t{256} << 20);
  Context ctx{*backend, arena};
  std::printf("%d threads\n", NumThreads());
  TimeRows(ctx, DType::kF32);
  TimeRows(ctx, DType::kBF16);
  TimeSite(ctx, 2 * runs);
  TimeModel(argv[1], 3 * runs);
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  return fovea::Main(argc, argv);
}
