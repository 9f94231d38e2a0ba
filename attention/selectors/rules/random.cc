// Tiles drawn anew at every call: what every choice by content has to beat.
#include <numeric>

#include "attention/random_bits.h"
#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {{"keep", "0.25", "share of the tiles that each row keeps"}};

class Random final : public Selector {
 public:
  explicit Random(double keep) : keep_(keep) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    RandomBits bits(SplitMix(call.at.seed) + static_cast<uint64_t>(call.layer_head), call.at.step,
                    call.at.layer);
    std::vector<size_t> tiles(call.Count());
    std::iota(tiles.begin(), tiles.end(), size_t{0});
    for (size_t i = 0; i < call.Count(); ++i) {
      for (size_t n = 0; n < Budget(keep_, tiles.size()); ++n) {
        std::swap(tiles[n], tiles[n + bits.Below(tiles.size() - n)]);
        kept.Keep(i, tiles[n]);
      }
    }
  }
  size_t MostKept(size_t count) const override { return Budget(keep_, count); }

 private:
  double keep_;
};

}  // namespace

const SelectorEntry kRandom = {
    "random",
    {"tiles drawn anew at every call: the control beside every choice by content",
     "ours, so that a choice has something to beat", "4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {.seed = true},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<Random>(args.Number("keep", 1e-6, 1));
    }};

}  // namespace fovea
