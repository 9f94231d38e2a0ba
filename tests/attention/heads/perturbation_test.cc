// Perturbed heads against their definition: explicit maps in double precision, row by row.
#include "attention/heads/perturbation.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "attention/attention_runtime.h"
#include "tensor/planning_backend.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

constexpr int kHeads = 4, kDim = 24, kRows = 4;  // two branches of two pictures
constexpr int kText = 5, kHeight = 6, kWidth = 11;

const BranchKind kKindsOfRows[] = {BranchKind::kConditional, BranchKind::kPerturbed};
const BranchLayout kBranches(kKindsOfRows, 2);

TokenLayout Layout(int text_place) {  // 0: none, 1: before the grid, 2: behind it
  OperatorCase c{"", {}, {1, kHeight, kWidth}, text_place == 0 ? 0 : kText, text_place == 1};
  return LayoutOf(c);
}

bool InGrid(const TokenLayout& layout, int64_t token) {
  for (const Segment& segment : layout) {
    if (segment.kind != SegmentKind::kGrid) continue;
    if (token >= segment.begin && token < segment.begin + segment.length) return true;
  }
  return false;
}

HostTensor Rounded(const HostTensor& x) {
  HostTensor out(x.shape(), DType::kBF16);
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    out.Data<BFloat16>()[i] = ToBFloat16(x.Data<float>()[i]);
  }
  return out;
}

struct Layer {
  explicit Layer(const TokenLayout& tokens, DType dtype = DType::kF32) : layout(tokens) {
    sites = {{"block.0.attn", 0, SiteKind::kJoint, kHeads, kDim, tokens},
             {"block.1.attn", 3, SiteKind::kJoint, kHeads, kDim, tokens},
             {"block.1.cross", 4, SiteKind::kCross, kHeads, kDim, tokens}};
    spec.batch = kRows, spec.heads = kHeads, spec.head_dim = kDim;
    spec.q = spec.kv = tokens;
    spec.dtype = dtype;
    const Shape shape{kRows, TokenCount(tokens), kHeads, kDim};
    q = RandomNormal(shape, 1, 1.5f), k = RandomNormal(shape, 2), v = RandomNormal(shape, 3);
    hidden = RandomNormal({kRows, TokenCount(tokens), 32}, 4);
    if (dtype == DType::kBF16) q = Rounded(q), k = Rounded(k), v = Rounded(v);
  }

  // The first two rows are the prompt's, the others are perturbed.
  HostTensor Run(const Perturbation& perturbation, const std::string& plan = "",
                 HostTensor* lse = nullptr) {
    AttentionRuntime runtime(AttentionPlan::Parse(plan), sites, 4, {5, 6});
    runtime.BeginStep(0, 4, kBranches);
    runtime.SetPerturbation(BranchKind::kPerturbed, perturbation);
    HostTensor out(q.shape(), spec.dtype);
    std::memset(out.data(), 0xff, out.Bytes());  // NaN
    AttentionIo io{q.View(), k.View(), v.View(), out.View()};
    if (spec.dtype == DType::kF32) io.hidden = hidden.View();  // what agentsd compares
    if (lse != nullptr) {
      *lse = HostTensor({kRows, kHeads, q.shape()[1]}, DType::kF32);
      io.lse = lse->View();
    }
    runtime.Attend(ctx, sites[1], spec, io);
    return out;
  }

  TokenLayout layout;
  std::vector<AttentionSite> sites;
  AttentionSpec spec;
  HostTensor q, k, v, hidden;
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 64 << 20};
  Context ctx{*backend, arena};
};

// softmax(q kT / sqrt(d)) over the keys that `sees` admits, as a matrix.
std::vector<double> MapOf(const Tensor& q, const Tensor& k, int64_t b, int64_t h,
                          const std::function<bool(int64_t, int64_t)>& sees) {
  const int64_t t = k.shape[1];
  std::vector<double> map(static_cast<size_t>(t * t));
  for (int64_t i = 0; i < t; ++i) {
    double* row = map.data() + i * t;
    double top = -INFINITY, sum = 0;
    for (int64_t j = 0; j < t; ++j) {
      double score = 0;
      for (int64_t c = 0; c < kDim; ++c) {
        score += reference::At(q, {b, i, h, c}) * reference::At(k, {b, j, h, c});
      }
      row[j] = sees(i, j) ? score / std::sqrt(double(kDim)) : -INFINITY;
      top = std::max(top, row[j]);
    }
    for (int64_t j = 0; j < t; ++j) sum += row[j] = std::exp(row[j] - top);
    for (int64_t j = 0; j < t; ++j) row[j] /= sum;
  }
  return map;
}

