#include "models/layers.h"

#include <cmath>
#include <utility>

#include "tensor/ops/activation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/norm/group_norm.h"
#include "tensor/ops/norm/layer_norm.h"
#include "tensor/ops/product/linear.h"

namespace fovea {
namespace {

// exp in f32, rounded as PyTorch on x86 does it. Of the exponents of 256 and of 320 sinusoids a few
// lie within 0.02 of the middle of two numbers, and there it takes the farther one; at timestep
// 1000, or at FLUX's guidance of 3500, that bit would be the largest error of a whole network.
float Frequency(float exponent) {
  constexpr std::pair<float, float> kOtherWay[] = {{-0x1.ba18aap-1f, 0x1.afd136p-2f},
                                                   {-0x1.e825e6p+2f, 0x1.fe9f5ap-12f},
                                                   {-0x1.290d36p-2f, 0x1.7f13ap-1f},
                                                   {-0x1.d791c6p-4f, 0x1.c8520cp-1f},
                                                   {-0x1.3577aap+1f, 0x1.6d0e7p-4f}};
  for (const auto& [at, value] : kOtherWay) {
    if (exponent == at) return value;
  }
  return static_cast<float>(std::exp(static_cast<double>(exponent)));
}

}  // namespace

void ThrowBadField(const Config& config, std::string_view field, const std::string& what) {
  throw Error(ErrorCode::kBadFile, config.Where() + ": " + std::string(field) + " " + what);
}

void ThrowUnsupportedField(const Config& config, std::string_view field, const std::string& what) {
  throw Error(ErrorCode::kUnsupported, config.Where() + ": " + std::string(field) + " " + what);
}

Act ReadDiffusersAct(const Config& config, std::string_view field, const std::string& otherwise) {
  std::string name = config.String(field, otherwise);
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (name.empty()) return Act::kNone;
  if (name == "silu" || name == "swish") return Act::kSilu;
  if (name == "gelu") return Act::kGeluErf;
  ThrowUnsupportedField(config, field,
                        "\"" + name + "\" is not an activation that we have: silu, swish, gelu");
}

GroupNorm GroupNorm::Load(const WeightScope& scope, std::string_view name, int64_t channels,
                          int groups, double eps) {
  const WeightScope norm = scope.Sub(name);
  if (channels % groups != 0) {
    throw Error(ErrorCode::kBadFile, norm.Path() + ": " + std::to_string(groups) +
                                         " groups do not divide its " + std::to_string(channels) +
                                         " channels; check norm_num_groups in config.json");
  }
  return {norm.F32("weight", {channels}), norm.F32("bias", {channels}), groups,
          static_cast<float>(eps)};
}

GroupNormParams GroupNorm::Params(Act act) const {
  GroupNormParams params;
  params.gamma = weight;
  params.beta = bias;
  params.groups = groups;
  params.eps = eps;
  params.act = act;
  return params;
}

void GroupNorm::Forward(Context& ctx, const Tensor& x, const Tensor& out, Act act) const {
  ops::GroupNorm(ctx, x, Params(act), out);
}

LayerNorm LayerNorm::Load(const WeightScope& scope, std::string_view name, int64_t channels,
                          double eps) {
  const WeightScope norm = scope.Sub(name);
  return {norm.F32("weight", {channels}), norm.F32("bias", {channels}), static_cast<float>(eps)};
}

void LayerNorm::Forward(Context& ctx, const Tensor& x, const Tensor& out) const {
  ops::LayerNorm(ctx, x, weight, bias, eps, out);
}

ChannelAffine::ChannelAffine(int64_t channels, double scale, double shift)
    : matrix_(std::make_unique<HostTensor>(Shape{channels, channels}, DType::kF32)),
      bias_(std::make_unique<HostTensor>(Shape{channels}, DType::kF32)) {
  for (int64_t c = 0; c < channels; ++c) {
    matrix_->Data<float>()[c * channels + c] = static_cast<float>(scale);
    bias_->Data<float>()[c] = static_cast<float>(shift);
  }
  weight_.w = matrix_->View();
  weight_.bias = bias_->View();
}

void ChannelAffine::Forward(Context& ctx, const Tensor& x, const Tensor& out) const {
  ops::Linear(ctx, x, weight_, out);
}

void SinusoidalEmbedding(std::span<const float> timesteps, int64_t dim, bool flip,
                         double freq_shift, std::span<float> out) {
  const int64_t half = dim / 2;
  ENSURE(static_cast<int64_t>(out.size()) == dim * static_cast<int64_t>(timesteps.size()));
  const float log_period = static_cast<float>(-std::log(10000.0));
  const float divisor = static_cast<float>(static_cast<double>(half) - freq_shift);
  for (size_t i = 0; i < timesteps.size(); ++i) {
    float* row = out.data() + static_cast<int64_t>(i) * dim;
    if (dim % 2 == 1) row[dim - 1] = 0;
    float* sines = flip ? row + half : row;
    float* cosines = flip ? row : row + half;
    for (int64_t k = 0; k < half; ++k) {
      // Every step is rounded to f32: at timestep 1000 the last bit of a frequency shows.
      const float exponent = log_period * static_cast<float>(k) / divisor;
      const float frequency = Frequency(exponent);
      const double angle = static_cast<double>(timesteps[i] * frequency);
      sines[k] = static_cast<float>(std::sin(angle));
      cosines[k] = static_cast<float>(std::cos(angle));
    }
  }
}

void TimestepEmbedding::Forward(Context& ctx, const Tensor& sample, const Tensor& condition,
                                const Tensor& out) const {
  ArenaScope scope(ctx.arena);
  Tensor x = sample;  // (n, in)
  if (!condition.Empty()) {
    ENSURE(cond_proj.has_value());
    x = ctx.New(sample.shape);
    ops::Linear(ctx, condition, *cond_proj, x, {.residual = &sample});
  }
  const Tensor hidden = ctx.New({sample.shape[0], linear_1.Out()});  // (n, dim)
  ops::Linear(ctx, x, linear_1, hidden, {.act = act});
  ops::Linear(ctx, hidden, linear_2, out, {.act = post_act});
}

Tensor AsActivations(Context& ctx, const Tensor& x) {
  if (x.device == ctx.backend.Kind() && x.dtype == ctx.dtype && x.IsContiguous()) return x;
  const Tensor copy = ctx.New(x.shape);
  ops::Copy(ctx, x, copy);
  return copy;
}

Tensor ViewOf(const Tensor& buffer, const Shape& shape) {
  ENSURE(shape.NumElements() <= buffer.NumElements());
  return Tensor::Contiguous(buffer.data, shape, buffer.dtype, buffer.device);
}

}  // namespace fovea
