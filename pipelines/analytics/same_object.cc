#include "pipelines/analytics/same_object.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "pipelines/analytics/token_statistics.h"
#include "pipelines/maps/map_selection.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr int kSteps = 400, kBatch = 8;  // pictures
constexpr double kRate = 1e-3, kBeta1 = 0.9, kBeta2 = 0.999, kAdamEps = 1e-8;

struct Pair {
  double score = 0;
  bool same = false;
};

// Calls f(i, j, same) for every pair that counts.
template <class F>
void ForEachPair(const PatchSet& set, const F& f) {
  for (size_t i = 0; i < set.labels.size(); ++i) {
    for (size_t j = i + 1; j < set.labels.size(); ++j) {
      if (set.labels[i] == 0 && set.labels[j] == 0) continue;
      f(i, j, set.labels[i] == set.labels[j]);
    }
  }
}

// out (n,c) = a (n,c) * w (c,c)
void Multiply(const std::vector<float>& a, const std::vector<float>& w, size_t c,
              std::vector<float>* out) {
  out->assign(a.size(), 0);
  for (size_t i = 0; i < a.size() / c; ++i) {
    float* to = out->data() + i * c;
    for (size_t k = 0; k < c; ++k) {
      const float factor = a[i * c + k];
      const float* row = w.data() + k * c;
      for (size_t j = 0; j < c; ++j) to[j] += factor * row[j];
    }
  }
}

class Probe {
 public:
  Probe(std::vector<PatchSet> train, uint64_t seed);
  double Score(const float* xw, const float* y) const;  // x^T W y / sqrt(C) + b
  const std::vector<float>& W() const { return w_; }

 private:
  struct Gradient {
    std::vector<float> w;
    double b = 0, pairs = 0;
  };
  void Add(const PatchSet& set, Gradient* to) const;
  void Step(const std::vector<Gradient>& parts, int step);

  size_t c_;
  std::vector<float> w_;
  std::vector<double> m_, v_;  // of Adam; the last is b's
  double b_ = 0;
};

double Probe::Score(const float* xw, const float* y) const {
  float dot = 0;
  for (size_t d = 0; d < c_; ++d) dot += xw[d] * y[d];
  return static_cast<double>(dot) / std::sqrt(static_cast<double>(c_)) + b_;
}

// The pair's gradient of W is symmetric: (p - y) / sqrt(C) * (x y^T + y x^T) / 2.
void Probe::Add(const PatchSet& set, Gradient* to) const {
  const size_t n = set.labels.size();
  std::vector<float> xw, weights(n * n, 0), mixed(n * c_, 0);
  Multiply(set.features, w_, c_, &xw);
  to->w.assign(c_ * c_, 0);
  const double root = std::sqrt(static_cast<double>(c_));
  ForEachPair(set, [&](size_t i, size_t j, bool same) {
    const double score = Score(xw.data() + i * c_, set.features.data() + j * c_);
    const double error = 1 / (1 + std::exp(-score)) - (same ? 1 : 0);
    weights[i * n + j] = weights[j * n + i] = static_cast<float>(error / root / 2);
    to->b += error;
    ++to->pairs;
  });
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      const float weight = weights[i * n + j];
      if (weight == 0) continue;
      const float* y = set.features.data() + j * c_;
      for (size_t d = 0; d < c_; ++d) mixed[i * c_ + d] += weight * y[d];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < c_; ++k) {
      const float x = set.features[i * c_ + k];
      for (size_t d = 0; d < c_; ++d) to->w[k * c_ + d] += x * mixed[i * c_ + d];
    }
  }
}

void Probe::Step(const std::vector<Gradient>& parts, int step) {
  double pairs = 0, b = 0;
  for (const Gradient& each : parts) {
    pairs += each.pairs;
    b += each.b;
  }
  if (pairs == 0) return;
  const double rate = kRate * std::sqrt(1 - std::pow(kBeta2, step)) / (1 - std::pow(kBeta1, step));
  const auto move = [&](size_t i, double gradient) {
    m_[i] = kBeta1 * m_[i] + (1 - kBeta1) * gradient;
    v_[i] = kBeta2 * v_[i] + (1 - kBeta2) * gradient * gradient;
    return rate * m_[i] / (std::sqrt(v_[i]) + kAdamEps);
  };
  for (size_t i = 0; i < w_.size(); ++i) {
    double sum = 0;
    for (const Gradient& each : parts) sum += static_cast<double>(each.w[i]);
    w_[i] -= static_cast<float>(move(i, sum / pairs));
  }
  b_ -= move(w_.size(), b / pairs);
}