bool All(int64_t, int64_t) {
  return true;
}

// Queries that a Gaussian of sigma blurs over the grid, written out tap by tap in two dimensions.
HostTensor Blurred(const Tensor& q, const Segment& grid, double sigma) {
  HostTensor out({q.shape[0], q.shape[1], q.shape[2], q.shape[3]}, DType::kF64);
  const auto weights = [sigma](int length) {
    int taps = static_cast<int>(std::ceil(6 * sigma));
    taps += 1 - taps % 2;
    taps = std::min(taps, length - (length % 2 - 1));
    std::vector<double> w;
    double sum = 0;
    for (int i = 0; i < taps; ++i) {
      w.push_back(std::exp(-0.5 * std::pow((i - taps / 2) / sigma, 2)));
      sum += w.back();
    }
    for (double& each : w) each /= sum;
    return w;
  };
  const auto mirrored = [](int i, int length) {
    return i < 0 ? -i : i >= length ? 2 * length - 2 - i : i;
  };
  const int h = grid.grid[1], w = grid.grid[2];
  const std::vector<double> rows = weights(h), columns = weights(w);
  for (int64_t b = 0; b < q.shape[0]; ++b) {
    for (int64_t head = 0; head < q.shape[2]; ++head) {
      for (int64_t c = 0; c < q.shape[3]; ++c) {
        for (int64_t t = 0; t < q.shape[1]; ++t) {
          double& to = out.Data<double>()[((b * q.shape[1] + t) * q.shape[2] + head) * kDim + c];
          if (t < grid.begin || t >= grid.begin + grid.length) {
            to = reference::At(q, {b, t, head, c});
            continue;
          }
          const int y = static_cast<int>(t - grid.begin) / w,
                    x = static_cast<int>(t - grid.begin) % w;
          for (size_t i = 0; i < rows.size(); ++i) {
            for (size_t j = 0; j < columns.size(); ++j) {
              const int yy = mirrored(y + int(i) - int(rows.size()) / 2, h);
              const int xx = mirrored(x + int(j) - int(columns.size()) / 2, w);
              to += rows[i] * columns[j] * reference::At(q, {b, grid.begin + yy * w + xx, head, c});
            }
          }
        }
      }
    }
  }
  return out;
}

HostTensor MeanQueries(const Tensor& q, int64_t begin, int64_t end) {
  HostTensor out({q.shape[0], q.shape[1], q.shape[2], q.shape[3]}, DType::kF64);
  for (int64_t b = 0; b < q.shape[0]; ++b) {
    for (int64_t head = 0; head < q.shape[2]; ++head) {
      for (int64_t c = 0; c < q.shape[3]; ++c) {
        double mean = 0;
        for (int64_t t = begin; t < end; ++t) {
          mean += reference::At(q, {b, t, head, c}) / double(end - begin);
        }
        for (int64_t t = 0; t < q.shape[1]; ++t) {
          out.Data<double>()[((b * q.shape[1] + t) * q.shape[2] + head) * kDim + c] =
              t >= begin && t < end ? mean : reference::At(q, {b, t, head, c});
        }
      }
    }
  }
  return out;
}

// The largest error in one head, relative to nothing: values are near 1. NaN if any is.
double ErrorOf(const Layer& layer, const HostTensor& got, int64_t b, int64_t h,
               const std::vector<double>& map) {
  const int64_t t = layer.q.shape()[1];
  Worst worst;
  for (int64_t i = 0; i < t; ++i) {
    for (int64_t c = 0; c < kDim; ++c) {
      double want = 0;
      for (int64_t j = 0; j < t; ++j) {
        want += map[static_cast<size_t>(i * t + j)] * reference::At(layer.v.View(), {b, j, h, c});
      }
      worst.Add(reference::At(got.View(), {b, i, h, c}), want);
    }
  }
  return worst.Value();
}

