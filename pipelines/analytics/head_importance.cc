#include "pipelines/analytics/head_importance.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <utility>

#include "pipelines/analytics/token_statistics.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr double kLeast = 1e-12;  // a probability of 0 has no logarithm

size_t Best(const std::vector<double>& p) {
  return static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin());
}

double Cosine(std::span<const float> a, std::span<const float> b) {
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    dot += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : 0;
}

double JensenShannon(const std::vector<double>& p, const std::vector<double>& q) {
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double m = (p[i] + q[i]) / 2;
    if (p[i] > 0) sum += p[i] * std::log(p[i] / m) / 2;
    if (q[i] > 0) sum += q[i] * std::log(q[i] / m) / 2;
  }
  return std::max(0.0, sum);
}

// Means of 1 - cosine over tokens of one kind; NaN if there are none.
double TokenDrift(const std::vector<float>& before, const std::vector<float>& after,
                  const TokenLayout& layout, SegmentKind kind) {
  const int tokens = TokenCount(layout);
  if (before.empty() || before.size() != after.size() || tokens == 0) return kUnknownDrift;
  const size_t width = before.size() / static_cast<size_t>(tokens);
  double sum = 0, count = 0;
  for (const Segment& segment : layout) {
    if (segment.kind != kind) continue;
    for (int t = segment.begin; t < segment.begin + segment.length; ++t) {
      const size_t at = static_cast<size_t>(t) * width;
      sum += 1 - Cosine(std::span(before).subspan(at, width), std::span(after).subspan(at, width));
      ++count;
    }
  }
  return count > 0 ? sum / count : kUnknownDrift;
}

}  // namespace

AblationEffect EffectOf(std::span<const PictureReading> before,
                        std::span<const PictureReading> after, std::span<const size_t> right) {
  ENSURE(before.size() == after.size() && before.size() == right.size() && !before.empty());
  AblationEffect effect;
  double squares = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const auto &p = before[i].p, &q = after[i].p;
    ENSURE(p.size() == q.size() && right[i] < p.size());
    const double p_y = std::max(kLeast, p[right[i]]), q_y = std::max(kLeast, q[right[i]]);
    const double loss = std::log(p_y) - std::log(q_y);
    effect.loss += loss;
    squares += loss * loss;
    effect.left_loss -= std::log(q_y);
    effect.probability += p[right[i]] - q[right[i]];
    effect.js += JensenShannon(p, q);
    effect.drift += 1 - Cosine(before[i].vector, after[i].vector);
    effect.flips += Best(p) != Best(q) ? 1 : 0;
    effect.accuracy += Best(q) == right[i] ? 1 : 0;
  }
  const auto n = static_cast<double>(before.size());
  for (double* each : {&effect.loss, &effect.left_loss, &effect.probability, &effect.js,
                       &effect.drift, &effect.flips, &effect.accuracy}) {
    *each /= n;
  }
  const double variance =
      n > 1 ? std::max(0.0, (squares - n * effect.loss * effect.loss) / (n - 1)) : 0;
  effect.loss_error = 1.96 * std::sqrt(variance / n);
  return effect;
}

void BlockStates::Attended(Context&, const AttentionCall& call) {
  if (call.site.kind == SiteKind::kCross || call.io.hidden.Empty()) return;
  given_[call.site.index] = HiddenStates(call.io.hidden);
  layout_ = call.spec.q;
}

const std::vector<float>& BlockStates::After(int site, const std::vector<float>& last) const {
  const auto next = given_.upper_bound(site);
  return next == given_.end() ? last : next->second;
}

HeadStudy::HeadStudy(std::vector<size_t> right, PictureReader reader)
    : right_(std::move(right)), reader_(std::move(reader)), states_(right_.size()) {
  for (size_t i = 0; i < right_.size(); ++i) {
    intact_.push_back(reader_(i, {&outputs_, &states_[i]}));
  }
}

AblationEffect HeadStudy::Ablate(Ablation ablation, const std::vector<HeadId>& heads,
                                 std::span<const size_t> pictures) const {
  HeadAblator ablator(outputs_, ablation, heads);
  std::vector<PictureReading> before, after;
  std::vector<size_t> right;
  double class_drift = 0, patch_drift = 0;
  for (const size_t each : pictures) {
    ablator.SetOther((each + 1) % right_.size());
    BlockStates states;
    before.push_back(intact_[each]);
    after.push_back(reader_(each, {&ablator, &states}));
    right.push_back(right_[each]);
    if (heads.size() != 1) continue;
    const int site = heads.front().site;
    const std::vector<float>& intact = states_[each].After(site, before.back().states);
    const std::vector<float>& left = states.After(site, after.back().states);
    class_drift += TokenDrift(intact, left, states.Layout(), SegmentKind::kClass);
    patch_drift += TokenDrift(intact, left, states.Layout(), SegmentKind::kGrid);
  }
  AblationEffect effect = EffectOf(before, after, right);
  if (heads.size() == 1) {
    effect.class_drift = class_drift / static_cast<double>(pictures.size());
    effect.patch_drift = patch_drift / static_cast<double>(pictures.size());
  }
  return effect;
}

std::vector<RemovalPoint> RemovalCurve(const HeadStudy& study, Ablation ablation,
                                       const std::vector<HeadId>& ranked,
                                       std::span<const size_t> pictures, int random_orders,
                                       uint64_t seed) {
  std::vector<RemovalPoint> curve;
  const auto all = static_cast<int>(ranked.size());
  std::vector<std::vector<HeadId>> orders;
  std::mt19937_64 random(seed);
  for (int i = 0; i < random_orders; ++i) {
    std::vector<HeadId> order = ranked;
    // Fisher and Yates; std::shuffle's draws are not the same everywhere.
    for (size_t k = order.size(); k > 1; --k) std::swap(order[k - 1], order[random() % k]);
    orders.push_back(std::move(order));
  }
  const auto first = [](const std::vector<HeadId>& order, int count) {
    return std::vector<HeadId>(order.begin(), order.begin() + count);
  };
  const std::vector<HeadId> reversed(ranked.rbegin(), ranked.rend());
  for (int removed = 1; removed < all; removed = std::max(removed + 1, removed * 3 / 2)) {
    RemovalPoint point;
    point.removed = removed;
    point.top = study.Ablate(ablation, first(ranked, removed), pictures);
    point.bottom = study.Ablate(ablation, first(reversed, removed), pictures);
    for (const auto& order : orders) {
      const AblationEffect effect = study.Ablate(ablation, first(order, removed), pictures);
      const bool one = &order == &orders.front();
      point.random_loss += effect.left_loss / random_orders;
      point.random_accuracy += effect.accuracy / random_orders;
      point.random_lowest =
          one ? effect.left_loss : std::min(point.random_lowest, effect.left_loss);
      point.random_highest =
          one ? effect.left_loss : std::max(point.random_highest, effect.left_loss);
    }
    curve.push_back(point);
  }
  return curve;
}

}  // namespace fovea
