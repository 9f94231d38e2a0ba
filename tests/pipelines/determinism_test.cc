// Do the bytes of a picture depend on its batch or on the number of threads? Whole runs of each
// kind of denoiser. tools/determinism_table.py makes docs/determinism.md from the program itself.
#include <cstring>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/config.h"
#include "pipelines/generation/text_to_image.h"
#include "tensor/machine/threads.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

struct Run {
  std::string latents;  // bytes of one sample
  std::vector<uint8_t> picture;
  bool operator==(const Run&) const = default;
};

std::vector<Run> Generate(TextToImage& pipeline, GenerateSettings settings, uint64_t seed,
                          int batch, int threads) {
  settings.seed = seed;
  settings.batch = batch;
  const int before = NumThreads();
  SetNumThreads(threads);
  const Generated generated = pipeline.Run(settings, {}, {});
  SetNumThreads(before);
  std::vector<Run> runs;
  const size_t bytes = generated.latents.Bytes() / static_cast<size_t>(batch);
  for (size_t i = 0; i < static_cast<size_t>(batch); ++i) {
    const char* first = reinterpret_cast<const char*>(generated.latents.data()) + i * bytes;
    runs.push_back({std::string(first, bytes), generated.images.at(i).rgb});
  }
  return runs;
}

}  // namespace

TEST_CASE("neither batch nor threads change the bytes of a picture", "[determinism]") {
  const std::string model = GENERATE("pipeline/model", "transformer_pipelines/sd3",
                                     "transformer_pipelines/flux_dev", "transformer_pipelines/dit");
  CAPTURE(model);
  std::string scheduler = Sd15SchedulerJson();
  GenerateSettings settings;
  if (model != "pipeline/model") {
    const std::string name = model.substr(model.find('/') + 1);
    const nlohmann::json list =
        Config::ReadFile(GoldenFolder() / "transformer_pipelines/runs.json").Json();
    for (const auto& run : list["runs"]) {
      if (run["model"] != name || run["settings"]["strength"] != 0) continue;
      scheduler = run["scheduler"].dump();
      settings = RunSettings(run["settings"]);
      break;
    }
  } else {
    settings.prompt = "a red cube";
    settings.width = 40;
    settings.height = 48;
    settings.sampler = "euler_a";
  }
  settings.steps = 2;
  settings.dtype = "f32";
  const TempDir folder;
  WritePipeline(folder.Path(), scheduler, model);
  const auto backend = MakeCpuBackend();
  const auto pipeline = TextToImage::Load(OpenModelFolder(folder.Path()), *backend);
  constexpr uint64_t kSeed = 5;
  constexpr int kBatch = 5, kThreads = 4;
  std::vector<Run> alone;
  for (uint64_t i = 0; i < kBatch; ++i) {
    alone.push_back(Generate(*pipeline, settings, kSeed + i, 1, 1).front());
  }
  CHECK_FALSE(alone[0] == alone[1]);
  for (int threads = 1; threads <= kThreads; ++threads) {
    for (int batch = 1; batch <= kBatch; ++batch) {
      const std::vector<Run> runs = Generate(*pipeline, settings, kSeed, batch, threads);
      for (size_t i = 0; i < runs.size(); ++i) {
        CAPTURE(threads, batch, i);
        CHECK(runs[i].latents == alone[i].latents);
        CHECK(runs[i].picture == alone[i].picture);
      }
    }
  }
}

}  // namespace fovea
