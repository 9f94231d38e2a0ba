// The pooled map where the middle tile confirms it, else that tile's columns and offsets.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "attention/selectors/tile_scores.h"

namespace fovea {
namespace {

constexpr OpArg kArgs[] = {
    {"gamma", "0.9", "share of the attention that is covered"},
    {"tau", "0.1", "distance up to which the pooled map is trusted: 0 never, 1 always"},
    {"min", "1", "columns and offsets that are kept at least"}};

using Place = std::array<int, 3>;

// Place of a token of the grid, by its number in the tile.
Place PlaceOf(const TokenTiles& tiles, const TokenTile& tile, int number) {
  const int columns = tile.extent[2], area = tile.extent[1] * columns;
  const Place in = {number / area, number / columns % tile.extent[1], number % columns};
  Place place;
  for (size_t a = 0; a < 3; ++a) place[a] = tile.index[a] * tiles.box[a] + in[a];
  return place;
}

// Numbers by offset on each axis, from -reach to +reach.
class Offsets {
 public:
  explicit Offsets(const Place& reach) : reach_(reach) {
    size_t size = 1;
    for (const int r : reach) size *= static_cast<size_t>(2 * r + 1);
    values_.resize(size);
  }
  double& At(const Place& offset) { return values_[IndexOf(offset)]; }
  size_t IndexOf(const Place& offset) const {
    size_t index = 0;
    for (size_t a = 0; a < 3; ++a) {
      index = index * static_cast<size_t>(2 * reach_[a] + 1) +
              static_cast<size_t>(offset[a] + reach_[a]);
    }
    return index;
  }
  const std::vector<double>& Values() const { return values_; }

 private:
  Place reach_;
  std::vector<double> values_;
};

int FloorDivide(int a, int b) {
  return a / b - (a % b < 0 ? 1 : 0);
}

// How many of the largest stay within the share, and one more.
size_t Cover(std::vector<double> values, double share) {
  std::sort(values.rbegin(), values.rend());
  size_t count = 0;
  double sum = 0;
  for (const double value : values) count += (sum += value) <= share;
  return count + 1;
}

// The square root of the Jensen-Shannon divergence.
double Distance(std::span<const float> p, const std::vector<double>& q) {
  double sum = 0;
  const auto term = [](double x, double mean) { return x == 0 ? 0 : x * std::log(x / mean); };
  for (size_t j = 0; j < q.size(); ++j) {
    const double x = double(p[j]), mean = (x + q[j]) / 2;
    sum += (term(x, mean) + term(q[j], mean)) / 2;
  }
  return std::sqrt(std::max(0.0, sum));
}

std::vector<bool> Largest(const std::vector<double>& values, size_t count) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&values](size_t a, size_t b) { return values[a] > values[b]; });
  std::vector<bool> is(values.size());
  for (size_t n = 0; n < std::min(count, order.size()); ++n) is[order[n]] = true;
  return is;
}

class FlexPrefill final : public Selector {
 public:
  FlexPrefill(double gamma, double tau, int least) : gamma_(gamma), tau_(tau), least_(least) {}
  void Choose(const SelectorCall& call, TileBits& kept) const override {
    const size_t count = call.Count();
    const TileScores pooled = PooledMass(call);
    const auto& boxes = call.tiles.boxes;
    const auto middle =
        static_cast<size_t>((boxes[0] / 2 * boxes[1] + boxes[1] / 2) * boxes[2] + boxes[2] / 2);
    Seen seen(call);
    if (!AllFinite(pooled) || !AddQueriesOf(call, middle, seen)) return kept.KeepAll();

    std::vector<double> tiles(count);
    for (size_t x = 0; x < seen.keys.size(); ++x) tiles[seen.tile[x]] += seen.keys[x];
    const bool trusted = Distance(std::span(pooled).subspan(middle * count, count), tiles) < tau_;
    const auto least = std::clamp<size_t>(static_cast<size_t>(least_), 1, count);
    size_t columns = least, offsets = least;
    if (trusted) {
      double sum = 0;
      for (const int32_t pair : Descending(pooled)) {
        sum += double(pooled[static_cast<size_t>(pair)]);
        if (sum > gamma_ * double(count)) break;
        kept.Keep(static_cast<size_t>(pair) / count, static_cast<size_t>(pair) % count);
      }
    } else {
      const auto whole =
          static_cast<size_t>(call.tiles.box[0] * call.tiles.box[1] * call.tiles.box[2]);
      columns = std::clamp(Cover(seen.keys, gamma_) / whole + 1, least, count);
      offsets = std::clamp(Cover(seen.offsets.Values(), gamma_) / whole + 1, least, count);
    }
    const std::vector<bool> column = Largest(tiles, columns),
                            offset = Largest(seen.box_offsets.Values(), offsets);
    for (size_t i = 0; i < count; ++i) {
      for (size_t j = 0; j < count; ++j) {
        Place moved;
        for (size_t a = 0; a < 3; ++a) moved[a] = call.Tile(j).index[a] - call.Tile(i).index[a];
        if (column[j] || offset[seen.box_offsets.IndexOf(moved)]) kept.Keep(i, j);
      }
    }
  }
  double Flops(const SelectorCall& call, int64_t d) const override {
    const auto tokens = static_cast<double>(call.GridTokens());
    const auto tiles = static_cast<double>(call.Count());
    return (2.0 * kTileTokens * tokens + 2 * tokens + 2 * tiles * tiles) * static_cast<double>(d);
  }

