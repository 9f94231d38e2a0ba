#include "attention/attention_runtime.h"

#include <algorithm>
#include <limits>
#include <set>

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

// Heads of which no softmax is evaluated leave it so.
void FillNan(const Tensor& lse) {
  for (int64_t b = 0; b < lse.shape[0]; ++b) {
    for (int64_t head = 0; head < lse.shape[1]; ++head) {
      std::fill_n(lse.Data<float>() + b * lse.stride[0] + head * lse.stride[1], lse.shape[2],
                  std::numeric_limits<float>::quiet_NaN());
    }
  }
}

bool Any(const std::vector<bool>& heads) {
  return std::any_of(heads.begin(), heads.end(), [](bool head) { return head; });
}

}  // namespace

AttentionRuntime::AttentionRuntime(AttentionPlan plan, std::span<const AttentionSite> sites,
                                   int steps, std::vector<uint64_t> seeds, OperatorTable operators)
    : plan_(std::move(plan)),
      sites_(sites),
      steps_(steps),
      seeds_(std::move(seeds)),
      operators_(operators),
      perturbed_(sites, operators) {
  ENSURE(!seeds_.empty());
  BindRules();
}

AttentionRuntime::~AttentionRuntime() = default;

AttentionRuntime::Bound AttentionRuntime::BoundFor(const OperatorSpec& op) {
  Bound& bound = bound_[op.Text()];
  if (bound == nullptr) bound = BindOperator(op, operators_);
  return bound;
}

void AttentionRuntime::BindRules() {
  for (const PlanRule& text : plan_.Rules()) {
    Rule rule{&text, BoundFor(text.op), text.otherwise ? BoundFor(*text.otherwise) : nullptr};
    rules_.push_back(rule);
    if (!text.has_selector) continue;
    const auto matches = [&rule](const AttentionSite& site) {
      if (!Covers(rule, site)) return false;
      for (int head = 0; head < site.heads; ++head) {
        if (rule.text->HasHead(head)) return true;
      }
      return false;
    };
    if (std::none_of(sites_.begin(), sites_.end(), matches)) {
      throw Error(ErrorCode::kUnsupported, "plan: \"" + text.text +
                                               "\" matches no attention layer or head of this "
                                               "model; fovea info MODEL --layers lists them");
    }
    bool held = false;
    for (int step = 0; step < steps_ && !held; ++step) held = text.steps.Holds(step, steps_);
    if (!held) {
      throw Error(ErrorCode::kUnsupported, "plan: \"" + text.text + "\" holds at none of the " +
                                               std::to_string(steps_) + " steps of this run");
    }
  }
}

// Cross-attention is left alone by rules, save for those that ask for an operator that serves it.
bool AttentionRuntime::Covers(const Rule& rule, const AttentionSite& site) {
  if (site.kind == SiteKind::kCross && !(rule.op->Traits().cross && rule.text->has_selector)) {
    return false;
  }
  return rule.text->MatchesPath(site.path);
}

void AttentionRuntime::BeginStep(int step, int steps, BranchLayout branches) {
  ENSURE(step >= 0 && step < steps);
  step_ = step;
  steps_ = steps;
  branches_ = std::move(branches);
  draw_ = DrawsBefore(step);
}

void AttentionRuntime::SetPerturbation(BranchKind branch, const Perturbation& perturbation) {
  perturbed_.Set(branch, perturbation);
}

int64_t AttentionRuntime::DrawsBefore(int step) const {
  const auto draws = [](const Rule& rule) { return rule.op->Traits().draws; };
  if (std::none_of(rules_.begin(), rules_.end(), draws)) return 0;
  int64_t count = 0;
  for (int earlier = 0; earlier < step; ++earlier) {
    for (const AttentionSite& site : sites_) {
      for (const Rule& rule : rules_) {
        if (!Covers(rule, site) || !rule.text->steps.Holds(earlier, steps_) ||
            !rule.text->MatchesTokens(TokenCount(site.tokens))) {
          continue;
        }
        count += draws(rule);
        break;
      }
    }
  }
  return count;
}

std::vector<int> AttentionRuntime::StepsOfChange() const {
  std::set<int> changes{0};
  for (const Rule& rule : rules_) {
    int refresh = rule.op->Traits().refresh;
    if (rule.otherwise != nullptr) refresh = std::max(refresh, rule.otherwise->Traits().refresh);
    int first = 0;
    for (int step = 0; step < steps_; ++step) {
      const bool holds = rule.text->steps.Holds(step, steps_);
      const bool held = step > 0 && rule.text->steps.Holds(step - 1, steps_);
      if (holds && !held) first = step;
      if (step > 0 && holds != held) changes.insert(step);
      // A dear step, and the first of the cheap ones after it.
      if (holds && refresh > 0 && (step - first) % refresh <= 1) changes.insert(step);
    }
  }
  return {changes.begin(), changes.end()};
}

