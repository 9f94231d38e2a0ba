// The way back through a Vision Transformer against finite differences of a naive one in double
// precision, in which single attention weights are moved.
#include "models/vit/vit_gradient.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <optional>

#include "models/files/safetensors.h"
#include "models/vit/vit_modules.h"
#include "tests/reference/reference_attention.h"
#include "tests/support/error_code.h"
#include "tests/support/golden_case.h"
#include "tests/support/operator_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using Matrix = std::vector<std::vector<double>>;
using MaskedBy = std::function<bool(size_t query, size_t key)>;  // whether it is seen

Matrix Apply(const Weight& weight, const Matrix& x) {
  Matrix out;
  for (const auto& row : x) {
    auto& to = out.emplace_back();
    for (int64_t o = 0; o < weight.Out(); ++o) {
      double sum = weight.bias.Empty() ? 0 : static_cast<double>(weight.bias.Data<float>()[o]);
      for (int64_t i = 0; i < weight.In(); ++i) {
        sum += reference::At(weight.w, {o, i}) * row[static_cast<size_t>(i)];
      }
      to.push_back(sum);
    }
  }
  return out;
}

Matrix Normed(const LayerNorm& norm, Matrix x) {
  for (auto& row : x) {
    double mean = 0, variance = 0;
    for (const double v : row) mean += v / static_cast<double>(row.size());
    for (const double v : row)
      variance += (v - mean) * (v - mean) / static_cast<double>(row.size());
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = (row[i] - mean) / std::sqrt(variance + static_cast<double>(norm.eps)) *
                   static_cast<double>(norm.weight.Data<float>()[i]) +
               static_cast<double>(norm.bias.Data<float>()[i]);
    }
  }
  return x;
}

double Activated(Act act, double x) {
  switch (act) {
    case Act::kGeluErf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Act::kGeluTanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Act::kQuickGelu:
      return x / (1 + std::exp(-1.702 * x));
    case Act::kSilu:
      return x / (1 + std::exp(-x));
    case Act::kRelu:
      return std::max(0.0, x);
    case Act::kNone:
      break;
  }
  return x;
}

void AddTo(Matrix& x, const Matrix& y) {
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = 0; j < x[i].size(); ++j) x[i][j] += y[i][j];
  }
}

struct Moved {
  size_t layer, head, query, key;
  double by;
};

// y = sum of d_pooled * pooled, from a block's input on; `weights` gets its matrices of attention.
double NaiveAnswer(const VisionTransformer& model, Matrix x, size_t first,
                   std::span<const float> d_pooled, const MaskedBy& sees,
                   const std::optional<Moved>& moved, std::vector<std::vector<Matrix>>* weights) {
  const VitModules& modules = model.Modules();
  for (size_t layer = first; layer < modules.blocks.size(); ++layer) {
    const VitBlock& block = modules.blocks[layer];
    const auto d = static_cast<size_t>(block.site.head_dim);
    const auto heads = static_cast<size_t>(block.site.heads);
    const size_t t = x.size(), c = heads * d;
    const Matrix normed = Normed(block.norm1, x);
    Matrix all(t);
    if (!block.qkv.w.Empty()) {
      all = Apply(block.qkv, normed);
    } else {
      for (const Weight* each : {&block.query, &block.key, &block.value}) {
        const Matrix part = Apply(*each, normed);
        for (size_t i = 0; i < t; ++i) all[i].insert(all[i].end(), part[i].begin(), part[i].end());
      }
    }
    Matrix out(t, std::vector<double>(c));
    if (weights != nullptr) weights->emplace_back();
    for (size_t h = 0; h < heads; ++h) {
      Matrix a(t, std::vector<double>(t));
      for (size_t i = 0; i < t; ++i) {
        double sum = 0;
        for (size_t j = 0; j < t; ++j) {
          double score = 0;
          for (size_t k = 0; k < d; ++k) score += all[i][h * d + k] * all[j][c + h * d + k];
          a[i][j] = sees(i, j) ? std::exp(score / std::sqrt(static_cast<double>(d))) : 0;
          sum += a[i][j];
        }
        for (double& each : a[i]) each /= sum;
      }
      if (weights != nullptr) weights->back().push_back(a);
      if (moved && moved->layer == layer && moved->head == h)
        a[moved->query][moved->key] += moved->by;
      for (size_t i = 0; i < t; ++i) {
        for (size_t j = 0; j < t; ++j) {
          for (size_t k = 0; k < d; ++k) out[i][h * d + k] += a[i][j] * all[j][2 * c + h * d + k];
        }
      }
    }
    AddTo(x, Apply(block.out, out));
    const Matrix second = Normed(block.norm2, x);
    Matrix inner = Apply(block.fc1, second);
    const Matrix gate = block.gate.w.Empty() ? Matrix{} : Apply(block.gate, second);
    for (size_t i = 0; i < t; ++i) {
      for (size_t j = 0; j < inner[i].size(); ++j) {
        inner[i][j] = gate.empty() ? Activated(block.act, inner[i][j])
                                   : inner[i][j] * Activated(Act::kSilu, gate[i][j]);
      }
    }
    AddTo(x, Apply(block.fc2, inner));
  }
  x = Normed(modules.norm, x);
  std::vector<double> pooled = modules.head.w.Empty() ? x[0] : Apply(modules.head, {x[0]})[0];
  if (model.Traits().head == VitHead::kTwoClassifiers) {
    const std::vector<double> second = Apply(modules.second_head, {x[1]})[0];
    for (size_t i = 0; i < pooled.size(); ++i) pooled[i] += second[i];
  }
  double y = 0;
  for (size_t i = 0; i < pooled.size(); ++i) y += static_cast<double>(d_pooled[i]) * pooled[i];
  return y;
}

