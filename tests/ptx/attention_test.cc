// Tile attention of the CUDA backend, executed by the interpreter with all checks, against the
// reference in double: every type, head sizes that are no multiple of anything, masks, mixes.
#include "attention/kernels/biased_attention.h"
#include "attention/kernels/tile/tile_attention.h"

#include "tests/ptx/cuda_op_test.h"
#include "tests/reference/reference_attention.h"

namespace fovea::ptx {
namespace {

using Sees = std::function<bool(int64_t, int64_t)>;

struct Case {
  int64_t batch, t, kv, heads, d;
};

// A map of runs of 64 tokens for any pattern: tiles that see all, some or nothing.
TileMap MapOf(int64_t t, int64_t kv, const Sees& sees) {
  TileMap map = DenseTileMap(static_cast<int>(t), static_cast<int>(kv), false);
  map.rows.clear();
  map.visits.clear();
  map.masks.clear();
  for (const TokenTile& queries : map.q.tiles) {
    TileMap::Row row{static_cast<int64_t>(map.visits.size()), 0};
    for (size_t k = 0; k < map.kv.tiles.size(); ++k) {
      const TokenTile& keys = map.kv.tiles[k];
      TileMask mask{};
      bool any = false, all = true;
      for (int j = 0; j < keys.count; ++j) {
        for (int i = 0; i < queries.count; ++i) {
          const bool seen = sees(map.q.tokens[static_cast<size_t>(queries.begin + i)],
                                 map.kv.tokens[static_cast<size_t>(keys.begin + j)]);
          any |= seen;
          all &= seen;
          if (seen) mask[static_cast<size_t>(j)] |= uint64_t{1} << i;
        }
      }
      if (!any) continue;
      map.visits.push_back(
          {static_cast<int32_t>(k), all ? -1 : static_cast<int32_t>(map.masks.size())});
      if (!all) map.masks.push_back(mask);
    }
    row.end = static_cast<int64_t>(map.visits.size());
    map.rows.push_back(row);
  }
  return map;
}

// Relative L2 of outputs and the largest difference of an lse.
void CheckOut(const HostTensor& out, const HostTensor& lse, const reference::AttentionResult& want,
              DType dtype) {
  Worst worst_lse;
  double square = 0, norm = 0;
  const Reference got = Reference::Of(out.View());
  for (size_t i = 0; i < want.out.size(); ++i) {
    square += (got.v[i] - want.out[i]) * (got.v[i] - want.out[i]);
    norm += want.out[i] * want.out[i];
  }
  for (size_t i = 0; i < want.lse.size(); ++i) {
    worst_lse.Add(lse.Data<float>()[i], want.lse[i], std::max(1.0, std::fabs(want.lse[i])));
  }
  CHECK(std::sqrt(square / norm) <= (dtype == DType::kF32    ? 1e-6
                                     : dtype == DType::kBF16 ? 4e-3
                                                             : 6e-4));
  CHECK(worst_lse.Value() <= 3e-6);
}

void Check(const Case& c, DType dtype, const Sees& sees) {
  CudaOpTest test;
  INFO(c.batch << " x " << c.t << " queries, " << c.kv << " keys, " << c.heads << " heads of "
               << c.d << " " << Name(dtype));
  const HostTensor q = Random({c.batch, c.t, c.heads, c.d}, dtype, 1);
  const HostTensor k = Random({c.batch, c.kv, c.heads, c.d}, dtype, 2);
  const HostTensor v = Random({c.batch, c.kv, c.heads, c.d}, dtype, 3);
  const float scale = 1 / std::sqrt(static_cast<float>(c.d));
  const auto want = reference::Attention(q.View(), k.View(), v.View(), scale, sees);
  const Tensor out = test.Out(q.shape(), dtype);
  const Tensor lse = test.Out({c.batch, c.heads, c.t}, DType::kF32);
  TileAttention(test.ctx, MapOf(c.t, c.kv, sees), scale,
                {test.Put(q), test.Put(k), test.Put(v), out, lse});
  CheckOut(test.Get(out), test.Get(lse), want, dtype);
}

bool All(int64_t, int64_t) {
  return true;
}

TEST_CASE("cuda attention: dense, of every type and head size") {
  FOVEA_NEEDS_KERNELS();
  for (const DType dtype : kCudaTypes) {
    for (const Case& c : {Case{1, 1, 1, 1, 8},
                          {2, 7, 5, 3, 8},
                          {1, 64, 64, 2, 40},
                          {1, 65, 129, 1, 64},
                          {2, 63, 77, 2, 24},
                          {1, 130, 70, 1, 72},
                          {1, 70, 200, 1, 128},
                          {1, 16, 17, 2, 5},
                          {1, 33, 65, 1, 160},
                          {1, 20, 31, 1, 512}}) {
      Check(c, dtype, All);
    }
  }
}

TEST_CASE("cuda attention: masks, tiles that are left out, ragged ends") {
  FOVEA_NEEDS_KERNELS();
  const auto causal = [](int64_t i, int64_t j) { return j <= i; };
  const auto window = [](int64_t i, int64_t j) { return std::abs(i - j) <= 20 || j == 0; };
  for (const DType dtype : kCudaTypes) {
    Check({2, 77, 77, 2, 64}, dtype, causal);
    Check({1, 200, 200, 1, 32}, dtype, window);
    Check({1, 140, 140, 1, 80}, dtype, window);
  }
}

TEST_CASE("cuda attention: a query that sees no key gives zero, NaN is not hidden") {
  FOVEA_NEEDS_KERNELS();
  for (const DType dtype : kCudaTypes) {
    CudaOpTest test;
    HostTensor q = Random({1, 70, 1, 16}, dtype, 1);
    const HostTensor k = Random({1, 70, 1, 16}, dtype, 2), v = Random({1, 70, 1, 16}, dtype, 3);
    Tensor view = q.View();
    ::fovea::Put(view, 66 * 16, NAN);
    const Tensor out = test.Out(q.shape(), dtype), lse = test.Out({1, 1, 70}, DType::kF32);
    TileAttention(test.ctx, MapOf(70, 70, [](int64_t i, int64_t j) { return i >= 5 && j < 60; }),
                  0.25f, {test.Put(q), test.Put(k), test.Put(v), out, lse});
    const Reference got = Reference::Of(test.Get(out).View());
    const HostTensor sums = test.Get(lse);
    for (size_t i = 0; i < 70; ++i) {
      CHECK(std::isnan(got.v[i * 16 + 3]) == (i == 66));
      CHECK(std::isnan(sums.Data<float>()[i]) == (i == 66));
      if (i < 5) CHECK(got.v[i * 16 + 3] == 0);
      if (i < 5) CHECK(sums.Data<float>()[i] == -INFINITY);
    }
  }
}

TEST_CASE("cuda attention: extra keys with terms, a map for each head, strided inputs") {
  FOVEA_NEEDS_KERNELS();
  for (const DType dtype : kCudaTypes) {
    CudaOpTest test;
    const HostTensor qkv = Random({2, 70, 6, 32}, dtype, 1), more = Random({2, 9, 4, 32}, dtype, 2);
    const Tensor there = test.Put(qkv), extra = test.Put(more);
    const auto part = [](const Tensor& x, int i) { return x.Slice(2, 2 * i, 2); };
    std::vector<float> terms(9);
    for (int i = 0; i < 9; ++i) terms[static_cast<size_t>(i)] = 0.1f * static_cast<float>(i);
    TileMaps maps;
    for (int i = 0; i < 4; ++i) {
      maps.each.push_back(std::make_shared<TileMap>(
          MapOf(70, 79, [i](int64_t q, int64_t j) { return j >= 70 || (q + j) % 4 != i; })));
    }
    const Tensor out = test.Out({2, 70, 2, 32}, dtype);
    TileCall call{part(there, 0), part(there, 1), part(there, 2), out};
    call.extra_k = part(extra, 0);
    call.extra_v = part(extra, 1);
    call.extra_terms = terms;
    TileAttention(test.ctx, maps, 0.2f, call);
    const HostTensor got = test.Get(out);
    double square = 0, norm = 0;
    for (int64_t b = 0; b < 2; ++b) {
      for (int64_t h = 0; h < 2; ++h) {
        for (int64_t i = 0; i < 70; ++i) {
          double sum = 0, mean[32] = {};
          for (int64_t j = 0; j < 79; ++j) {
            if (j < 70 && (i + j) % 4 == b * 2 + h) continue;
            const auto at = [&](int which, int64_t c) {
              return j < 70 ? reference::At(qkv.View(), {b, j, 2 * which + 2 + h, c})
                            : reference::At(more.View(), {b, j - 70, 2 * which + h, c});
            };
            double score = 0;
            for (int64_t c = 0; c < 32; ++c) {
              score += reference::At(qkv.View(), {b, i, h, c}) * at(0, c);
            }
            const double weight =
                std::exp(0.2f * score + (j < 70 ? 0 : double{terms[static_cast<size_t>(j - 70)]}));
            sum += weight;
            for (int64_t c = 0; c < 32; ++c) mean[c] += weight * at(1, c);
          }
          for (int64_t c = 0; c < 32; ++c) {
            const double want = mean[c] / sum;
            const double off = reference::At(got.View(), {b, i, h, c}) - want;
            square += off * off;
            norm += want * want;
          }
        }
      }
    }
    CHECK(std::sqrt(square / norm) <= (dtype == DType::kF32    ? 1e-6
                                       : dtype == DType::kBF16 ? 4e-3
                                                               : 6e-4));
  }
}

TEST_CASE("cuda attention: mixed heads, whole and on some rows") {
  FOVEA_NEEDS_KERNELS();
  const std::vector<HeadMix> mix{{1, 0, 0, {}},       {0, 1, 0, {}},
                                 {0, 0, 1, {}},       {0.25f, 0.5f, 0.25f, {}},
                                 {0, 1, 0, {10, 70}}, {0.5f, 0, 0.5f, {0, 3}}};
  for (const DType dtype : kCudaTypes) {
    CudaOpTest test;
    const HostTensor q = Random({2, 77, 3, 24}, dtype, 1), k = Random({2, 77, 3, 24}, dtype, 2);
    const HostTensor v = Random({2, 77, 3, 24}, dtype, 3);
    const auto plain = reference::Attention(q.View(), k.View(), v.View(), 0.2, All);
    const Tensor out = test.Out(q.shape(), dtype), lse = test.Out({2, 3, 77}, DType::kF32);
    TileCall call{test.Put(q), test.Put(k), test.Put(v), out, lse};
    call.mix = mix;
    TileAttention(test.ctx, DenseTileMap(77, 77, false), 0.2f, call);
    const HostTensor got = test.Get(out), sums = test.Get(lse);
    double square = 0, norm = 0;
    for (int64_t i = 0; i < got.NumElements(); ++i) {
      const int64_t c = i % 24, h = i / 24 % 3, t = i / 72 % 77, b = i / 72 / 77;
      const HeadMix& given = mix[static_cast<size_t>(b * 3 + h)];
      const HeadMix m = given.rows.Holds(t) ? given : HeadMix{};
      double mean = 0;
      for (int64_t j = 0; j < 77; ++j) mean += reference::At(v.View(), {b, j, h, c}) / 77;
      const double want = m.a * plain.out[static_cast<size_t>(i)] +
                          m.b * reference::At(v.View(), {b, t, h, c}) + m.e * mean;
      const double off = reference::At(got.View(), {b, t, h, c}) - want;
      square += off * off;
      norm += want * want;
      if (b * 3 + h == 1) REQUIRE(off == 0);
    }
    CHECK(std::sqrt(square / norm) <= (dtype == DType::kF32    ? 1e-6
                                       : dtype == DType::kBF16 ? 4e-3
                                                               : 6e-4));
    CHECK(std::isnan(sums.Data<float>()[77]));
    CHECK(!std::isnan(sums.Data<float>()[0]));
  }
}

TEST_CASE("cuda attention: biases, blended and mixed heads as the processor has them") {
  FOVEA_NEEDS_KERNELS();
  const auto cpu = MakeCpuBackend();
  Arena host_arena(*cpu, size_t{1} << 20);
  Context host{*cpu, host_arena};
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    INFO(Name(dtype));
    CudaOpTest test;
    const HostTensor q = Random({2, 37, 3, 24}, dtype, 1), k = Random({2, 45, 3, 24}, dtype, 2);
    const HostTensor v = Random({2, 45, 3, 24}, dtype, 3), w = Random(q.shape(), dtype, 5);
    const HostTensor by_distance = Random({3, 100}, DType::kF32, 4);
    // Rows that begin one element earlier each.
    Tensor bias =
        Tensor::Contiguous(const_cast<void*>(by_distance.data()), {3, 37, 45}, DType::kF32);
    bias.data = static_cast<float*>(bias.data) + 40;
    bias.stride = {100, -1, 1};
    HostTensor want(q.shape(), dtype);
    BiasedAttention(host, q.View(), k.View(), v.View(), 0.3f, bias, want.View());
    const Tensor out = test.Out(q.shape(), dtype);
    BiasedAttention(test.ctx, test.Put(q), test.Put(k), test.Put(v), 0.3f, bias, out);
    RequireClose(test.Get(out), Reference::Of(want.View()));

    const std::vector<HeadMix> mix{{1, 0, 0, {}},     {0, 1, 0, {}},
                                   {0, 0, 1, {}},     {0.5f, 0.25f, 0.25f, {}},
                                   {0, 1, 0, {5, 9}}, {2, -1, 0, {}}};
    ApplyHeadMix(host, mix, w.View(), want.View());
    ApplyHeadMix(test.ctx, mix, test.Put(w), out);
    RequireClose(test.Get(out), Reference::Of(want.View()));
    BlendHeads(host, w.View().Slice(1, 3, 1), 0.25f, {4, 30}, want.View());
    BlendHeads(test.ctx, test.Put(w).Slice(1, 3, 1), 0.25f, {4, 30}, out);
    BlendHeads(host, w.View(), 1, {0, 2}, want.View());
    BlendHeads(test.ctx, test.Put(w), 1, {0, 2}, out);
    RequireClose(test.Get(out), Reference::Of(want.View()));
  }
}

TEST_CASE("cuda attention: products are those of the visits, banks are used well, order is free") {
  FOVEA_NEEDS_KERNELS();
  FOVEA_EMULATED_ONLY();
  for (const int64_t d : {32, 64, 96, 128}) {
    const HostTensor q = Random({1, 256, 1, d}, DType::kBF16, 1);
    std::vector<HostTensor> results;
    for (const WarpOrder order : {WarpOrder::kForward, WarpOrder::kReverse, WarpOrder::kShuffled}) {
      CudaOpTest test;
      TheEmulated().options.order = order;
      const Tensor there = test.Put(q), out = test.Out(q.shape(), DType::kBF16);
      const TileMap map =
          MapOf(256, 256, [](int64_t i, int64_t j) { return std::abs(i - j) <= 40; });
      TileAttention(test.ctx, map, 0.1f, {there, there, there, out});
      results.push_back(test.Get(out));
      CHECK(std::memcmp(results.back().data(), results.front().data(), out.Bytes()) == 0);
      const Counters& n = TheEmulated().counters.at("tile_core_" + std::to_string(d) + "_bf16");
      // A visit is two products of 64 x 64 x d, 16 x 8 x 16 at a time.
      CHECK(n.matrix_products == 2 * map.visits.size() * static_cast<size_t>(4 * 8 * d / 16));
      INFO(d << ": wavefronts " << n.shared_wavefronts << " of " << n.shared_ideal << ", sectors "
             << n.global_sectors << " of " << n.global_ideal);
      CHECK(double(n.shared_wavefronts) <= 1.02 * double(n.shared_ideal));
    }
  }
  TheEmulated().Clear();
}

}  // namespace
}  // namespace fovea::ptx