bool AttentionRuntime::Remembers() const {
  return std::any_of(rules_.begin(), rules_.end(), [](const Rule& rule) {
    return rule.op->Traits().state || (rule.otherwise && rule.otherwise->Traits().state);
  });
}

ChosenHeads AttentionRuntime::Choose(const Rule& rule, const AttentionSite& site,
                                     const AttentionSpec& spec, const Bound& own) const {
  const Support first = rule.op->Supports(spec);
  if (first.ok) return {rule.op, {}, {}};
  std::string reason = first.reason;
  if (rule.otherwise != nullptr) {
    const Support second = rule.otherwise->Supports(spec);
    if (second.ok) return {rule.otherwise, {}, {}};
    reason += "; else: " + second.reason;
  }
  if (rule.text->has_selector) {
    throw Error(ErrorCode::kUnsupported,
                site.path + ": " + reason + "; add \"else dense\" to the rule to allow that");
  }
  return {own, {}, reason};
}

std::vector<ChosenHeads> AttentionRuntime::Resolve(const AttentionSite& site,
                                                   const AttentionSpec& spec,
                                                   const Bound& own) const {
  std::vector<bool> open(static_cast<size_t>(spec.heads), true);
  std::vector<ChosenHeads> choices;
  for (const Rule& rule : rules_) {
    if (!Covers(rule, site) || !rule.text->steps.Holds(step_, steps_) ||
        !rule.text->MatchesTokens(TokenCount(spec.q))) {
      continue;
    }
    std::vector<bool> taken(open.size());
    for (size_t head = 0; head < open.size(); ++head) {
      taken[head] = open[head] && rule.text->HasHead(static_cast<int>(head));
    }
    if (!Any(taken)) continue;
    for (size_t head = 0; head < open.size(); ++head) open[head] = open[head] && !taken[head];
    choices.push_back(Choose(rule, site, spec, own));
    choices.back().heads = std::move(taken);
  }
  if (Any(open)) choices.push_back({own, std::move(open), {}});
  return choices;
}

void AttentionRuntime::SetListeners(const std::vector<AttentionListener*>& listeners) {
  listeners_ = listeners;
  std::erase(listeners_, nullptr);
}

BatchRow AttentionRuntime::RowOf(int row, int batch) const {
  const int pictures = static_cast<int>(seeds_.size());
  const auto made = [&](BranchKind kind, int order, int picture) {
    return BatchRow{kind, order, picture, seeds_[static_cast<size_t>(picture % pictures)]};
  };
  for (const Branch& branch : branches_.Branches()) {
    const int64_t picture = row - branch.first_row;
    if (picture < branch.rows) return made(branch.kind, 0, static_cast<int>(picture));
  }
  ENSURE(branches_.Branches().empty() && batch % pictures == 0);
  return made(BranchKind::kConditional, row / pictures, row % pictures);
}

void AttentionRuntime::Attend(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
                              const AttentionIo& io) {
  TRACE_ZONE("attention", site.path);
  CheckIo(site, spec, io);
  const auto known = bound_.find(site.trained);
  const Bound own = known != bound_.end() ? known->second : BoundFor(ParseOperator(site.trained));
  const std::vector<ChosenHeads> choices = Resolve(site, spec, own);
  SiteCall call{ctx, site, spec, io, {}, {}, step_, steps_, draw_};
  const bool tells = !listeners_.empty() && !ctx.backend.IsPlanning();
  if (tells && ctx.backend.Kind() != DeviceKind::kCpu) {
    throw Error(ErrorCode::kUnsupported,
                site.path + ": attention is looked at on the CPU alone; use --device cpu");
  }
  if (tells && io.lse.Empty()) {
    const Shape shape{spec.batch, spec.heads, io.q.shape[1]};
    lse_.assign(static_cast<size_t>(shape.NumElements()), std::numeric_limits<float>::quiet_NaN());
    call.io.lse = Tensor::Contiguous(lse_.data(), shape, DType::kF32);
  }
  if (!perturbed_.Empty() && !call.io.lse.Empty() && !ctx.backend.IsPlanning())
    FillNan(call.io.lse);
  for (int row = 0; row < spec.batch; ++row) {
    call.rows.push_back(RowOf(row, spec.batch));
    if (perturbed_.Empty()) continue;
    call.handling.push_back(perturbed_.At(call.rows.back().branch, site, spec));
  }
  parts_.clear();
  for (const ChosenHeads& choice : choices) {
    const std::vector<AttentionPart> parts = runner_.Run(call, choice);
    if (choice.op->Traits().draws) ++draw_, ++call.draw;
    const bool is_plain = site.kind == SiteKind::kCross && choice.op == own;
    if (!plan_.Empty() && !is_plain) uses_.Add(site, choice, parts, step_);
    if (tells) parts_.insert(parts_.end(), parts.begin(), parts.end());
  }
  if (!tells) return;
  TRACE_ZONE("listen", site.path);
  for (AttentionListener* listener : listeners_) {
    listener->Attended(ctx, {site, spec, call.io, step_, steps_, parts_, branches_});
  }
}

}  // namespace fovea
