// One operator that chooses tiles, on random tensors, with all that its tests ask of it.
#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <numeric>

#include "attention/attention_runtime.h"
#include "attention/matrix/attention_matrix.h"
#include "attention/tiles/tile_map.h"
#include "tensor/planning_backend.h"
#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {

using Rows = std::vector<std::vector<double>>;
using Bits = std::vector<std::vector<bool>>;

// One operator on random tensors, with all that a test asks of it.
struct Selected {
  explicit Selected(OperatorCase the_case, std::array<int, 3> box = {0, 0, 0}, int threads_seed = 1)
      : c(std::move(the_case)) {
    spec.batch = c.batch, spec.heads = c.heads, spec.head_dim = c.head_dim;
    spec.q = spec.kv = LayoutOf(c);
    const Shape shape{c.batch, TokenCount(spec.q), c.heads, c.head_dim};
    const auto seed = static_cast<uint32_t>(threads_seed);
    q = RandomNormal(shape, seed, 2), k = RandomNormal(shape, seed + 1, 1);
    v = RandomNormal(shape, seed + 2);
    out = HostTensor(shape, DType::kF32);
    lse = HostTensor({c.batch, c.heads, shape[1]}, DType::kF32);
    op = BindOperator({c.op, c.params});
    const Support support = op->Supports(spec);
    INFO(support.reason);
    REQUIRE(support.ok);
    prepared = op->Prepare(spec);
    tiles = CutIntoTiles(spec.q, box[0] == 0 ? ChooseBox(c.grid) : box);
  }

  void Run() {
    io.q = q.View(), io.k = k.View(), io.v = v.View(), io.out = out.View(), io.lse = lse.View();
    const auto state = prepared->NewState();
    io.maps = prepared->ChooseTiles(ctx, io, op->Traits().state ? state.get() : nullptr);
    prepared->Run(ctx, io);
  }

  size_t Count() const { return tiles.tiles.size() - static_cast<size_t>(tiles.grid_begin); }
  const TileMap& MapOf(int64_t b, int64_t h) const {
    return prepared->Map() != nullptr ? *prepared->Map()
                                      : io.maps->Of(static_cast<size_t>(b * c.heads + h));
  }
  Bits BitsOf(int64_t b, int64_t h) const {
    const TileMap& map = MapOf(b, h);
    const auto grid = static_cast<size_t>(tiles.grid_begin);
    Bits bits(Count(), std::vector<bool>(Count()));
    for (size_t i = 0; i < Count(); ++i) {
      for (int64_t n = map.rows[grid + i].begin; n < map.rows[grid + i].end; ++n) {
        const auto tile = static_cast<size_t>(map.visits[static_cast<size_t>(n)].tile);
        if (tile >= grid && tile < tiles.tiles.size()) bits[i][tile - grid] = true;
      }
    }
    return bits;
  }
  std::vector<int32_t> Tokens(size_t tile) const {
    const TokenTile& own = tiles.tiles[static_cast<size_t>(tiles.grid_begin) + tile];
    return {tiles.tokens.begin() + own.begin, tiles.tokens.begin() + own.begin + own.count};
  }
  std::vector<double> Row(const HostTensor& x, int64_t b, int64_t token, int64_t h) const {
    std::vector<double> row;
    for (int64_t i = 0; i < c.head_dim; ++i)
      row.push_back(reference::At(x.View(), {b, token, h, i}));
    return row;
  }
  std::vector<double> Mean(const HostTensor& x, int64_t b, int64_t h,
                           const std::vector<int32_t>& tokens) const {
    std::vector<double> mean(static_cast<size_t>(c.head_dim));
    for (const int32_t token : tokens) {
      const auto row = Row(x, b, token, h);
      for (size_t i = 0; i < mean.size(); ++i) mean[i] += row[i] / double(tokens.size());
    }
    return mean;
  }

  // Outputs and lse from the visited tiles alone; `mean`: each tile left out is one key; `one`: all
  // are.
  void CheckOutput(bool mean, bool one = false) {
    Worst worst, worst_lse, worst_rows;
    const auto matrix = prepared->Matrix(ctx, io);
    const int64_t tokens = TokenCount(spec.q);
    for (int64_t b = 0; b < c.batch; ++b) {
      for (int64_t h = 0; h < c.heads; ++h) {
        const Bits bits = BitsOf(b, h);
        for (int64_t query = 0; query < tokens; query += 7) {
          std::vector<std::vector<double>> keys, values;
          std::vector<double> terms;
          const auto add = [&](const std::vector<int32_t>& of, bool folded) {
            if (of.empty()) return;
            if (folded) {
              keys.push_back(Mean(k, b, h, of)), values.push_back(Mean(v, b, h, of));
              terms.push_back(std::log(double(of.size())));
              return;
            }
            for (const int32_t token : of) {
              keys.push_back(Row(k, b, token, h)), values.push_back(Row(v, b, token, h));
              terms.push_back(0);
            }
          };
          size_t tile = Count();
          std::vector<bool> is_text(static_cast<size_t>(tokens), true);
          for (size_t j = 0; j < Count(); ++j) {
            for (const int32_t token : Tokens(j)) {
              is_text[static_cast<size_t>(token)] = false;
              if (token == query) tile = j;
            }
          }
          std::vector<int32_t> text, rest;
          for (int32_t t = 0; t < tokens; ++t) {
            if (is_text[static_cast<size_t>(t)]) text.push_back(t);
          }
          add(text, false);
          for (size_t j = 0; j < Count(); ++j) {
            const auto own = Tokens(j);
            if (tile == Count() || bits[tile][j]) {
              add(own, false);
            } else if (mean) {
              add(own, true);
            } else {
              rest.insert(rest.end(), own.begin(), own.end());
            }
          }
          if (one) add(rest, true);
          const auto asked = Row(q, b, query, h);
          std::vector<double> score = terms;
          double largest = -INFINITY, sum = 0;
          for (size_t j = 0; j < keys.size(); ++j) {
            score[j] += std::inner_product(asked.begin(), asked.end(), keys[j].begin(), 0.0) /
                        std::sqrt(double(c.head_dim));
            largest = std::max(largest, score[j]);
          }
          for (double& x : score) sum += x = std::exp(x - largest);
          std::vector<float> shown(static_cast<size_t>(tokens));
          const int32_t one_query[] = {static_cast<int32_t>(query)};
          matrix->Rows(b, h, one_query, shown.data());
          for (int64_t i = 0; i < c.head_dim; ++i) {
            double want = 0, by_row = 0;
            for (size_t j = 0; j < keys.size(); ++j) want += score[j] / sum * values[j][size_t(i)];
            for (int64_t t = 0; t < tokens; ++t) {
              by_row += double(shown[size_t(t)]) * reference::At(v.View(), {b, t, h, i});
            }
            worst.Add(reference::At(out.View(), {b, query, h, i}), want);
            worst_rows.Add(by_row, want);
          }
          worst_lse.Add(reference::At(lse.View(), {b, h, query}), largest + std::log(sum));
        }
      }
    }
    CHECK(worst.Value() <= 4e-6);
    CHECK(worst_rows.Value() <= 4e-6);
    CHECK(worst_lse.Value() <= 1e-5);
  }

  OperatorCase c;
  AttentionSpec spec;
  HostTensor q, k, v, out, lse;
  std::shared_ptr<const BoundOp> op;
  std::unique_ptr<PreparedAttention> prepared;
  TokenTiles tiles;
  OperatorIo io;
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 64 << 20};
  Context ctx{*backend, arena};
};

}  // namespace fovea