// T of one head as a map over the keys.
std::vector<double> TargetOf(const Layer& layer, const Perturbation& p, int64_t b, int64_t h) {
  const int64_t t = layer.q.shape()[1];
  const Segment* grid = nullptr;
  for (const Segment& segment : layer.layout) {
    if (segment.kind == SegmentKind::kGrid) grid = &segment;
  }
  const auto in_grid = [grid](int64_t i) {
    return i >= grid->begin && i < grid->begin + grid->length;
  };
  std::vector<double> map(static_cast<size_t>(t * t));
  switch (p.kind) {
    case PerturbKind::kIdentity:
      if (p.scope == PerturbScope::kImageRenorm) {
        return MapOf(layer.q.View(), layer.k.View(), b, h,
                     [&](int64_t i, int64_t j) { return i == j || !in_grid(i) || !in_grid(j); });
      }
      for (int64_t i = 0; i < t; ++i) map[static_cast<size_t>(i * t + i)] = 1;
      return map;
    case PerturbKind::kUniform:
      std::fill(map.begin(), map.end(), 1 / double(t));
      return map;
    case PerturbKind::kZero:
      return map;
    case PerturbKind::kMeanQuery:
      return MapOf(MeanQueries(layer.q.View(), 0, t).View(), layer.k.View(), b, h, All);
    case PerturbKind::kBlur:
      return MapOf(p.sigma > 9999
                       ? MeanQueries(layer.q.View(), grid->begin, grid->begin + grid->length).View()
                       : Blurred(layer.q.View(), *grid, p.sigma).View(),
                   layer.k.View(), b, h, All);
    case PerturbKind::kOperator:  // halo(block=3,halo=1)
      return MapOf(layer.q.View(), layer.k.View(), b, h, [&](int64_t i, int64_t j) {
        if (!in_grid(i) || !in_grid(j)) return true;
        const int64_t a = i - grid->begin, o = j - grid->begin;
        const auto near = [](int64_t x, int64_t y) {
          return y >= x / 3 * 3 - 1 && y < x / 3 * 3 + 4;
        };
        return near(a / kWidth, o / kWidth) && near(a % kWidth, o % kWidth);
      });
  }
  return map;
}

const PerturbKind kKinds[] = {PerturbKind::kIdentity, PerturbKind::kUniform,
                              PerturbKind::kZero,     PerturbKind::kMeanQuery,
                              PerturbKind::kBlur,     PerturbKind::kOperator};
const float kStrengths[kHeads] = {1, 0.25f, 0, 1.5f};

Perturbation Make(PerturbKind kind, PerturbScope scope, double sigma) {
  Perturbation p{kind, scope, sigma, {"halo", {{"block", "3"}, {"halo", "1"}}}, {}};
  for (int h = 0; h < kHeads; ++h) p.heads.push_back({3, {h}, kStrengths[h]});
  return p;
}

void CheckMaps(const TokenLayout& layout, DType dtype, const Perturbation& p, double limit) {
  CAPTURE(static_cast<int>(p.kind), static_cast<int>(p.scope), p.sigma, static_cast<int>(dtype),
          layout.size());
  Layer layer(layout, dtype);
  const HostTensor got = layer.Run(p), plain = layer.Run({});
  const int64_t t = layer.q.shape()[1], head_bytes = kDim * int64_t(SizeOf(dtype));
  for (int64_t b = 0; b < kRows; ++b) {
    for (int64_t h = 0; h < kHeads; ++h) {
      CAPTURE(b, h);
      const bool perturbed = b >= 2 && kStrengths[h] != 0;
      int64_t different = 0;
      for (int64_t i = 0; i < t; ++i) {
        const auto at = static_cast<size_t>(((b * t + i) * kHeads + h) * head_bytes);
        const bool same = std::memcmp(static_cast<const char*>(got.data()) + at,
                                      static_cast<const char*>(plain.data()) + at,
                                      static_cast<size_t>(head_bytes)) == 0;
        different += !same;
        if (p.scope != PerturbScope::kAll && !InGrid(layout, i)) CHECK(same);
      }
      if (!perturbed) {
        CHECK(different == 0);
        continue;
      }
      std::vector<double> want = MapOf(layer.q.View(), layer.k.View(), b, h, All);
      const std::vector<double> target = TargetOf(layer, p, b, h);
      for (int64_t i = 0; i < t; ++i) {
        if (p.scope != PerturbScope::kAll && !InGrid(layout, i)) continue;
        for (int64_t j = i * t; j < (i + 1) * t; ++j) {
          double& x = want[static_cast<size_t>(j)];
          x = (1 - double(kStrengths[h])) * x +
              double(kStrengths[h]) * target[static_cast<size_t>(j)];
        }
      }
      CHECK(different > 0);
      CHECK(ErrorOf(layer, got, b, h, want) <= limit);
    }
  }
}

TEST_CASE("perturbed heads equal explicit maps, and all others keep their bytes") {
  for (const PerturbKind kind : kKinds) {
    for (const int text : {0, 1, 2}) {
      for (const PerturbScope scope :
           {PerturbScope::kAll, PerturbScope::kImagePure, PerturbScope::kImageRenorm}) {
        if (scope == PerturbScope::kImageRenorm && kind != PerturbKind::kIdentity) continue;
        // 3e-6: three roundings more than the 2e-6 of an operator.
        CheckMaps(Layout(text), DType::kF32, Make(kind, scope, 0.7), 3e-6);
      }
    }
  }
  for (const double sigma : {0.3, 3.0, 100.0, 1e9}) {
    CheckMaps(Layout(1), DType::kF32, Make(PerturbKind::kBlur, PerturbScope::kAll, sigma), 3e-6);
  }
}

