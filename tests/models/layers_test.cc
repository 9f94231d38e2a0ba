#include "models/layers.h"

#include <catch2/catch.hpp>
#include <cmath>

#include "tensor/backend.h"

namespace fovea {
namespace {

TEST_CASE("SinusoidalEmbedding puts sines and cosines where diffusers does") {
  const std::vector<float> timesteps{0, 981, 0.5f};
  const int64_t dim = 7;
  const bool flip = GENERATE(false, true);
  const double shift = GENERATE(0.0, 1.0);
  std::vector<float> out(21, NAN);
  SinusoidalEmbedding(timesteps, dim, flip, shift, out);
  for (size_t i = 0; i < timesteps.size(); ++i) {
    for (int64_t k = 0; k < 3; ++k) {
      const double angle = timesteps[i] * std::exp(-std::log(10000.0) * k / (3 - shift));
      const float* row = out.data() + static_cast<int64_t>(i) * dim;
      // f32 frequencies times 981: half an ulp of 1 is 6e-8, of the angle 3e-5.
      CHECK(row[flip ? k + 3 : k] == Approx(std::sin(angle)).margin(1e-4));
      CHECK(row[flip ? k : k + 3] == Approx(std::cos(angle)).margin(1e-4));
    }
    CHECK(out[i * 7 + 6] == 0);
  }
}

TEST_CASE("SinusoidalEmbedding of one channel is zero") {
  const std::vector<float> timesteps{3};
  std::vector<float> out(1, NAN);
  SinusoidalEmbedding(timesteps, 1, true, 0, out);
  CHECK(out[0] == 0);
}

TEST_CASE("activations are read by diffusers' names, in any case") {
  const Config config = Config::Parse(
      R"({"a": "SiLU", "b": "swish", "c": "GELU", "d": "mish", "e": null, "f": 3})", "config.json");
  CHECK(ReadDiffusersAct(config, "a", "") == Act::kSilu);
  CHECK(ReadDiffusersAct(config, "b", "") == Act::kSilu);
  CHECK(ReadDiffusersAct(config, "c", "") == Act::kGeluErf);
  CHECK(ReadDiffusersAct(config, "e", "") == Act::kNone);
  CHECK(ReadDiffusersAct(config, "e", "gelu") == Act::kGeluErf);
  CHECK_THROWS_WITH(ReadDiffusersAct(config, "d", ""),
                    "config.json: d \"mish\" is not an activation that we have: silu, swish, gelu");
  CHECK_THROWS_AS(ReadDiffusersAct(config, "f", ""), Error);
}

TEST_CASE("ChannelAffine scales and shifts every channel") {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 16);
  Context ctx{*backend, arena};
  const ChannelAffine affine(5, 2, -1);
  const HostTensor x({2, 3, 5},
                     std::vector<float>{0,  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                        -1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 0.25});
  HostTensor out(x.shape(), DType::kF32);
  affine.Forward(ctx, x.View(), out.View());
  for (int64_t i = 0; i < x.NumElements(); ++i) {
    CHECK(out.Data<float>()[i] == 2 * x.Data<float>()[i] - 1);
  }
}

}  // namespace
}  // namespace fovea
