// A whole picture on the emulated device beside the processor's: text encoder, U-Net, VAE.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "pipelines/generation/text_to_image.h"
#include "tests/ptx/cuda_op_test.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea::ptx {
namespace {

// In dB, of pictures with values up to 255.
double Psnr(const Image& a, const Image& b) {
  REQUIRE(a.rgb.size() == b.rgb.size());
  double square = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const double d = double(a.rgb[i]) - double(b.rgb[i]);
    square += d * d;
  }
  return square == 0 ? INFINITY : 10 * std::log10(255.0 * 255.0 * double(a.rgb.size()) / square);
}

std::unique_ptr<Backend> MakeEmulated() {
  TheEmulated().Clear();
  return MakeCudaBackend(std::make_unique<cuda::Device>(EmulatedDriver(), 0));
}

GenerateSettings SmallSettings() {
  GenerateSettings settings;
  settings.prompt = "a bowl of fruit";
  settings.steps = 2;
  settings.seed = 7;
  settings.cfg = 5;
  settings.width = 72;
  settings.height = 56;
  return settings;
}

TEST_CASE("cuda pictures: bf16, attention plans, batches") {
  FOVEA_NEEDS_KERNELS();
  const TempDir folder;
  WritePipeline(folder.Path(), Sd15SchedulerJson());
  const auto cpu = MakeCpuBackend(), device = MakeEmulated();
  TheEmulated().options.check = false;
  const auto here = TextToImage::Load(OpenModelFolder(folder.Path()), *cpu);
  const auto there = TextToImage::Load(OpenModelFolder(folder.Path()), *device);
  GenerateSettings settings = SmallSettings();
  settings.steps = 1;
  settings.cfg = 1;
  settings.dtype = "bf16";
  const Generated narrow = there->Run(settings, {}, {});
  CHECK(narrow.numbers.arithmetic == "bf16");
  settings.dtype = "f32";
  const Generated plain = here->Run(settings, {}, {});
  CHECK(Psnr(plain.images[0], narrow.images[0]) >= 35);
  for (const std::string plan : {"gna(window=5)", "window", "clear(r=3)"}) {
    INFO(plan);
    settings.attention = plan;
    CHECK(Psnr(here->Run(settings, {}, {}).images[0], there->Run(settings, {}, {}).images[0]) >=
          60);
  }
  // What has no kernel there says so, or gives way where it may.
  for (const std::string plan : {"*attn1: agentsd", "*attn1: sparsed"}) {
    INFO(plan);
    settings.attention = plan;
    CHECK_THROWS_WITH(there->Run(settings, {}, {}), Catch::Contains("on the CPU alone"));
    settings.attention = plan + " else dense";
    CHECK(Psnr(plain.images[0], there->Run(settings, {}, {}).images[0]) >= 60);
  }
  // A kernel that is missing is missed in the dry run.
  settings.attention = "clear(r=3,down=2)";
  settings.width = settings.height = 64;
  CHECK_THROWS_WITH(there->DryRun(settings), Catch::Contains("has no kernel for this device"));
  settings.attention = "";
  settings.perturb = "m0.[0-1]";
  CHECK(Psnr(here->Run(settings, {}, {}).images[0], there->Run(settings, {}, {}).images[0]) >= 60);
  settings.perturb = "";
  settings.batch = 2;
  const Generated two = there->Run(settings, {}, {});
  settings.batch = 1;
  settings.seed = 8;
  CHECK(two.images[1].rgb == there->Run(settings, {}, {}).images[0].rgb);
}

TEST_CASE("cuda pictures: transformers with T5") {
  FOVEA_NEEDS_KERNELS();
  for (const char* model : {"sd3", "flux_dev"}) {
    INFO(model);
    const TempDir folder;
    WritePipeline(folder.Path(), R"({"_class_name":"FlowMatchEulerDiscreteScheduler","shift":3})",
                  std::string("transformer_pipelines/") + model);
    const auto cpu = MakeCpuBackend(), device = MakeEmulated();
    TheEmulated().options.check = false;
    GenerateSettings settings = SmallSettings();
    settings.steps = 1;
    settings.cfg = 1;
    settings.width = settings.height = 64;
    const auto here = TextToImage::Load(OpenModelFolder(folder.Path()), *cpu);
    const auto there = TextToImage::Load(OpenModelFolder(folder.Path()), *device);
    const Generated a = here->Run(settings, {}, {}), b = there->Run(settings, {}, {});
    CHECK(Psnr(a.images[0], b.images[0]) >= 60);
  }
}

TEST_CASE("cuda pictures: the emulated device makes the processor's picture") {
  FOVEA_NEEDS_KERNELS();
  TheEmulated().Clear();
  const TempDir folder;
  WritePipeline(folder.Path(), Sd15SchedulerJson());
  const GenerateSettings settings = SmallSettings();
  std::vector<Generated> made;
  for (const bool on_device : {false, true}) {
    const auto backend = on_device ? MakeEmulated() : MakeCpuBackend();
    const auto pipeline = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
    const Prediction predicted = pipeline->DryRun(settings);
    made.push_back(pipeline->Run(settings, {}, {}));
    CHECK(made.back().arena_bytes == predicted.arena_bytes);
    CHECK(made.back().packed_bytes == predicted.packed_bytes);
  }
  REQUIRE(made[0].images.size() == made[1].images.size());
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < made[0].latents.NumElements(); ++i) {
    const double a = made[0].latents.Data<float>()[i], b = made[1].latents.Data<float>()[i];
    difference += (a - b) * (a - b);
    norm += a * a;
  }
  CHECK(std::sqrt(difference / norm) <= 1e-5);
  for (size_t i = 0; i < made[0].images.size(); ++i) {
    CHECK(Psnr(made[0].images[i], made[1].images[i]) >= 60);
  }
}

}  // namespace
}  // namespace fovea::ptx
