#include "attention/attention_runtime.h"

#include <algorithm>
#include <limits>

#include "attention/ops/agent.h"
#include "attention/tile_map.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

void CheckIo(const AttentionSite& site, const AttentionSpec& spec, const AttentionIo& io) {
  const Shape q{spec.batch, TokenCount(spec.q), spec.heads, spec.head_dim};
  const Shape kv{spec.batch, TokenCount(spec.kv), spec.heads, spec.head_dim};
  ENSURE(io.q.shape == q && io.out.shape == q, site.path + " q " + io.q.shape.ToString());
  ENSURE(io.k.shape == kv && io.v.shape == kv, site.path + " k " + io.k.shape.ToString());
  for (const Tensor* x : {&io.q, &io.k, &io.v, &io.out}) {
    ENSURE(x->dtype == spec.dtype && x->stride[3] == 1, site.path);
  }
  ENSURE(io.lse.Empty() || (io.lse.shape == Shape{spec.batch, spec.heads, q[1]} &&
                            io.lse.stride[2] == 1 && io.lse.dtype == DType::kF32),
         site.path);
}

std::string Key(const AttentionSpec& spec) {
  std::string key;
  const auto add = [&key](auto value) { key += std::to_string(value) + ' '; };
  add(spec.batch), add(spec.heads), add(spec.head_dim), add(static_cast<int>(spec.dtype));
  add(static_cast<int>(spec.device)), add(spec.scale), add(static_cast<int>(spec.causal));
  for (const TokenLayout* layout : {&spec.q, &spec.kv}) {
    for (const Segment& segment : *layout) {
      add(static_cast<int>(segment.kind)), add(segment.length);
      for (int side : segment.grid) add(side);
    }
    key += '|';
  }
  return key;
}

// "0-3,5", or empty if all.
std::string HeadsText(const std::vector<bool>& heads) {
  if (std::all_of(heads.begin(), heads.end(), [](bool head) { return head; })) return {};
  std::string text;
  for (size_t i = 0; i < heads.size(); ++i) {
    if (!heads[i]) continue;
    size_t last = i;
    while (last + 1 < heads.size() && heads[last + 1]) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(i);
    if (last > i) text.append(1, '-').append(std::to_string(last));
    i = last;
  }
  return text;
}

bool DrawsUpstream(const OperatorSpec& op) {
  bool upstream = false, fixed = false;
  for (const auto& [name, value] : op.params) {
    upstream = upstream || (name == "schedule" && value == "upstream");
    fixed = fixed || name == "shift" || name == "quarter";
  }
  return op.name == "window" && upstream && !fixed;
}

// Cross-attention is left alone by rules, save for those that ask for dense.
bool Covers(const PlanRule& rule, const AttentionSite& site) {
  if (site.kind == SiteKind::kCross && (rule.op.name != "dense" || !rule.has_selector))
    return false;
  return rule.MatchesPath(site.path);
}

}  // namespace

struct AttentionRuntime::Choice {
  OperatorSpec op{"dense", {}};
  std::vector<bool> heads;
  std::string refusal;
};

AttentionRuntime::AttentionRuntime(AttentionPlan plan, std::span<const AttentionSite> sites,
                                   int steps, std::vector<uint64_t> seeds)
    : plan_(std::move(plan)), sites_(sites), steps_(steps), seeds_(std::move(seeds)) {
  ENSURE(!seeds_.empty());
  CheckRules();
}

AttentionRuntime::~AttentionRuntime() = default;

void AttentionRuntime::CheckRules() const {
  for (const PlanRule& rule : plan_.Rules()) {
    AttentionSpec any;  // only so that arguments are parsed; a refusal does not matter here
    any.q = any.kv = GridLayout(64, 64);
    FindAttentionOp(rule.op.name).Supports(any, rule.op.params);
    if (rule.otherwise) FindAttentionOp(rule.otherwise->name).Supports(any, rule.otherwise->params);
    if (!rule.has_selector) continue;
    const auto matches = [&rule](const AttentionSite& site) {
      if (!Covers(rule, site)) return false;
      for (int head = 0; head < site.heads; ++head) {
        if (rule.HasHead(head)) return true;
      }
      return false;
    };
    if (std::none_of(sites_.begin(), sites_.end(), matches)) {
      throw Error(ErrorCode::kUnsupported, "plan: \"" + rule.text +
                                               "\" matches no attention layer or head of this "
                                               "model; fovea info MODEL --layers lists them");
    }
    bool held = false;
    for (int step = 0; step < steps_ && !held; ++step) held = rule.steps.Holds(step, steps_);
    if (!held) {
      throw Error(ErrorCode::kUnsupported, "plan: \"" + rule.text + "\" holds at none of the " +
                                               std::to_string(steps_) + " steps of this run");
    }
  }
}

