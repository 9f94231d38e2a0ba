#include "app/cli_commands/batch/render_job.h"

#include <chrono>
#include <optional>

#include "app/cli_commands/generate/init_latents.h"
#include "app/process/host_memory.h"
#include "pipelines/generation/provenance.h"
#include "pipelines/metadata/file_hashes.h"
#include "tensor/error.h"

namespace fovea {
namespace {

// Small networks leave threads waiting for each other.
constexpr int64_t kSmallPixels = int64_t{256} * 256;
constexpr size_t kSmallWeights = size_t{400} << 20;

}  // namespace

struct JobRenderer::Loaded {
  std::string key;
  ModelFolder folder;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<TextToImage> pipeline;
  std::optional<FileHasher> hasher;
};

struct JobRenderer::Ready {
  GenerateSettings settings;
  GivenPictures given;
  std::optional<HostTensor> latents;
  double load = 0;

  GenerateInputs Inputs() const {
    return {latents ? &*latents : nullptr, given.image ? &*given.image : nullptr,
            given.mask ? &*given.mask : nullptr};
  }
};

JobRenderer::JobRenderer(const BatchFlags& flags, const Provenance& here, int together)
    : flags_(flags), here_(here), together_(together) {}

JobRenderer::~JobRenderer() = default;

JobRenderer::Ready JobRenderer::Prepare(const ResolvedJob& job) {
  const auto begin = std::chrono::steady_clock::now();
  Ready ready;
  const auto flags = FlagsOf(flags_, *job.file, *job.line);
  GenerateSettings asked = flags->SettingsWithoutSeed().settings;
  ready.given = flags->ReadPictures(&asked);
  asked.seed = job.settings.seed;
  asked.batch = 1;
  if (loaded_ == nullptr || loaded_->key != job.model_key) {
    loaded_.reset();  // its memory first
    auto next = std::make_unique<Loaded>();
    next->key = job.model_key;
    next->folder = flags->models.Open(asked.model, ParseLoraText(asked.lora), asked.overlay);
    next->hasher.emplace(next->folder);
    next->backend = flags->common.MakeDevice();
    next->pipeline = TextToImage::Load(next->folder, *next->backend);
    next->pipeline->LimitMemory(flags->memory.Bytes());
    loaded_ = std::move(next);
  }
  asked.model = loaded_->folder.name;
  if (!job.prompt_given) asked.prompt = loaded_->pipeline->SamplePrompt();
  ready.settings = loaded_->pipeline->Resolve(asked);
  if (flags->init_latents) ready.latents = ReadInitLatents(*flags->init_latents);
  ready.load = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return ready;
}

bool JobRenderer::IsSmall(const ResolvedJob& job, int side_by_side) {
  const Ready ready = Prepare(job);
  if (int64_t{ready.settings.width} * ready.settings.height > kSmallPixels) return false;
  const Prediction predicted = loaded_->pipeline->DryRun(ready.settings, ready.Inputs());
  return predicted.packed_bytes + predicted.weight_bytes <= kSmallWeights &&
         predicted.PeakBytes() * static_cast<size_t>(side_by_side) <= AvailableMemoryBytes() / 2;
}

RenderedJob JobRenderer::Render(const ResolvedJob& job, const GenerateHooks& hooks) {
  const Ready ready = Prepare(job);
  const GenerateInputs inputs = ready.Inputs();
  RenderedJob out;
  out.load = ready.load;
  const Prediction predicted = loaded_->pipeline->DryRun(ready.settings, inputs);
  RequireMemory(predicted.PeakBytes() * static_cast<size_t>(together_),
                "lower width and height, now " + std::to_string(ready.settings.width) + "x" +
                    std::to_string(ready.settings.height));
  out.gflop = predicted.flops / 1e9;
  out.dtype = ready.settings.dtype;
  Generated made = loaded_->pipeline->Run(ready.settings, inputs, hooks);
  out.timings = made.timings;
  out.cancelled = made.cancelled || hooks.stop.stop_requested();
  if (out.cancelled) return out;
  Provenance here = here_;
  here.init_latents = ready.latents.has_value();
  here.hashes = loaded_->hasher->Wait();
  out.text = PictureText(made.settings, ProvenanceOf(made, here), 0);
  out.image = std::move(made.images.front());
  return out;
}

}  // namespace fovea