Probe::Probe(std::vector<PatchSet> train, uint64_t seed)
    : c_(train.front().features.size() / train.front().labels.size()),
      w_(c_ * c_, 0),
      m_(c_ * c_ + 1, 0),
      v_(c_ * c_ + 1, 0) {
  std::mt19937_64 random(seed);
  size_t next = train.size();
  for (int step = 1; step <= kSteps; ++step) {
    std::vector<const PatchSet*> batch;
    while (batch.size() < std::min<size_t>(kBatch, train.size())) {
      if (next == train.size()) {
        if (!batch.empty()) break;  // the pictures that it points to must stay where they are
        for (size_t i = train.size() - 1; i > 0; --i)
          std::swap(train[i], train[random() % (i + 1)]);
        next = 0;
      }
      batch.push_back(&train[next++]);
    }
    std::vector<Gradient> parts(batch.size());
    ParallelFor(static_cast<int64_t>(batch.size()), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        Add(*batch[static_cast<size_t>(i)], &parts[static_cast<size_t>(i)]);
      }
    });
    Step(parts, step);
  }
}

// Every dimension to mean 0 and variance 1 over the patches of `train`.
void Standardise(std::vector<PatchSet>* train, std::vector<PatchSet>* test) {
  const size_t c = train->front().features.size() / train->front().labels.size();
  std::vector<double> mean(c, 0), squares(c, 0);
  double rows = 0;
  for (const PatchSet& set : *train) {
    for (size_t i = 0; i < set.features.size(); ++i) {
      const double value = set.features[i];
      mean[i % c] += value;
      squares[i % c] += value * value;
    }
    rows += static_cast<double>(set.labels.size());
  }
  for (size_t d = 0; d < c; ++d) {
    mean[d] /= rows;
    squares[d] = std::sqrt(std::max(0.0, squares[d] / rows - mean[d] * mean[d])) + 1e-6;
  }
  for (std::vector<PatchSet>* sets : {train, test}) {
    for (PatchSet& set : *sets) {
      for (size_t i = 0; i < set.features.size(); ++i) {
        set.features[i] = static_cast<float>((static_cast<double>(set.features[i]) - mean[i % c]) /
                                             squares[i % c]);
      }
    }
  }
}

std::vector<Pair> ProbePairs(const Probe& probe, const std::vector<PatchSet>& sets) {
  std::vector<Pair> pairs;
  for (const PatchSet& set : sets) {
    const size_t c = set.features.size() / set.labels.size();
    std::vector<float> xw;
    Multiply(set.features, probe.W(), c, &xw);
    ForEachPair(set, [&](size_t i, size_t j, bool same) {
      pairs.push_back({probe.Score(xw.data() + i * c, set.features.data() + j * c), same});
    });
  }
  return pairs;
}

std::vector<Pair> CosinePairs(std::span<const PatchSet> sets) {
  std::vector<Pair> pairs;
  for (const PatchSet& set : sets) {
    const size_t c = set.features.size() / set.labels.size();
    const auto dot = [&](size_t i, size_t j) {
      float sum = 0;
      for (size_t d = 0; d < c; ++d) sum += set.features[i * c + d] * set.features[j * c + d];
      return static_cast<double>(sum);
    };
    std::vector<double> norms;
    for (size_t i = 0; i < set.labels.size(); ++i) norms.push_back(std::sqrt(dot(i, i)) + 1e-12);
    ForEachPair(set, [&](size_t i, size_t j, bool same) {
      pairs.push_back({dot(i, j) / norms[i] / norms[j], same});
    });
  }
  return pairs;
}

std::vector<Pair> NearPairs(std::span<const PatchSet> sets) {
  std::vector<Pair> pairs;
  for (const PatchSet& set : sets) {
    ForEachPair(set, [&](size_t i, size_t j, bool same) {
      pairs.push_back(
          {-std::hypot(set.cells[i][0] - set.cells[j][0], set.cells[i][1] - set.cells[j][1]),
           same});
    });
  }
  return pairs;
}

double CountSame(const std::vector<Pair>& pairs) {
  return static_cast<double>(
      std::count_if(pairs.begin(), pairs.end(), [](const Pair& each) { return each.same; }));
}

// {accuracy, balanced accuracy} when `right_same` and `right_other` pairs are told rightly.
std::array<double, 2> Rates(double right_same, double right_other, double same, double all) {
  return {(right_same + right_other) / all, (right_same / same + right_other / (all - same)) / 2};
}