void AttentionRuntime::BeginStep(int step, int steps) {
  ENSURE(step >= 0 && step < steps);
  step_ = step;
  steps_ = steps;
  draw_ = DrawsBefore(step);
}

int64_t AttentionRuntime::DrawsBefore(int step) const {
  const auto draws = [](const PlanRule& rule) { return DrawsUpstream(rule.op); };
  if (std::none_of(plan_.Rules().begin(), plan_.Rules().end(), draws)) return 0;
  int64_t count = 0;
  for (int earlier = 0; earlier < step; ++earlier) {
    for (const AttentionSite& site : sites_) {
      for (const PlanRule& rule : plan_.Rules()) {
        if (!Covers(rule, site) || !rule.steps.Holds(earlier, steps_) ||
            !rule.MatchesTokens(TokenCount(site.tokens))) {
          continue;
        }
        count += DrawsUpstream(rule.op);
        break;
      }
    }
  }
  return count;
}

AttentionRuntime::Choice AttentionRuntime::Choose(const PlanRule& rule, const AttentionSite& site,
                                                  const AttentionSpec& spec,
                                                  const OperatorSpec& own) const {
  const Support first = FindAttentionOp(rule.op.name).Supports(spec, rule.op.params);
  if (first.ok) return {rule.op, {}, {}};
  std::string reason = first.reason;
  if (rule.otherwise) {
    const Support second =
        FindAttentionOp(rule.otherwise->name).Supports(spec, rule.otherwise->params);
    if (second.ok) return {*rule.otherwise, {}, {}};
    reason += "; else: " + second.reason;
  }
  if (rule.has_selector) {
    throw Error(ErrorCode::kUnsupported,
                site.path + ": " + reason + "; add \"else dense\" to the rule to allow that");
  }
  return {own, {}, reason};
}

std::vector<AttentionRuntime::Choice> AttentionRuntime::Resolve(const AttentionSite& site,
                                                                const AttentionSpec& spec,
                                                                const OperatorSpec& own) const {
  std::vector<bool> open(static_cast<size_t>(spec.heads), true);
  std::vector<Choice> choices;
  for (const PlanRule& rule : plan_.Rules()) {
    if (!Covers(rule, site) || !rule.steps.Holds(step_, steps_) ||
        !rule.MatchesTokens(TokenCount(spec.q))) {
      continue;
    }
    std::vector<bool> taken(open.size());
    for (size_t head = 0; head < open.size(); ++head) {
      taken[head] = open[head] && rule.HasHead(static_cast<int>(head));
    }
    if (std::none_of(taken.begin(), taken.end(), [](bool head) { return head; })) continue;
    for (size_t head = 0; head < open.size(); ++head) open[head] = open[head] && !taken[head];
    choices.push_back(Choose(rule, site, spec, own));
    choices.back().heads = std::move(taken);
  }
  if (std::any_of(open.begin(), open.end(), [](bool head) { return head; })) {
    choices.push_back({own, std::move(open), {}});
  }
  return choices;
}

void AttentionRuntime::Attend(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
                              const AttentionIo& io) {
  TRACE_ZONE("attention", site.path);
  CheckIo(site, spec, io);
  const OperatorSpec own = LearnedAgent(io).value_or(OperatorSpec{"dense", {}});
  const std::vector<Choice> choices = Resolve(site, spec, own);
  AttentionIo heard = io;
  const bool tells = !listeners_.empty() && !ctx.backend.IsPlanning();
  if (tells && io.lse.Empty()) {
    const Shape shape{spec.batch, spec.heads, io.q.shape[1]};
    lse_.assign(static_cast<size_t>(shape.NumElements()), std::numeric_limits<float>::quiet_NaN());
    heard.lse = Tensor::Contiguous(lse_.data(), shape, DType::kF32);
  }
  parts_.clear();
  for (const Choice& choice : choices) Run(ctx, site, spec, heard, choice);
  if (tells) Tell(ctx, site, spec, heard);
}

void AttentionRuntime::SetListeners(const std::vector<AttentionListener*>& listeners) {
  listeners_ = listeners;
  std::erase(listeners_, nullptr);
}

