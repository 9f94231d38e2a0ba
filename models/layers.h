// What several networks share: norms, time embeddings, activations by name.
//
// A layer is a struct of weights, named as in the checkpoint, with Load and Forward. Results go
// into tensors that the caller made; scratch comes from ctx.arena and is given back before
// returning.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "models/config.h"
#include "models/weight_store.h"
#include "tensor/context.h"
#include "tensor/memory/host_tensor.h"

namespace fovea {

// The activation that a diffusers config names in `field`: silu (swish) or gelu. Throws
// kUnsupported for others; kNone if the field is absent and `otherwise` is empty.
Act ReadDiffusersAct(const Config& config, std::string_view field, const std::string& otherwise);

// Throws kBadFile or kUnsupported: "<config>: <field> ...".
[[noreturn]] void ThrowBadField(const Config& config, std::string_view field,
                                const std::string& what);
[[noreturn]] void ThrowUnsupportedField(const Config& config, std::string_view field,
                                        const std::string& what);

struct GroupNorm {
  Tensor weight, bias;  // (c) f32
  int groups = 32;
  float eps = 1e-5f;

  // Throws kBadFile if `groups` does not divide `channels`.
  static GroupNorm Load(const WeightScope& scope, std::string_view name, int64_t channels,
                        int groups, double eps);
  GroupNormParams Params(Act act = Act::kNone) const;
  void Forward(Context& ctx, const Tensor& x, const Tensor& out, Act act = Act::kNone) const;
};

struct LayerNorm {
  Tensor weight, bias;  // (c) f32
  float eps = 1e-5f;

  static LayerNorm Load(const WeightScope& scope, std::string_view name, int64_t channels,
                        double eps);
  void Forward(Context& ctx, const Tensor& x, const Tensor& out) const;
};

// x * scale + shift for every element, as a diagonal matrix product. For rare options of configs;
// `factor` and `offset` are rounded to f32.
class ChannelAffine {
 public:
  ChannelAffine(int64_t channels, double scale, double shift);
  void Forward(Context& ctx, const Tensor& x, const Tensor& out) const;

 private:
  std::unique_ptr<HostTensor> matrix_, bias_;
  Weight weight_;
};

// Sines and cosines of each timestep at `dim` / 2 frequencies, 1 down to 1/10000, in f32 arithmetic
// as diffusers' get_timestep_embedding: out[i * dim + k]. `flip` puts the cosines first; an odd
// `dim` ends in a zero. dim / 2 must differ from `freq_shift`.
void SinusoidalEmbedding(std::span<const float> timesteps, int64_t dim, bool flip,
                         double freq_shift, std::span<float> out);

// post_act(linear_2(act(linear_1(sample + cond_proj(condition)))))
struct TimestepEmbedding {
  Weight linear_1, linear_2;
  std::optional<Weight> cond_proj;
  Act act = Act::kSilu, post_act = Act::kNone;

  // sample (n, in), condition (n, cond) or empty -> out (n, dim)
  void Forward(Context& ctx, const Tensor& sample, const Tensor& condition,
               const Tensor& out) const;
};

// x itself if it is contiguous, on the device and of the activations' dtype, else a copy in the arena
// that is.
Tensor AsActivations(Context& ctx, const Tensor& x);

// A contiguous view of the beginning of `buffer`, which must be large enough.
Tensor ViewOf(const Tensor& buffer, const Shape& shape);

}  // namespace fovea
