// A selector: which key tiles each query tile visits, chosen by content or by place.
//
// A selector is one short file: its arguments and one function that fills bits; its line is in
// selectors.cc. All else is shared (selected_attention.h): text, which is always seen, the own
// tile, what stands for the tiles that are left out, the kernel's lists, the memory over steps,
// inspection.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attention/attention_op.h"
#include "attention/tiles/token_tiles.h"

namespace fovea {

// One bit for each pair of grid tiles, by index among the grid's tiles.
class TileBits {
 public:
  explicit TileBits(size_t count) : count_(count), bits_(count * count) {}
  size_t Count() const { return count_; }
  bool Has(size_t query, size_t key) const { return bits_[query * count_ + key] != 0; }
  void Keep(size_t query, size_t key) { bits_[query * count_ + key] = 1; }
  void KeepAll() { bits_.assign(bits_.size(), 1); }

 private:
  size_t count_;
  std::vector<uint8_t> bits_;
};

// What a selector is asked for: one head of one sample.
struct SelectorCall {
  const TokenTiles& tiles;
  Tensor q{}, k{};               // (b,t,heads,d), as the kernel will read them; on the host
  int64_t sample = 0, head = 0;  // in q and k
  int layer_head = 0;            // index of the head in the layer
  float scale = 1;
  RunPoint at{};

  size_t Count() const { return tiles.tiles.size() - static_cast<size_t>(tiles.grid_begin); }
  const TokenTile& Tile(size_t i) const {
    return tiles.tiles[static_cast<size_t>(tiles.grid_begin) + i];
  }
  size_t GridTokens() const { return tiles.tokens.size() - static_cast<size_t>(Tile(0).begin); }
};

class Selector {
 public:
  virtual ~Selector() = default;
  // Adds to `kept`, which is empty, of size call.Count(). Reads grid tokens alone. Thread-safe. The
  // bits depend on the call and on nothing else.
  virtual void Choose(const SelectorCall& call, TileBits& kept) const = 0;
  // What Choose multiplies for one head: for dry runs and reports.
  virtual double Flops(const SelectorCall& /*without tensors*/, int64_t /*head_dim*/) const {
    return 0;
  }
  // Tiles that a row keeps at most, of `count`.
  virtual size_t MostKept(size_t count) const { return count; }
};

struct SelectorTraits {
  bool fixed = false;    // reads the tiles' places alone: one map for all heads, samples and steps
  bool once = false;     // the call that chooses is dense, and the choice serves the steps after it
  bool own_tile = true;  // every tile sees itself, whatever was chosen
  bool rest = true;      // has the argument `rest`; false: `always` says what stands for the others
  enum class StandIn { kNone, kEachTile, kAllTiles } always = StandIn::kNone;
};

struct SelectorEntry {
  std::string_view name;
  OpAbout about;
  std::span<const OpArg> args;  // without those that all share
  SelectorTraits traits;
  std::unique_ptr<const Selector> (*bind)(const OpArgs& args);
};

// One for each file of this folder; selectors.cc lists them.
extern const SelectorEntry kCombiner, kRazor, kSparsed, kProbe, kXattn, kSparge, kDraft, kSvg2,
    kPower;

}  // namespace fovea