void AttentionRuntime::Tell(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
                            const AttentionIo& io) {
  TRACE_ZONE("listen", site.path);
  for (AttentionListener* listener : listeners_) {
    listener->Attended(ctx, {site, spec, io, step_, steps_, parts_});
  }
}

void AttentionRuntime::Run(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
                           const AttentionIo& io, const Choice& choice) {
  const size_t pictures = seeds_.size();
  AttentionIo part = io;
  part.at = {step_, steps_, seeds_[0], site.index, draw_};
  if (DrawsUpstream(choice.op)) ++draw_;
  if (pictures == 1 || !FindAttentionOp(choice.op.name).UsesSeed(choice.op.params)) {
    return RunHeads(ctx, site, spec, part, choice);
  }
  ENSURE(static_cast<size_t>(spec.batch) % pictures == 0, site.path);
  AttentionSpec one = spec;
  one.batch = 1;
  for (int b = 0; b < spec.batch; ++b) {
    part.q = io.q.Slice(0, b, 1);
    part.k = io.k.Slice(0, b, 1);
    part.v = io.v.Slice(0, b, 1);
    part.out = io.out.Slice(0, b, 1);
    if (!io.lse.Empty()) part.lse = io.lse.Slice(0, b, 1);
    if (!io.hidden.Empty()) part.hidden = io.hidden.Slice(0, b, 1);
    if (!io.mix.empty()) {
      part.mix =
          io.mix.subspan(static_cast<size_t>(b * spec.heads), static_cast<size_t>(spec.heads));
    }
    part.at.seed = seeds_[static_cast<size_t>(b) % pictures];
    first_sample_ = b;
    RunHeads(ctx, site, one, part, choice);
  }
  first_sample_ = 0;
}

void AttentionRuntime::RunHeads(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
                                const AttentionIo& io, const Choice& choice) {
  AttentionIo part = io;
  std::vector<HeadMix> mix;
  for (int first = 0; first < spec.heads;) {
    if (!choice.heads[static_cast<size_t>(first)]) {
      ++first;
      continue;
    }
    int end = first;
    while (end < spec.heads && choice.heads[static_cast<size_t>(end)]) ++end;
    AttentionSpec some = spec;
    some.heads = end - first;
    std::unique_ptr<PreparedAttention>& prepared = prepared_[choice.op.Text() + '|' + Key(some)];
    if (prepared == nullptr) {
      prepared = FindAttentionOp(choice.op.name).Prepare(some, choice.op.params);
    }
    part.first_head = io.first_head + first;
    part.q = io.q.Slice(2, first, some.heads);
    part.k = io.k.Slice(2, first, some.heads);
    part.v = io.v.Slice(2, first, some.heads);
    part.out = io.out.Slice(2, first, some.heads);
    part.lse = {};
    if (!io.lse.Empty() && FindAttentionOp(choice.op.name).HasLse(some, choice.op.params)) {
      part.lse = io.lse.Slice(1, first, some.heads);
    }
    if (!io.mix.empty() && some.heads != spec.heads) {
      mix.clear();
      for (int b = 0; b < spec.batch; ++b) {
        const auto own = io.mix.subspan(static_cast<size_t>(b * spec.heads + first),
                                        static_cast<size_t>(some.heads));
        mix.insert(mix.end(), own.begin(), own.end());
      }
      part.mix = mix;
    }
    prepared->Run(ctx, part);
    if (!listeners_.empty() && !ctx.backend.IsPlanning()) {
      parts_.push_back({choice.op, prepared.get(), some, part, first_sample_, first});
      parts_.back().io.mix = {};
    }
    Remember(site, choice, *prepared);
    first = end;
  }
}

void AttentionRuntime::Remember(const AttentionSite& site, const Choice& choice,
                                const PreparedAttention& prepared) {
  if (plan_.Empty() || (site.kind == SiteKind::kCross && choice.op.name == "dense")) return;
  const std::string op = choice.op.Text(), heads = HeadsText(choice.heads);
  for (AttentionUse& use : uses_) {
    if (use.path != site.path || use.op != op || use.heads != heads) continue;
    auto& [first, last] = use.steps.back();
    if (step_ == last + 1)
      last = step_;
    else if (step_ < first || step_ > last)
      use.steps.emplace_back(step_, step_);
    return;
  }
  const double share = prepared.PairShare();
  AttentionUse use{site.path, op, heads, {{step_, step_}}, share, share, choice.refusal};
  if (const TileMap* map = prepared.Map(); map != nullptr) {
    use.density = map->Density();
    use.visited = map->VisitedShare();
  }
  uses_.push_back(std::move(use));
}

}  // namespace fovea
