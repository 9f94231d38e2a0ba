#include "attention/selectors/rules/near_tiles.h"

#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

class Near final : public Selector {
 public:
  explicit Near(int ring) : ring_(ring) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    for (size_t i = 0; i < call.Count(); ++i) {
      for (size_t j = 0; j < call.Count(); ++j) {
        if (IsNear(call.Tile(i), call.Tile(j), ring_)) kept.Keep(i, j);
      }
    }
  }

 private:
  int ring_;
};

}  // namespace

std::unique_ptr<const Selector> NearTiles(const OpArgs& args) {
  return std::make_unique<Near>(args.Int("ring", 0, 1 << 20));
}

}  // namespace fovea
