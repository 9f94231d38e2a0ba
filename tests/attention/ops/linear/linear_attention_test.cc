// Linear operators beside their definitions, pair by pair in double precision.
#include "attention/ops/linear/linear_attention.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "tests/support/operator_case.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

// (tokens, d) of one head of one sample.
struct Head {
  std::vector<std::vector<double>> q = {}, k = {}, v = {};
  size_t n = 0, d = 0;
  int head = 0, heads = 1;
};
using Weights = std::vector<std::vector<double>>;

double Sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

void Check(const OperatorCase& c, const std::function<Weights(const Head&)>& weights_of) {
  CAPTURE(c.op, c.grid, c.text, c.head_dim);
  const OperatorRun run = RunOperator(c);
  CHECK_FALSE(run.has_lse);
  const int64_t tokens = run.q.shape()[1];
  Worst worst, largest;
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int h = 0; h < c.heads; ++h) {
      Head head{.n = static_cast<size_t>(tokens),
                .d = static_cast<size_t>(c.head_dim),
                .head = h,
                .heads = c.heads};
      for (auto [rows, x] : {std::pair{&head.q, &run.q}, {&head.k, &run.k}, {&head.v, &run.v}}) {
        for (int64_t t = 0; t < tokens; ++t) {
          rows->emplace_back();
          for (int64_t i = 0; i < c.head_dim; ++i) {
            rows->back().push_back(reference::At(x->View(), {b, t, h, i}));
          }
        }
      }
      const Weights weights = weights_of(head);
      for (size_t i = 0; i < head.n; ++i) {
        for (size_t x = 0; x < head.d; ++x) {
          double want = 0;
          for (size_t j = 0; j < head.n; ++j) want += weights[i][j] * head.v[j][x];
          largest.Add(want, 0);
          worst.Add(reference::At(run.out.View(), {b, int64_t(i), h, int64_t(x)}), want);
        }
      }
    }
  }
  CHECK(worst.Value() <= 1e-6 * std::max(1.0, largest.Value()));
}

void CheckAll(const std::string& op, const OpParams& params,
              const std::function<Weights(const Head&)>& weights_of) {
  Check({op, params, {1, 9, 7}, 0, true, 2, 3, 8}, weights_of);
  Check({op, params, {1, 5, 12}, 11, false, 1, 6, 24}, weights_of);
  Check({op, params, {2, 4, 5}, 3, true, 1, 2, 5}, weights_of);
  Check({op, params, {1, 1, 1}, 0, true, 1, 1, 4}, weights_of);
}

TEST_CASE("flow conserves what flows in and out") {
  for (const bool cv : {false, true}) {
    CheckAll("flow", {{"eps", cv ? "cv" : "core"}}, [cv](const Head& x) {
      const double e = 1e-6, more = cv ? 1e-6 : 0;
      const auto s = [](double value) { return Sigmoid(value); };
      std::vector<double> in(x.n), out(x.n), taken(x.n), given(x.n);
      for (size_t i = 0; i < x.n; ++i) {
        double a = 0, b = 0;
        for (size_t c = 0; c < x.d; ++c) {
          double keys = 0, queries = 0;
          for (size_t j = 0; j < x.n; ++j) keys += s(x.k[j][c]), queries += s(x.q[j][c]);
          a += (s(x.q[i][c]) + e) * (keys + e);
          b += (s(x.k[i][c]) + e) * (queries + e);
        }
        in[i] = 1 / (a + more), out[i] = 1 / (b + more);
      }
      double sum = 0;
      for (size_t i = 0; i < x.n; ++i) {
        for (size_t c = 0; c < x.d; ++c) {
          double keys = 0, queries = 0;
          for (size_t j = 0; j < x.n; ++j) {
            keys += s(x.k[j][c]) * out[j], queries += s(x.q[j][c]) * in[j];
          }
          taken[i] += (s(x.q[i][c]) + e) * (keys + e);
          given[i] += (s(x.k[i][c]) + e) * (queries + e);
        }
        sum += std::exp(std::clamp(given[i] + more, -1.0, 1.0));
      }
      Weights w(x.n, std::vector<double>(x.n));
      for (size_t i = 0; i < x.n; ++i) {
        for (size_t j = 0; j < x.n; ++j) {
          double dot = 0;
          for (size_t c = 0; c < x.d; ++c) dot += s(x.q[i][c]) * in[i] * s(x.k[j][c]);
          w[i][j] = Sigmoid(taken[i] + more) * dot * double(x.n) *
                    std::exp(std::clamp(given[j] + more, -1.0, 1.0)) / sum;
        }
      }
      return w;
    });
  }
}

TEST_CASE("lightning has no normaliser, and slopes for any number of heads") {
  // By hand from the rule: 8 slopes are 2^-1 .. 2^-8; of 3 heads the first two are those of 2, the
  // third the first of 4; of 6 the last two are the first and third of 8.
  const auto slope = [](int head, int heads) {
    if (heads == 1) return std::exp2(-8.0);
    if (heads == 2) return std::vector{std::exp2(-4.0), std::exp2(-8.0)}[size_t(head)];
    if (heads == 3) {
      return std::vector{std::exp2(-4.0), std::exp2(-8.0), std::exp2(-2.0)}[size_t(head)];
    }
    return std::vector{std::exp2(-2.0), std::exp2(-4.0), std::exp2(-6.0),
                       std::exp2(-8.0), std::exp2(-1.0), std::exp2(-3.0)}[size_t(head)];
  };
  for (const bool decay : {false, true}) {
    CheckAll("lightning", {{"decay", decay ? "on" : "off"}}, [&](const Head& x) {
      Weights w(x.n, std::vector<double>(x.n));
      for (size_t i = 0; i < x.n; ++i) {
        for (size_t j = 0; j < x.n; ++j) {
          for (size_t c = 0; c < x.d; ++c) {
            w[i][j] += x.q[i][c] * Sigmoid(x.q[i][c]) * x.k[j][c] * Sigmoid(x.k[j][c]);
          }
          if (decay) {
            w[i][j] *= std::exp(-slope(x.head, x.heads) * std::abs(double(i) - double(j)));
          }
        }
      }
      return w;
    });
  }
}

TEST_CASE("lightnet normalises keys over the tokens") {
  CheckAll("lightnet", {}, [](const Head& x) {
    Weights w(x.n, std::vector<double>(x.n));
    for (size_t c = 0; c < x.d; ++c) {
      double sum = 0;
      for (size_t j = 0; j < x.n; ++j) sum += std::exp(x.k[j][c]);
      for (size_t i = 0; i < x.n; ++i) {
        for (size_t j = 0; j < x.n; ++j) {
          w[i][j] += x.q[i][c] * Sigmoid(x.q[i][c]) * std::exp(x.k[j][c]) / sum;
        }
      }
    }
    return w;
  });
}

}  // namespace
}  // namespace fovea