// A model of tests/golden/forward, and a pass of it that was kept.
struct Passed {
  Passed(const std::string& name, const std::string& plan, int64_t height, int64_t width) {
    const GoldenCase golden = GoldenCase::Read(GoldenFolder() / "forward" / name);
    golden.WriteModel(temp / "model");
    const Config config = Config::ReadFile(temp / "model" / "config.json");
    model =
        VisionTransformer::Load(config, WeightStore::Open(temp / "model" / "model.safetensors"));
    const int64_t c = model->Traits().hidden, channels = model->Traits().channels;
    const int64_t t = TokenCount(model->Tokens(height, width));
    AttentionRuntime runtime(AttentionPlan::Parse(plan), model->AttentionSites(), 1, {0});
    runtime.SetListeners({&tape});
    const HostTensor pixels = RandomNormal({2, height, width, channels}, 3, 1.0f);
    HostTensor last({2, t, c}, DType::kF32);
    HostTensor pooled({2, model->Columns()}, DType::kF32);
    VitOutput out{last.View(), pooled.View(), {}};
    std::vector<Tensor> views;
    for (int i = 0; i <= model->Traits().layers; ++i) {
      states.emplace_back(Shape{2, t, c}, DType::kF32);
    }
    for (const HostTensor& each : states) views.push_back(each.View());
    out.hidden_states = views;
    model->Forward(ctx, runtime, pixels.View(), out);
    for (const Tensor& each : views) hidden.push_back(each.Slice(0, 0, 1).Reshape({t, c}));
    for (int64_t i = 0; i < model->Columns(); ++i) {
      d_pooled.push_back(static_cast<float>(std::cos(static_cast<double>(i))));
    }
  }
  Matrix State(size_t layer) const {
    Matrix x;
    for (int64_t i = 0; i < hidden[layer].shape[0]; ++i) {
      auto& row = x.emplace_back();
      for (int64_t j = 0; j < hidden[layer].shape[1]; ++j) {
        row.push_back(reference::At(hidden[layer], {i, j}));
      }
    }
    return x;
  }

  TempDir temp;
  std::unique_ptr<VisionTransformer> model;
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  Arena arena{*backend, 16 << 20};
  Context ctx{*backend, arena};
  VitTape tape;
  std::vector<HostTensor> states;
  std::vector<Tensor> hidden;
  std::vector<float> d_pooled;
};

