#include "attention/selectors/selected_attention.h"

#include <algorithm>
#include <optional>

#include "attention/ops/local_attention.h"
#include "attention/selectors/tile_choice.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr OpArg kTile{"tile", "",
                      "tokens of a tile on each axis, at most 64; none: the engine's box"};
constexpr OpArg kRest{"rest", "drop",
                      "drop, or mean: a tile left out is one key, as its tokens' mean"};
constexpr OpArg kRefresh{"refresh", "0", "steps that a choice is kept for; 0: one call"};
constexpr OpArg kRefreshOnce{"refresh", "0", "steps that a choice is kept for; 0: the whole run"};

struct Settings {
  std::optional<AxisValues> tile = {};
  StandIn stand_in = StandIn::kNone;
  int refresh = 0;
};

std::array<int, 3> BoxOf(const Settings& settings, const TokenLayout& layout) {
  const auto grid = *GridOf(layout);
  if (!settings.tile) return ChooseBox(grid);
  auto box = settings.tile->On(grid);
  for (size_t a = 0; a < 3; ++a) box[a] = std::min(box[a], grid[a]);
  return box;
}

struct Remembered final : OpState {
  int chosen_at = -1;
  std::shared_ptr<const TileMaps> maps;
};

class PreparedSelected final : public PreparedAttention {
 public:
  PreparedSelected(const AttentionSpec& spec, const Selector& selector,
                   const SelectorTraits& traits, const Settings& settings)
      : selector_(selector),
        traits_(traits),
        settings_(settings),
        scale_(ScoreScale(spec)),
        tiles_(CutIntoTiles(spec.q, BoxOf(settings, spec.q))) {
    TileBits kept(Count());
    if (traits_.fixed) {
      ChooseFor(SelectorCall{.tiles = tiles_}, kept);
      map_ = MapOfBits(tiles_, kept, settings_.stand_in);
    }
    if (settings_.stand_in == StandIn::kNone) return;
    folded_ = StandInTokens(tiles_, kept, settings_.stand_in);
    terms_ = StandInTerms(folded_);
  }

  std::unique_ptr<OpState> NewState() const override { return std::make_unique<Remembered>(); }
  const TileMap* Map() const override { return traits_.fixed ? &map_ : nullptr; }
  std::string_view NotPlainSoftmax() const override {
    return terms_.empty() ? "" : "has keys that stand for tiles";
  }

  std::shared_ptr<const TileMaps> ChooseTiles(Context& ctx, const OperatorIo& io,
                                              OpState* state) override {
    if (traits_.fixed) return nullptr;
    auto* remembered = static_cast<Remembered*>(state);
    if (remembered == nullptr || (traits_.once && io.at.steps <= 1)) return Chosen(ctx, io);
    const bool kept =
        remembered->maps != nullptr && ((traits_.once && settings_.refresh == 0) ||
                                        io.at.step < remembered->chosen_at + settings_.refresh);
    if (kept) return remembered->maps;
    remembered->maps = Chosen(ctx, io);
    remembered->chosen_at = io.at.step;
    return traits_.once ? Dense(ctx) : remembered->maps;
  }

  void Run(Context& ctx, const OperatorIo& io, OpState*) override {
    ENSURE(traits_.fixed || io.maps != nullptr, "ChooseTiles comes before Run");
    ArenaScope scope(ctx.arena);
    TileCall call = CallOf(io);
    if (!terms_.empty()) {
      const Shape means{io.k.shape[0], static_cast<int64_t>(Count()), io.k.shape[2], io.k.shape[3]};
      call.extra_k = ctx.arena.New(means, io.k.dtype);
      call.extra_v = ctx.arena.New(means, io.v.dtype);
      call.extra_terms = terms_;
      ctx.backend.CountFlops(2.0 * static_cast<double>(folded_.tokens.size()) *
                             static_cast<double>(means[0] * means[2] * means[3]));
      if (!ctx.backend.IsPlanning()) {
        FoldCpu(io.k, folded_, call.extra_k);
        FoldCpu(io.v, folded_, call.extra_v);
      }
    }
    if (traits_.fixed) return TileAttention(ctx, map_, scale_, call);
    TileAttention(ctx, *io.maps, scale_, call);
  }