 private:
  // Means over the asked queries of what they give to each key, by key and by offset.
  struct Seen {
    explicit Seen(const SelectorCall& call)
        : offsets(Reach(call.tiles.grid)), box_offsets(call.tiles.boxes) {}
    static Place Reach(const Place& grid) { return {grid[0] - 1, grid[1] - 1, grid[2] - 1}; }
    std::vector<double> keys;
    std::vector<size_t> tile;
    Offsets offsets, box_offsets;
  };

  // False where a number is not finite.
  static bool AddQueriesOf(const SelectorCall& call, size_t asked, Seen& seen) {
    const auto d = static_cast<size_t>(call.q.shape[3]);
    const ScoredKeys keys = GridKeys(call);
    const TokenTile& own = call.Tile(asked);
    const std::vector<float> rows = RowsOf(call, call.q, call.Positions(asked));
    std::vector<float> block(d * kScoreQueries), scores(keys.index.size() * kScoreQueries);
    for (size_t a = 0; a < static_cast<size_t>(own.count); ++a) {
      for (size_t c = 0; c < d; ++c) block[c * kScoreQueries + a] = call.scale * rows[a * d + c];
    }
    const auto all = static_cast<int64_t>(keys.index.size());
    ScoreBlockCpu(block.data(), keys.rows, keys.bf16, int64_t(d), keys.index.data(), all,
                  scores.data());
    SoftmaxBlockCpu(scores.data(), all);
    if (!AllFinite(scores)) return false;
    size_t x = 0;
    for (size_t j = 0; j < call.Count(); ++j) {
      for (int number = 0; number < call.Tile(j).count; ++number, ++x) {
        const Place key = PlaceOf(call.tiles, call.Tile(j), number);
        double sum = 0;
        for (int a = 0; a < own.count; ++a) {
          const double share = double(scores[x * kScoreQueries + size_t(a)]) / own.count;
          const Place query = PlaceOf(call.tiles, own, a);
          Place moved, boxes;
          for (size_t axis = 0; axis < 3; ++axis) {
            const int box = call.tiles.box[axis];
            moved[axis] = key[axis] - query[axis];
            boxes[axis] = FloorDivide(moved[axis] + box / 2, box);
          }
          seen.offsets.At(moved) += share;
          seen.box_offsets.At(boxes) += share;
          sum += share;
        }
        seen.keys.push_back(sum);
        seen.tile.push_back(j);
      }
    }
    return true;
  }

  double gamma_, tau_;
  int least_;
};

}  // namespace

const SelectorEntry kFlexPrefill = {
    "flexprefill",
    {"tiles by the pooled map where the middle tile confirms it, else by its columns and offsets",
     "Lai et al. 2025, FlexPrefill, arXiv:2502.20766 (the middle tile and offsets of a grid are "
     "ours)",
     "1 / (2 tiles) of dense to choose, then 4 n d times the kept keys",
     "cross-attention, causal attention, fewer than 2 tiles, tiles of more than 64 tokens"},
    kArgs,
    {},
    [](const OpArgs& args) -> std::unique_ptr<const Selector> {
      return std::make_unique<FlexPrefill>(args.Number("gamma", 0, 1), args.Number("tau", 0, 1),
                                           args.Int("min", 1, 1 << 20));
    }};

}  // namespace fovea