// The largest differences, over the largest values: of A, and of dy/dA by differences.
std::pair<double, double> Worst(Passed& pass, const MaskedBy& sees) {
  const size_t layers = pass.model->Modules().blocks.size();
  std::vector<std::vector<Matrix>> weights;
  NaiveAnswer(*pass.model, pass.State(0), 0, pass.d_pooled, sees, std::nullopt, &weights);
  const size_t t = weights[0][0].size();
  // What is not told of is 0.
  std::vector<std::vector<Matrix>> a = weights, d = weights;
  for (auto& layer : d) {
    for (auto& head : layer) head.assign(t, std::vector<double>(t));
  }
  std::vector<int> seen_layers;
  DifferentiateVit(
      pass.ctx, *pass.model, pass.hidden, pass.tape, pass.d_pooled,
      [&](const AttentionGradient& part) {
        seen_layers.push_back(part.layer);
        for (int64_t i = 0; i < part.weights.shape[0]; ++i) {
          for (int64_t j = 0; j < static_cast<int64_t>(t); ++j) {
            const auto at = [&](auto& all) -> double& {
              return all[static_cast<size_t>(part.layer)][static_cast<size_t>(part.head)]
                        [static_cast<size_t>(part.first + i)][static_cast<size_t>(j)];
            };
            at(a) = reference::At(part.weights, {i, j});
            at(d) = reference::At(part.gradients, {i, j});
          }
        }
      });
  REQUIRE(seen_layers.front() == static_cast<int>(layers) - 1);
  REQUIRE(seen_layers.back() == 0);
  double a_worst = 0, d_worst = 0, d_largest = 0;
  for (size_t layer = 0; layer < layers; ++layer) {
    const Matrix from = pass.State(layer);
    for (size_t h = 0; h < weights[layer].size(); ++h) {
      // Every weight of a third of the rows: the others are no different.
      for (size_t i = layer % 3; i < t; i += 3) {
        for (size_t j = 0; j < t; ++j) {
          const double a_error = std::abs(a[layer][h][i][j] - weights[layer][h][i][j]);
          if (!(a_error <= a_worst)) a_worst = a_error;
          constexpr double kBy = 1e-4;
          const auto answer = [&](double by) {
            return NaiveAnswer(*pass.model, from, layer, pass.d_pooled, sees,
                               Moved{layer, h, i, j, by}, nullptr);
          };
          const double want = (answer(kBy) - answer(-kBy)) / (2 * kBy);
          const double error = std::abs(d[layer][h][i][j] - want);
          if (!(error <= d_worst)) d_worst = error;
          d_largest = std::max(d_largest, std::abs(want));
        }
      }
    }
  }
  REQUIRE(d_largest > 1e-3);
  return {a_worst, d_worst / d_largest};
}

TEST_CASE("gradients of attention are those of finite differences") {
  struct {
    const char* name;
    int64_t height, width;
  } const cases[] = {
      {"vit_plain", 16, 27},          // GELU, a rest that fills no patch
      {"vit_no_bias", 8, 40},         // tanh GELU, one head, f16, one channel
      {"vit_model", 20, 20},          // quick GELU, bf16
      {"vit_deit_distilled", 8, 24},  // two tokens that are read
      {"vit_deit_class", 14, 14},     // SiLU
      {"vit_dinov2_swiglu", 5, 20},   // gates, layer scale, no classifier
      {"vit_dinov2_registers", 14, 7}, {"vit_clip_projection", 16, 8},
      {"vit_timm_deit3", 8, 16},  // one matrix for queries, keys and values
  };
  for (const auto& each : cases) {
    INFO(each.name);
    Passed pass(each.name, "", each.height, each.width);
    const auto [a, d] = Worst(pass, [](size_t, size_t) { return true; });
    CHECK(a < 1e-6);
    CHECK(d < 5e-6);
  }
}

TEST_CASE("gradients go through attention to a part of the keys") {
  // 4 x 4 patches after the class token, blocks of 2 x 2 see only themselves and the token.
  Passed pass("vit_plain", "*: halo(block=2,halo=0)", 32, 32);
  const auto block = [](size_t token) { return (token - 1) / 8 * 2 + (token - 1) % 4 / 2; };
  const auto [a, d] =
      Worst(pass, [&](size_t i, size_t j) { return i == 0 || j == 0 || block(i) == block(j); });
  CHECK(a < 1e-6);
  CHECK(d < 5e-6);
}

TEST_CASE("gradients are refused for attention that is not one softmax") {
  for (const char* plan :
       {"*: agent(agents=2)", "*: clear(r=2,down=2)", "*.0.*: clear(r=2,proportional=on)"}) {
    INFO(plan);
    CHECK(CodeOf([&] { Passed("vit_plain", plan, 32, 32); }) == ErrorCode::kUnsupported);
  }
  CHECK(CodeOf([&] { Passed("vit_agent_deit", "", 40, 40); }) == ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace fovea