TEST_CASE("perturbed heads in bf16 are as near as bf16 is") {
  for (const PerturbKind kind : kKinds) {
    // Outputs near 1 have steps of 2^-8, probabilities and queries of their own are rounded, too.
    CheckMaps(Layout(2), DType::kBF16, Make(kind, PerturbScope::kAll, 0.7), 2.5e-2);
    CheckMaps(Layout(1), DType::kBF16, Make(kind, PerturbScope::kImagePure, 0.7), 2.5e-2);
  }
}

// The head's own operator is what is interpolated, for every operator and share of heads.
TEST_CASE("perturbations compose with every operator and with plans by head") {
  Layer layer(Layout(0));
  for (const char* plan :
       {"*: clear(r=3)", "*: clear(r=2,down=1,proportional=on)", "*: gna(window=3x5)",
        "*: halo(block=4)", "*: window(grid=2x2)", "*: window(grid=4x4,odd=resample)",
        "*: radial(model=2d,tile=2x2)", "*: agent(agents=2)", "*: agentsd(sx=2,sy=2)",
        "*#0,2: agent(agents=3); *#1: clear(r=2); *#3: agentsd(sx=2,sy=3,agents=1)"}) {
    const HostTensor plain = layer.Run({}, plan);
    for (const PerturbKind kind :
         {PerturbKind::kIdentity, PerturbKind::kUniform, PerturbKind::kZero}) {
      for (const PerturbScope scope : {PerturbScope::kAll, PerturbScope::kImagePure}) {
        CAPTURE(plan, static_cast<int>(kind), static_cast<int>(scope));
        const HostTensor got = layer.Run(Make(kind, scope, 1), plan);
        const int64_t t = plain.shape()[1];
        Worst worst;
        for (int64_t b = 0; b < kRows; ++b) {
          for (int64_t h = 0; h < kHeads; ++h) {
            const double s = b >= 2 ? double(kStrengths[h]) : 0;
            for (int64_t c = 0; c < kDim; ++c) {
              double mean = 0;
              for (int64_t i = 0; i < t; ++i) {
                mean += reference::At(layer.v.View(), {b, i, h, c}) / double(t);
              }
              for (int64_t i = 0; i < t; ++i) {
                const double target = kind == PerturbKind::kIdentity
                                          ? reference::At(layer.v.View(), {b, i, h, c})
                                      : kind == PerturbKind::kUniform ? mean
                                                                      : 0;
                const double want =
                    (1 - s) * reference::At(plain.View(), {b, i, h, c}) + s * target;
                worst.Add(reference::At(got.View(), {b, i, h, c}), want);
              }
            }
          }
        }
        CHECK(worst.Value() <= 2e-6);
      }
    }
    // A blur too narrow to change anything asks the operator itself.
    const HostTensor narrow = layer.Run(Make(PerturbKind::kBlur, PerturbScope::kAll, 0.01), plan);
    Worst worst;
    for (int64_t i = 0; i < plain.NumElements(); ++i) {
      worst.Add(narrow.Data<float>()[i], plain.Data<float>()[i]);
    }
    CHECK(worst.Value() <= 2e-6);
  }
}

TEST_CASE("strength 1 of identity evaluates no softmax") {
  for (const char* plan : {"", "*: clear(r=3)", "*: agent(agents=2)", "*: agentsd(sx=2,sy=2)"}) {
    CAPTURE(plan);
    Layer layer(Layout(0));
    // Queries and keys of the perturbed rows are not numbers; their values are.
    for (HostTensor* x : {&layer.q, &layer.k}) {
      const int64_t half = x->NumElements() / 2;
      std::fill_n(x->Data<float>() + half, half, NAN);
    }
    Perturbation p{PerturbKind::kIdentity, PerturbScope::kAll, 1, {}, {{3, {}, 1}}};
    HostTensor lse;
    const HostTensor got = layer.Run(p, plan, &lse);
    const int64_t half = got.NumElements() / 2;
    CHECK(std::memcmp(got.Data<float>() + half, layer.v.Data<float>() + half,
                      static_cast<size_t>(half) * sizeof(float)) == 0);
    // And it costs nothing.
    const auto flops = [&](const Perturbation& perturbation) {
      const auto planning = MakePlanningBackend(*layer.backend);
      Arena arena(*planning, size_t{1} << 40);
      Context ctx{*planning, arena};
      AttentionRuntime runtime(AttentionPlan::Parse(plan), layer.sites, 4, {5, 6});
      runtime.BeginStep(0, 4, kBranches);
      runtime.SetPerturbation(BranchKind::kPerturbed, perturbation);
      HostTensor out(layer.q.shape(), DType::kF32);
      runtime.Attend(ctx, layer.sites[1], layer.spec,
                     {layer.q.View(), layer.k.View(), layer.v.View(), out.View()});
      return planning->TotalCost().flops;
    };
    CHECK(flops(p) == 0.5 * flops({}));
  }
}