  std::unique_ptr<AttentionMatrix> Matrix(Context&, const OperatorIo& io) override {
    SoftmaxSource source{.q = io.q, .k = io.k, .lse = io.lse, .scale = scale_};
    if (traits_.fixed) {
      source.map = &map_;
    } else {
      source.maps = io.maps;
    }
    if (!terms_.empty()) {
      source.owned.emplace_back(
          Shape{io.k.shape[0], static_cast<int64_t>(Count()), io.k.shape[2], io.k.shape[3]},
          io.k.dtype);
      source.extra_k = source.owned.back().View();
      FoldCpu(io.k, folded_, source.extra_k);
      source.extra_terms = terms_;
      source.folded = folded_;
    }
    return SoftmaxMatrix(std::move(source));
  }

 private:
  size_t Count() const { return tiles_.tiles.size() - static_cast<size_t>(tiles_.grid_begin); }

  void ChooseFor(const SelectorCall& call, TileBits& kept) const {
    selector_.Choose(call, kept);
    for (size_t i = 0; i < kept.Count() && traits_.own_tile; ++i) kept.Keep(i, i);
  }

  std::shared_ptr<const TileMaps> Chosen(Context& ctx, const OperatorIo& io) const {
    const int64_t heads = io.q.shape[2], all = io.q.shape[0] * heads;
    ctx.backend.CountFlops(static_cast<double>(all) *
                           selector_.Flops({.tiles = tiles_}, io.q.shape[3]));
    auto maps = std::make_shared<TileMaps>();
    if (ctx.backend.IsPlanning()) {
      const size_t most = selector_.MostKept(Count()) + (traits_.own_tile ? 1 : 0);
      maps->planned_pairs = PairsOf(std::min(Count(), most));
      return maps;
    }
    maps->each.resize(static_cast<size_t>(all));
    const int64_t jobs = traits_.keys ? io.q.shape[0] : all;
    ParallelFor(jobs, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if (traits_.keys) {
          ChooseKeysFor(io, i, *maps);
          continue;
        }
        TileBits kept(Count());
        ChooseFor(CallFor(io, i / heads, i % heads), kept);
        maps->each[static_cast<size_t>(i)] =
            std::make_shared<TileMap>(MapOfBits(tiles_, kept, settings_.stand_in));
      }
    });
    return maps;
  }

  SelectorCall CallFor(const OperatorIo& io, int64_t sample, int64_t head) const {
    return {.tiles = tiles_,
            .q = io.q,
            .k = io.k,
            .v = io.v,
            .sample = sample,
            .head = head,
            .layer_head = io.first_head + static_cast<int>(head),
            .layer_heads = io.LayerHeads(),
            .scale = scale_,
            .at = io.at};
  }

  void ChooseKeysFor(const OperatorIo& io, int64_t sample, TileMaps& maps) const {
    const int64_t heads = io.q.shape[2];
    std::vector<SelectorCall> calls;
    for (int64_t head = 0; head < heads; ++head) calls.push_back(CallFor(io, sample, head));
    std::vector<KeyBits> kept(calls.size(), KeyBits(Count()));
    selector_.ChooseKeys(calls, kept);
    for (size_t head = 0; head < kept.size(); ++head) {
      for (size_t i = 0; i < Count() && traits_.own_tile; ++i) kept[head].KeepTile(i, i);
      maps.each[static_cast<size_t>(sample * heads) + head] =
          std::make_shared<TileMap>(MapOfKeys(tiles_, kept[head]));
    }
  }

  // Pairs of one head, at most, where a row visits `tiles` tiles of the grid.
  double PairsOf(size_t tiles) const {
    const auto tokens = static_cast<double>(tiles_.tokens.size());
    double text = tokens;
    for (const TokenTile& tile : tiles_.tiles) text -= tile.grid ? tile.count : 0;
    const double largest = tiles_.box[0] * tiles_.box[1] * tiles_.box[2];
    const double seen = std::min(tokens, text + largest * static_cast<double>(tiles));
    const bool all = tiles == Count();
    const double stand_ins = all || terms_.empty() ? 0 : static_cast<double>(Count());
    return text * tokens + (tokens - text) * (seen + stand_ins);
  }

  std::shared_ptr<const TileMaps> Dense(const Context& ctx) const {
    auto maps = std::make_shared<TileMaps>();
    if (ctx.backend.IsPlanning()) {
      maps->planned_pairs = PairsOf(Count());
      return maps;
    }
    TileBits kept(Count());
    kept.KeepAll();
    maps->each.push_back(std::make_shared<TileMap>(MapOfBits(tiles_, kept, settings_.stand_in)));
    return maps;
  }

  const Selector& selector_;
  SelectorTraits traits_;
  Settings settings_;
  float scale_;
  TokenTiles tiles_;
  TileMap map_;        // of fixed selectors
  FoldedKeys folded_;  // of the stand-ins, if any
  std::vector<float> terms_;
};

