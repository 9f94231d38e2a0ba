// A selector: which key tiles each query tile visits, chosen by content or by place.
//
// A selector is one short file in rules/: its arguments and one function that fills bits; its line
// is in selectors.cc. All else is shared (selected_attention.h): text, which is always seen, the
// own tile, what stands for the tiles that are left out, the kernel's lists, the memory over steps,
// inspection.
#pragma once

#include <memory>
#include <numeric>
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

// One bit for each pair of a grid tile of queries and a key of the grid.
class KeyBits {
 public:
  explicit KeyBits(size_t count) : count_(count), columns_(count * count) {}
  size_t Count() const { return count_; }
  // Bit t: token t of the key tile; those beyond its tokens count for nothing.
  uint64_t Columns(size_t query, size_t key) const { return columns_[query * count_ + key]; }
  void Keep(size_t query, size_t key, int token) {
    columns_[query * count_ + key] |= uint64_t{1} << token;
  }
  void KeepTile(size_t query, size_t key) { columns_[query * count_ + key] = ~uint64_t{0}; }
  void KeepAll() { columns_.assign(columns_.size(), ~uint64_t{0}); }

 private:
  size_t count_;
  std::vector<uint64_t> columns_;
};

// What a selector is asked for: one head of one sample.
struct SelectorCall {
  const TokenTiles& tiles;
  Tensor q{}, k{}, v{};          // (b,t,heads,d), as the kernel will read them; on the host
  int64_t sample = 0, head = 0;  // in q, k and v
  int layer_head = 0;            // index of the head in the layer
  int layer_heads = 1;           // that the layer has
  float scale = 1;
  RunPoint at{};

  size_t Count() const { return tiles.tiles.size() - static_cast<size_t>(tiles.grid_begin); }
  const TokenTile& Tile(size_t i) const {
    return tiles.tiles[static_cast<size_t>(tiles.grid_begin) + i];
  }
  size_t GridTokens() const { return tiles.tokens.size() - static_cast<size_t>(Tile(0).begin); }
  // In tiles.tokens, of a tile's tokens.
  std::vector<int32_t> Positions(size_t tile) const {
    std::vector<int32_t> positions(static_cast<size_t>(Tile(tile).count));
    std::iota(positions.begin(), positions.end(), Tile(tile).begin);
    return positions;
  }
};

class Selector {
 public:
  virtual ~Selector() = default;
  // Adds to `kept`, which is empty, of size call.Count(). Reads grid tokens alone. Thread-safe. The
  // bits depend on the call and on nothing else.
  virtual void Choose(const SelectorCall& /*call*/, TileBits& /*kept*/) const {}
  // Instead of Choose, of those with SelectorTraits::keys: single keys, for all heads of one sample
  // that run the operator, so that heads may choose together. One of `kept` for each call.
  virtual void ChooseKeys(std::span<const SelectorCall> /*heads*/,
                          std::span<KeyBits> /*kept*/) const {}
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
  bool keys = false;     // chooses single keys: ChooseKeys
  bool seed = false;     // draws by RunPoint::seed
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

// One for each file of rules/; selectors.cc lists them.
extern const SelectorEntry kCombiner, kRazor, kSparsed, kProbe, kXattn, kSparge, kDraft, kSvg2,
    kPower, kFlexPrefill, kS2, kLongHeads, kSale, kTokenSelect, kAnchor, kHip, kRandom;

}  // namespace fovea
