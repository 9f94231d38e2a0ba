// Noise against torch.Generator("cpu") (tests/golden/noise/torch.json, made by
// tools/golden/noise.py), Random123's published vectors, and a second writing of Philox's normals.
#include "pipelines/sampling/noise.h"

#include <bit>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/config.h"
#include "pipelines/sampling/philox.h"
#include "tests/support/source_dir.h"

namespace fovea {
namespace {

// Distance in units of the last place; NaN is infinitely far.
int64_t Ulps(float a, uint32_t expected) {
  if (std::isnan(a)) return INT64_MAX;
  const auto order = [](uint32_t bits) {
    const auto magnitude = static_cast<int64_t>(bits & 0x7fffffffu);
    return bits >> 31 ? -magnitude : magnitude;
  };
  return std::abs(order(std::bit_cast<uint32_t>(a)) - order(expected));
}

std::vector<float> Normals(RngKind kind, uint64_t seed, size_t count) {
  std::vector<float> out(count);
  MakeNoiseSource(kind, seed)->Normal(out);
  return out;
}

}  // namespace

TEST_CASE("torch noise is PyTorch's, call after call") {
  const Config golden = Config::ReadFile(SourceDir() / "tests/golden/noise/torch.json");
  REQUIRE(golden.Json()["cases"].size() == 9);
  for (const auto& sequence : golden.Json()["cases"]) {
    const auto source = MakeNoiseSource(RngKind::kTorch, sequence["seed"].get<uint64_t>());
    for (size_t i = 0; i < sequence["calls"].size(); ++i) {
      const std::string call = sequence["calls"][i];
      CAPTURE(sequence["seed"].get<uint64_t>(), i, call);
      std::vector<float> out(std::stoul(call.substr(1)), NAN);
      if (call[0] == 'u') {
        source->Uniform(out);
      } else {
        source->Normal(out);
      }
      const auto& bits = sequence["bits"][i];
      const size_t kept = bits.size(), half = kept / 2;
      const bool whole = kept == out.size();
      for (size_t k = 0; k < kept; ++k) {
        const size_t at = whole || k < half ? k : out.size() - kept + k;
        CAPTURE(at);
        // Vector normals and uniforms are equal; single normals go through libm in f64.
        const int64_t limit = call[0] == 'n' && out.size() < 16 ? 1 : 0;
        CHECK(Ulps(out[at], bits[k].get<uint32_t>()) <= limit);
      }
    }
  }
}

TEST_CASE("seeds of the torch generator count modulo 2^32") {
  CHECK(Normals(RngKind::kTorch, 5, 33) == Normals(RngKind::kTorch, (uint64_t{1} << 40) + 5, 33));
  CHECK(Normals(RngKind::kTorch, 5, 33) != Normals(RngKind::kTorch, 6, 33));
}

TEST_CASE("Philox4x32-10 gives Random123's known answers") {
  CHECK(Philox4x32({0, 0, 0, 0}, {0, 0}) ==
        PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}) ==
        PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("philox noise counts calls and elements") {
  const uint64_t seed = (uint64_t{3} << 32) + 42;
  const auto source = MakeNoiseSource(RngKind::kPhilox, seed);
  for (uint32_t call = 0; call < 3; ++call) {
    std::vector<float> out(call == 1 ? 5 : 1000, NAN);
    source->Normal(out);
    for (uint32_t k = 0; k < out.size(); ++k) {
      const PhiloxBlock g = Philox4x32({call, 0, k, 0}, {42, 3});
      const double u = (g[0] + 0.5) / 4294967296.0, v = (g[1] + 0.5) / 4294967296.0;
      CHECK(
          out[k] ==
          Approx(std::sqrt(-2 * std::log(u)) * std::sin(2 * M_PI * v)).epsilon(1e-5).margin(1e-6));
    }
  }
  CHECK(Normals(RngKind::kPhilox, 1, 64) != Normals(RngKind::kPhilox, uint64_t{1} << 32 | 1, 64));
}

TEST_CASE("both generators give unit normals and uniforms in zero to one") {
  for (const RngKind kind : {RngKind::kTorch, RngKind::kPhilox}) {
    constexpr size_t kCount = 200000;
    const std::vector<float> normals = Normals(kind, 99, kCount);
    double sum = 0, squares = 0;
    for (const double x : normals) sum += x, squares += x * x;
    CHECK(std::abs(sum / kCount) < 0.01);
    CHECK(std::abs(squares / kCount - 1) < 0.02);
    std::vector<float> uniforms(kCount, NAN);
    MakeNoiseSource(kind, 99)->Uniform(uniforms);
    bool inside = true;
    for (const float x : uniforms) inside = inside && x >= 0 && x < 1;
    CHECK(inside);
  }
}

TEST_CASE("generators have names") {
  CHECK(ParseRngKind("torch") == RngKind::kTorch);
  CHECK(ParseRngKind("philox") == RngKind::kPhilox);
  CHECK_FALSE(ParseRngKind("cuda"));
  CHECK_FALSE(ParseRngKind(""));
}

}  // namespace fovea