OpTraits TraitsOf(const SelectorTraits& traits, const Settings& settings) {
  OpTraits op{.seed = traits.seed, .mixes = true};
  op.state = !traits.fixed && (traits.once || settings.refresh > 0);
  constexpr int kWholeRun = 1 << 20;
  if (op.state) op.refresh = settings.refresh > 0 ? settings.refresh : kWholeRun;
  return op;
}

class BoundSelected final : public BoundOp {
 public:
  BoundSelected(OperatorSpec spec, const SelectorEntry& entry, const Settings& settings,
                std::unique_ptr<const Selector> selector)
      : BoundOp(std::move(spec), TraitsOf(entry.traits, settings)),
        entry_(entry),
        settings_(settings),
        selector_(std::move(selector)) {}

  Support Supports(const AttentionSpec& spec) const override {
    const std::string name(entry_.name);
    if (spec.device != DeviceKind::kCpu) return {false, name + " chooses tiles on the CPU alone"};
    const Support support = SupportsLocal(name, spec);
    if (!support.ok) return support;
    const auto grid = *GridOf(spec.q), box = BoxOf(settings_, spec.q);
    int64_t tokens = 1, tiles = 1;
    for (size_t a = 0; a < 3; ++a) tokens *= box[a], tiles *= (grid[a] + box[a] - 1) / box[a];
    if (tokens > kTileTokens) {
      return {false, name + ": tile has " + std::to_string(tokens) + " tokens; at most 64 fit"};
    }
    if (tiles < 2) return {false, name + " needs 2 tiles or more; on this grid dense is faster"};
    return {};
  }
  std::unique_ptr<PreparedAttention> Prepare(const AttentionSpec& spec) const override {
    return std::make_unique<PreparedSelected>(spec, *selector_, entry_.traits, settings_);
  }

 private:
  const SelectorEntry& entry_;
  Settings settings_;
  std::unique_ptr<const Selector> selector_;
};

class Selected final : public AttentionOp {
 public:
  explicit Selected(const SelectorEntry& entry)
      : entry_(entry), args_(entry.args.begin(), entry.args.end()) {
    args_.push_back(kTile);
    if (entry.traits.rest) args_.push_back(kRest);
    if (!entry.traits.fixed) args_.push_back(entry.traits.once ? kRefreshOnce : kRefresh);
  }
  std::string_view Name() const override { return entry_.name; }
  OpAbout About() const override { return entry_.about; }
  std::span<const OpArg> Args() const override { return args_; }

  std::unique_ptr<const BoundOp> Bind(const OpParams& params) const override {
    const OpArgs args(Name(), args_, params);
    Settings settings{.stand_in = entry_.traits.always};
    if (args.Has("tile")) settings.tile = args.PerAxis("tile", 1, kTileTokens);
    if (entry_.traits.rest && args.Word("rest", {"drop", "mean"}) == "mean") {
      settings.stand_in = StandIn::kEachTile;
    }
    if (!entry_.traits.fixed) settings.refresh = args.Int("refresh", 0, 1 << 20);
    return std::make_unique<BoundSelected>(OperatorSpec{std::string(Name()), params}, entry_,
                                           settings, entry_.bind(args));
  }

 private:
  const SelectorEntry& entry_;
  std::vector<OpArg> args_;
};

}  // namespace

std::unique_ptr<const AttentionOp> SelectedAttention(const SelectorEntry& entry) {
  return std::make_unique<Selected>(entry);
}

}  // namespace fovea