TEST_CASE("a shorter batch holds the first branches, and taking back restores the bytes") {
  Layer layer(Layout(1));
  AttentionRuntime runtime(AttentionPlan(), layer.sites, 4, {5, 6});
  runtime.BeginStep(0, 4, kBranches);
  runtime.SetPerturbation(BranchKind::kPerturbed,
                          Make(PerturbKind::kIdentity, PerturbScope::kAll, 1));
  const auto run = [&](int batch) {
    AttentionSpec spec = layer.spec;
    spec.batch = batch;
    HostTensor out({batch, layer.q.shape()[1], kHeads, kDim}, DType::kF32);
    const auto cut = [batch](const HostTensor& x) { return x.View().Slice(0, 0, batch); };
    runtime.Attend(layer.ctx, layer.sites[1], spec,
                   {cut(layer.q), cut(layer.k), cut(layer.v), out.View()});
    return out;
  };
  const HostTensor plain = layer.Run({}), perturbed = run(4), shared = run(2);
  CHECK(std::memcmp(shared.data(), plain.data(), shared.Bytes()) == 0);
  CHECK(std::memcmp(perturbed.data(), plain.data(), plain.Bytes()) != 0);
  const BranchKind swapped[] = {BranchKind::kPerturbed, BranchKind::kConditional};
  runtime.BeginStep(0, 4, BranchLayout(swapped, 2));
  CHECK(std::memcmp(run(2).data(), plain.data(), shared.Bytes()) != 0);
  runtime.SetPerturbation(BranchKind::kPerturbed, {});
  CHECK(std::memcmp(run(4).data(), plain.data(), plain.Bytes()) == 0);
}

TEST_CASE("perturbations that make no sense are refused with the reason") {
  Layer layer(Layout(1));
  const auto code = [&](const Perturbation& p, const std::string& says) {
    try {
      layer.Run(p);
    } catch (const Error& error) {
      CAPTURE(error.what());
      CHECK(std::string(error.what()).find(says) != std::string::npos);
      return error.code;
    }
    return ErrorCode::kInternal;
  };
  const auto with = [](HeadPerturbation item) {
    return Perturbation{PerturbKind::kIdentity, PerturbScope::kAll, 1, {}, {std::move(item)}};
  };
  CHECK(code(with({2, {}, 1}), "no attention layer 2") == ErrorCode::kUnsupported);
  CHECK(code(with({4, {}, 1}), "cross-attention") == ErrorCode::kUnsupported);
  CHECK(code(with({3, {4}, 1}), "heads 0 to 3, not 4") == ErrorCode::kUnsupported);
  CHECK(code(with({3, {}, NAN}), "finite") == ErrorCode::kUsage);
  Perturbation p = Make(PerturbKind::kUniform, PerturbScope::kImageRenorm, 1);
  CHECK(code(p, "img-renorm") == ErrorCode::kUsage);
  CHECK(code(Make(PerturbKind::kBlur, PerturbScope::kAll, 0), "sigma") == ErrorCode::kUsage);
  p = Make(PerturbKind::kOperator, PerturbScope::kAll, 1);
  p.op = {"hallo", {}};
  CHECK(code(p, "there are: dense") == ErrorCode::kUsage);
  p.op = {"window", {{"schedule", "upstream"}}};
  CHECK(code(p, "draws") == ErrorCode::kUsage);
  p.op = {"agentsd", {}};
  CHECK(code(p, "block.1.attn: agentsd merges") == ErrorCode::kUnsupported);
  layer.spec.q = layer.spec.kv = TextLayout(kText + kHeight * kWidth);
  CHECK(code(Make(PerturbKind::kBlur, PerturbScope::kAll, 1), "no grid") ==
        ErrorCode::kUnsupported);
  CHECK(code(Make(PerturbKind::kIdentity, PerturbScope::kImagePure, 1), "no grid") ==
        ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace fovea
