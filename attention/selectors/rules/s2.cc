// Near tiles, and stripes of tiles that shift from head to head: together the heads see all.
#include <algorithm>

#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"ring", "1", "tiles that are near on each axis"},
                           {"stride", "4", "tiles from one stripe to the next"},
                           {"offset", "0", "tiles that all stripes are shifted by"}};

class S2 final : public Selector {
 public:
  S2(int ring, int stride, int offset) : ring_(ring), stride_(stride), offset_(offset) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    // Places are absolute: counted from the query, all heads would see the same tiles.
    const int step = std::max(1, stride_ / call.layer_heads);
    const int64_t shift = int64_t{call.layer_head} * step + offset_;
    for (size_t i = 0; i < call.Count(); ++i) {
      for (size_t j = 0; j < call.Count(); ++j) {
        const bool striped = (static_cast<int64_t>(j) + shift) % stride_ == 0;
        if (striped || IsNear(call.Tile(i), call.Tile(j), ring_)) kept.Keep(i, j);
      }
    }
  }

 private:
  int ring_, stride_, offset_;
};

}  // namespace

const SelectorEntry kS2 = {
    "s2",
    {"near tiles, and every stride-th tile, another one in each head",
     "Lin et al. 2024, S2-Attention, arXiv:2407.17678 (tiles of a grid are ours)",
     "4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<S2>(args.Int("ring", 0, 1 << 20), args.Int("stride", 1, 1 << 20),
                                  args.Int("offset", 0, 1 << 20));
    }};

}  // namespace fovea
