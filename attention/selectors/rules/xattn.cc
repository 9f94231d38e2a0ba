// Tiles by sums of antidiagonals of the scores, as many as hold a share of the attention.
#include <algorithm>
#include <cmath>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"threshold", "0.9", "share of the estimated attention that a row keeps"},
    {"stride", "8", "tokens of an antidiagonal"}};

class XAttention final : public Selector {
 public:
  XAttention(double threshold, int stride) : threshold_(threshold), stride_(stride) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    std::vector<int32_t> tile;
    const std::vector<float> q = Runs(call, call.q, true, nullptr),
                             k = Runs(call, call.k, false, &tile);
    const int64_t width = call.q.shape[3] * stride_;
    const TileScores mass = AttentionMass(q, tile, PackedKeys(k, width, tile), width,
                                          call.scale / static_cast<float>(stride_), call.Count());
    if (!AllFinite(mass)) return kept.KeepAll();
    for (size_t i = 0; i < call.Count(); ++i) {
      const auto row = std::span(mass).subspan(i * call.Count(), call.Count());
      double total = 0, before = 0;
      for (const float x : row) total += double(x);
      for (const int32_t j : Descending(row)) {  // the one that crosses the threshold is kept
        if (before > 0 && before >= threshold_ * total) break;
        kept.Keep(i, static_cast<size_t>(j));
        before += double(row[static_cast<size_t>(j)]);
      }
    }
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto n = static_cast<double>(call.GridTokens());
    return 2.0 * n * n * static_cast<double>(d) / stride_;
  }

 private:
  // Each run of `stride` tokens of a tile as one row; queries in reverse order, missing ones zero.
  std::vector<float> Runs(const SelectorCall& call, const Tensor& x, bool reverse,
                          std::vector<int32_t>* tile) const {
    const auto d = static_cast<size_t>(x.shape[3]), stride = static_cast<size_t>(stride_);
    std::vector<float> runs;
    for (size_t i = 0; i < call.Count(); ++i) {
      const auto tokens = call.Positions(i);
      const std::vector<float> rows = RowsOf(call, x, tokens);
      for (size_t first = 0; first < tokens.size(); first += stride) {
        const size_t at = runs.size();
        runs.resize(at + stride * d);
        for (size_t r = 0; r < stride && first + r < tokens.size(); ++r) {
          const size_t place = reverse ? stride - 1 - r : r;
          std::copy_n(rows.begin() + static_cast<int64_t>((first + r) * d), d,
                      runs.begin() + static_cast<int64_t>(at + place * d));
        }
        if (tile != nullptr) tile->push_back(static_cast<int32_t>(i));
      }
    }
    return runs;
  }

  double threshold_;
  int stride_;
};

}  // namespace

const SelectorEntry kXattn = {
    "xattn",
    {"tiles by sums of antidiagonals, until the threshold of the attention is reached",
     "Xu et al. 2025, XAttention, arXiv:2503.16428",
     "1 / (2 stride) of dense to choose, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<XAttention>(args.Number("threshold", 0, 1),
                                          args.Int("stride", 1, 64));
    }};

}  // namespace fovea