PairScores Judge(std::vector<Pair> train, const std::vector<Pair>& test) {
  std::sort(train.begin(), train.end(),
            [](const Pair& a, const Pair& b) { return a.score > b.score; });
  const auto all = static_cast<double>(train.size());
  const double same = CountSame(train);
  std::array<double, 2> best = Rates(0, all - same, same, all);
  std::array<double, 2> cuts{train.front().score + 1, train.front().score + 1};
  double right_same = 0, right_other = all - same;
  for (size_t i = 0; i < train.size(); ++i) {
    (train[i].same ? right_same : right_other) += train[i].same ? 1 : -1;
    const bool is_last = i + 1 == train.size();
    if (!is_last && train[i + 1].score == train[i].score) continue;
    const std::array<double, 2> rates = Rates(right_same, right_other, same, all);
    for (size_t k = 0; k < 2; ++k) {
      if (rates[k] <= best[k]) continue;
      best[k] = rates[k];
      cuts[k] = is_last ? train[i].score - 1 : (train[i].score + train[i + 1].score) / 2;
    }
  }
  std::array<double, 2> scores{};
  const double test_same = CountSame(test);
  for (size_t k = 0; k < 2; ++k) {
    double found_same = 0, found_other = 0;
    for (const Pair& each : test) {
      if ((each.score > cuts[k]) != each.same) continue;
      ++(each.same ? found_same : found_other);
    }
    scores[k] = Rates(found_same, found_other, test_same, static_cast<double>(test.size()))[k];
  }
  return {scores[0], scores[1]};
}

}  // namespace

SameObjectScores TestSameObject(std::span<const PatchSet> train, std::span<const PatchSet> test,
                                uint64_t seed) {
  const std::vector<Pair> near_train = NearPairs(train), near_test = NearPairs(test);
  for (const std::vector<Pair>* pairs : {&near_train, &near_test}) {
    const double same = CountSame(*pairs);
    if (same == 0 || same == static_cast<double>(pairs->size())) {
      throw Error(ErrorCode::kUsage,
                  "--analytics same-object: each half of the pictures needs masks/NAME.png with "
                  "objects that cover several patches, and patches that are on another or on none");
    }
  }
  SameObjectScores scores;
  scores.pairs = static_cast<int64_t>(near_test.size());
  scores.same = CountSame(near_test) / static_cast<double>(near_test.size());
  scores.nearness = Judge(near_train, near_test);
  scores.cosine = Judge(CosinePairs(train), CosinePairs(test));
  std::vector<PatchSet> ours(train.begin(), train.end()), others(test.begin(), test.end());
  Standardise(&ours, &others);
  const Probe probe(ours, seed);
  scores.probe = Judge(ProbePairs(probe, ours), ProbePairs(probe, others));
  return scores;
}

std::vector<int> ObjectLabels(const Image& mask, const std::function<Image(const Image&)>& seen,
                              int rows, int columns) {
  std::array<bool, 256> present{};
  for (size_t i = 0; i < mask.rgb.size(); i += 3) present[mask.rgb[i]] = true;
  const auto cells = static_cast<size_t>(rows) * static_cast<size_t>(columns);
  std::vector<double> background(cells, 0), most(cells, 0);
  std::vector<int> labels(cells, 0);
  int object = 0;
  for (size_t grey = 1; grey < present.size(); ++grey) {
    if (!present[grey]) continue;
    ++object;
    // Resizing the grey values themselves would make new ones along the edges.
    Image alone = mask;
    for (size_t i = 0; i < alone.rgb.size(); ++i) {
      alone.rgb[i] = mask.rgb[i - i % 3] == grey ? 255 : 0;
    }
    const Image view = seen(alone);
    std::vector<double> covered(cells, 0), pixels(cells, 0);
    for (int y = 0; y < view.height; ++y) {
      for (int x = 0; x < view.width; ++x) {
        const auto cell =
            static_cast<size_t>(y * rows / view.height * columns + x * columns / view.width);
        const auto at =
            (static_cast<size_t>(y) * static_cast<size_t>(view.width) + static_cast<size_t>(x)) * 3;
        covered[cell] += view.rgb[at] / 255.0;
        ++pixels[cell];
      }
    }
    for (size_t i = 0; i < cells; ++i) {
      const double share = covered[i] / std::max(1.0, pixels[i]);
      background[i] += share;  // what it is not, until all objects are known
      if (share <= most[i]) continue;
      most[i] = share;
      labels[i] = object;
    }
  }
  for (size_t i = 0; i < cells; ++i) {
    if (1 - background[i] >= most[i]) labels[i] = 0;
  }
  return labels;
}

std::vector<int> ChoosePatches(int count, uint64_t seed) {
  std::vector<int> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  if (count <= kMostPatches) return order;
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < kMostPatches; ++i) {
    std::swap(order[i], order[i + random() % (order.size() - i)]);
  }
  order.resize(kMostPatches);
  std::sort(order.begin(), order.end());
  return order;
}

void PatchRecorder::Attended(Context&, const AttentionCall& call) {
  const Segment* grid = GridOfLayout(call.spec.q);
  if (call.site.kind == SiteKind::kCross || call.io.hidden.Empty() || grid == nullptr) return;
  const std::vector<float> all = HiddenStates(call.io.hidden);
  const int64_t width = call.io.hidden.shape[2];
  Layer& layer = layers_[call.site.index];
  layer.path = call.site.path;
  layer.rows = grid->grid[1];
  layer.columns = grid->grid[2];
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(grid->begin * width);
  layer.features.assign(first, first + static_cast<std::ptrdiff_t>(grid->length * width));
}

}  // namespace fovea
