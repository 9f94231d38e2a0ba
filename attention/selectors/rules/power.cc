// Tiles at power-of-two distances: a receptive field that grows as 2^layers.
#include <cstdlib>

#include "attention/op_args.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"window", "1", "tiles that are near on each axis"},
                           {"rule", "cross", "cross: along one axis; product: on every axis"}};

bool IsPower(int distance) {
  const auto x = static_cast<unsigned>(std::abs(distance));
  return x != 0 && (x & (x - 1)) == 0;
}

class Power final : public Selector {
 public:
  Power(int window, bool cross) : window_(window), cross_(cross) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    for (size_t i = 0; i < call.Count(); ++i) {
      for (size_t j = 0; j < call.Count(); ++j) {
        const auto &a = call.Tile(i).index, &b = call.Tile(j).index;
        int moved = 0, odd = 0;
        for (size_t axis = 0; axis < 3; ++axis) {
          moved += a[axis] != b[axis];
          odd += a[axis] != b[axis] && !IsPower(b[axis] - a[axis]);
        }
        const bool far = odd == 0 && (!cross_ || moved <= 1);
        if (far || IsNear(call.Tile(i), call.Tile(j), window_)) kept.Keep(i, j);
      }
    }
  }

 private:
  int window_;
  bool cross_;
};

}  // namespace

const SelectorEntry kPower = {
    "power",
    {"tiles at power-of-two distances, and near ones",
     "Chen et al. 2025, PowerAttention, arXiv:2503.03588 (two dimensions are ours)",
     "O(n log n) d; see the density that is reported",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.fixed = true},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Power>(args.Int("window", 0, 1 << 20),
                                     args.Word("rule", {"cross", "product"}) == "cross");
    }};

}  // namespace fovea
