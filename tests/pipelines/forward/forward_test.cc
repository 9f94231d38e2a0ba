// What `fovea forward` takes and refuses.
#include "pipelines/forward/forward.h"

#include <catch2/catch.hpp>

#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

struct LoadedComponent {
  TempDir temp;
  std::unique_ptr<Backend> backend = MakeCpuBackend();
  std::unique_ptr<Component> component;

  explicit LoadedComponent(const std::string& name) {
    const GoldenCase golden = GoldenCase::Read(GoldenFolder() / "forward" / name);
    golden.WriteModel(temp.Path());
    component = Component::Load({"", golden.class_name, temp.Path()}, *backend);
  }

  std::string Refusal(const NamedTensors& inputs) {
    try {
      component->Forward(inputs, {});
    } catch (const Error& error) {
      CHECK(error.code == ErrorCode::kUsage);
      return error.what();
    }
    return "";
  }
};

HostTensor Zeros(const Shape& shape, DType dtype = DType::kF32) {
  return HostTensor(shape, dtype);
}

TEST_CASE("an unknown class is refused with the list of known ones") {
  const TempDir temp;
  const auto backend = MakeCpuBackend();
  try {
    Component::Load({"", "UNet3DConditionModel", temp.Path()}, *backend);
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kUnsupported);
    const std::string text = error.what();
    CHECK(text.find("UNet3DConditionModel") != std::string::npos);
    CHECK(text.find("CLIPTextModelWithProjection") != std::string::npos);
  }
}

TEST_CASE("U-Net inputs are checked by name, type and shape") {
  LoadedComponent unet("unet_smallest");
  const NamedTensors good = {{"sample", Zeros({2, 4, 3, 5})},
                             {"timestep", Zeros({1}, DType::kI64)},
                             {"encoder_hidden_states", Zeros({2, 7, 8})}};
  CHECK(unet.Refusal(good) == "");
  const auto with = [&](const std::string& name, HostTensor tensor) {
    NamedTensors inputs = good;
    inputs[name] = std::move(tensor);
    return unet.Refusal(inputs);
  };
  CHECK(with("sample", Zeros({2, 3, 3, 5})) ==
        "UNet2DConditionModel: input \"sample\" has the shape [2, 3, 3, 5], but must have "
        "[n, 4, h, w]");
  CHECK(with("sample", Zeros({4, 3, 5})).find("sample") != std::string::npos);
  CHECK(with("sample", Zeros({2, 4, 0, 5})).find("sample") != std::string::npos);
  CHECK(with("sample", Zeros({2, 4, 3, 5}, DType::kI32)).find("floats") != std::string::npos);
  CHECK(with("timestep", Zeros({3}, DType::kI64)).find("[1] or [2]") != std::string::npos);
  CHECK(with("encoder_hidden_states", Zeros({1, 7, 8})).find("[2, tokens, 8]") !=
        std::string::npos);
  CHECK(with("timestep_cond", Zeros({2, 8})).find("timestep_cond") != std::string::npos);
  CHECK(with("latents", Zeros({1})).find("latents") != std::string::npos);
  NamedTensors missing = good;
  missing.erase("timestep");
  CHECK(unet.Refusal(missing).find("\"timestep\"") != std::string::npos);
}

TEST_CASE("time steps come as any numbers, one or one a sample") {
  LoadedComponent unet("unet_smallest");
  NamedTensors inputs = unet.component->ExampleInputs(0, 0, 2);
  const auto run = [&](HostTensor timestep) {
    inputs["timestep"] = std::move(timestep);
    return unet.component->Forward(inputs, {}).outputs.at("sample");
  };
  const HostTensor want = run(HostTensor({1}, std::vector<int64_t>{37}));
  CHECK(Difference(run(HostTensor({2}, std::vector<int32_t>{37, 37})), want, 0) == "");
  CHECK(Difference(run(HostTensor({1}, std::vector<float>{37})), want, 0) == "");
  CHECK(Difference(run(HostTensor({2}, std::vector<double>{37, 37})), want, 0) == "");
  CHECK(Difference(run(HostTensor({2}, std::vector<int64_t>{37, 38})), want, 0) != "");
}

TEST_CASE("a VAE takes z or x") {
  LoadedComponent vae("vae_no_attention");
  CHECK(vae.Refusal({{"z", Zeros({1, 3, 2, 2})}}) == "");
  CHECK(vae.Refusal({{"x", Zeros({1, 3, 2, 2})}}) == "");
  CHECK(vae.Refusal({}).find("either") != std::string::npos);
  CHECK(vae.Refusal({{"z", Zeros({1, 3, 2, 2})}, {"x", Zeros({1, 3, 2, 2})}}).find("either") !=
        std::string::npos);
  CHECK(vae.Refusal({{"z", Zeros({1, 4, 2, 2})}}).find("[n, 3, h, w]") != std::string::npos);
  CHECK(vae.Refusal({{"x", Zeros({1, 3, 1, 9})}}).find("too small") != std::string::npos);
}

TEST_CASE("CLIP ids are checked against vocabulary and positions") {
  LoadedComponent clip("clip_one_token");  // 20 words, 8 positions
  const auto ids = [&](const std::vector<int64_t>& values) {
    return clip.Refusal(
        {{"input_ids", HostTensor({1, static_cast<int64_t>(values.size())}, values)}});
  };
  CHECK(ids({0, 19}) == "");
  CHECK(ids({20}).find("0 to 19") != std::string::npos);
  CHECK(ids({-1}).find("-1") != std::string::npos);
  CHECK(ids(std::vector<int64_t>(9, 1)).find("at most 8") != std::string::npos);
  CHECK(clip.Refusal({{"input_ids", Zeros({1, 2})}}).find("i64") != std::string::npos);
}

TEST_CASE("example inputs run, at the model's size and at others") {
  const std::string name = GENERATE("unet_lcm", "vae_sd15", "clip_projection");
  LoadedComponent component(name);
  CHECK(component.Refusal(component.component->ExampleInputs(0, 0, 1)) == "");
  CHECK(component.Refusal(component.component->ExampleInputs(80, 56, 3)) == "");
}

TEST_CASE("a component may be run again with other shapes and dtypes") {
  LoadedComponent unet("unet_smallest");
  const NamedTensors small = unet.component->ExampleInputs(16, 16, 1);
  const NamedTensors large = unet.component->ExampleInputs(64, 48, 2);
  const HostTensor want = unet.component->Forward(small, {}).outputs.at("sample");
  ForwardOptions options;
  options.dtype = DType::kBF16;
  const ForwardResult other = unet.component->Forward(large, options);
  CHECK(other.outputs.at("sample").shape() == Shape{2, 4, 6, 8});
  CHECK(other.cost.flops > 0);
  CHECK(other.arena_bytes > 0);
  CHECK(Difference(unet.component->Forward(small, {}).outputs.at("sample"), want, 0) == "");
}

}  // namespace
}  // namespace fovea
