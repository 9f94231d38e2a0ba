// Numbers that are none end a run, are named, and leave no picture.
#include <catch2/catch.hpp>

#include <cmath>
#include <limits>

#include "models/files/safetensors.h"
#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// Sets the first number of a tensor of a component.
void Spoil(const fs::path& model, const std::string& component, const std::string& tensor,
           float value) {
  for (const auto& entry : fs::directory_iterator(model / component)) {
    if (entry.path().extension() != ".safetensors") continue;
    NamedTensors tensors = ReadSafetensors(entry.path());
    HostTensor spoilt = tensors.at(tensor).ToF32();
    spoilt.Data<float>()[0] = value;
    tensors[tensor] = std::move(spoilt);
    WriteSafetensors(entry.path(), tensors);
    return;
  }
  FAIL("no weights in " + component);
}

TEST_CASE("weights that are not finite are named, and no picture is written") {
  struct Case {
    const char *component, *tensor, *says;
    float value;
  };
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  const Case cases[] = {
      {"vae", "decoder.conv_out.bias", "vae: the picture", nan},
      {"vae", "decoder.conv_in.weight", "vae: the picture", inf},
      {"unet", "conv_in.weight", "unet: the output of step 1 of 2", nan},
      {"text_encoder", "text_model.final_layer_norm.weight", "text encoder", nan},
  };
  for (const Case& each : cases) {
    INFO(each.component << " " << each.tensor);
    TempDir temp;
    WritePipeline(temp / "tiny", Sd15SchedulerJson());
    Spoil(temp / "tiny", each.component, each.tensor, each.value);
    fs::create_directory(temp / "o");
    const ProgramResult named =
        RunFovea({"generate", "-m", (temp / "tiny").string(), "-p", "x", "-s", "1", "--steps", "2",
                  "--sampler", "ddim", "-o", (temp / "o/p.png").string()},
                 {.folder = temp.Path()});
    CHECK(named.exit_code == 3);
    CHECK(named.err.find(each.says) != std::string::npos);
    CHECK(named.err.find(std::string("tensor ") + each.tensor) != std::string::npos);
    CHECK(NamesIn(temp / "o").empty());
  }
}

TEST_CASE("numbers that overflow in a run end it") {
  TempDir temp;
  WritePipeline(temp / "tiny", Sd15SchedulerJson());
  NamedTensors noise;
  noise["latents"] = HostTensor({1, 4, 10, 10}, DType::kF32);
  noise["latents"].Data<float>()[7] = std::nanf("");
  WriteSafetensors(temp / "z.safetensors", noise);
  const auto run = [&](const char* file) {
    return RunFovea({"generate", "-m", "tiny", "-p", "x", "-s", "1", "--steps", "1", "-o", "p.png",
                     "--init-latents", file},
                    {.folder = temp.Path()});
  };
  CheckFails(run("z.safetensors"), 3, "NaN or infinity");
  // Finite, and yet too large for what follows.
  noise["latents"].Data<float>()[7] = 3e38f;
  WriteSafetensors(temp / "large.safetensors", noise);
  const ProgramResult result = run("large.safetensors");
  CHECK(result.exit_code == 4);
  CHECK(result.err.find("is not finite") != std::string::npos);
  CHECK_FALSE(fs::exists(temp / "p.png"));
}

}  // namespace
}  // namespace fovea
