#include "app/engine/engine.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "app/engine/latent_preview.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "pipelines/forward/forward.h"
#include "pipelines/sampling/noise.h"
#include "tensor/make_backend.h"

namespace fovea {
namespace {

// The window goes first: with as many computing threads as cores it would otherwise wait for them.
// OpenMP's threads are made by this one and inherit it.
constexpr int kNice = 10;

void LowerPriority() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
}

}  // namespace

struct Engine::Model {
  std::string key;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<TextToImage> pipeline;
  std::unique_ptr<LatentPreview> preview;
  bool ran = false;  // its weights are packed
};

Engine::Engine(ModelAccess access, std::function<void(EngineEvent)> tell)
    : access_(std::move(access)), tell_(std::move(tell)), thread_([this] { Loop(); }) {}

Engine::~Engine() {
  quit_.request_stop();
  inbox_.Post({{}, true});
  thread_.join();
}

void Engine::Loop() {
  LowerPriority();
  for (;;) {
    for (const Item& item : inbox_.Take()) {
      if (item.quit || quit_.stop_requested()) return;
      try {
        Run(item.task);
      } catch (...) {
        const Failure failure = DescribeCurrentException();
        // A failed run leaves its memory behind until the next; a model that does not fit must not
        // keep what it took.
        if (failure.code == kExitOutOfMemory) model_.reset();
        tell_(EngineFailed{item.task.job, failure.code == kExitCancelled, failure.message});
      }
    }
  }
}

namespace {

// A first fit of the preview: smooth random latents through the model's own VAE, which is given
// them as the pipeline gives them.
void FitPreview(const ModelFolder& folder, const PipelineFacts& facts, Backend& backend,
                LatentPreview* preview) {
  const auto vae = Component::Load(folder.Get("vae"), backend);
  constexpr int64_t kSide = 16;
  const Shape shape{1, preview->Channels(), kSide, kSide};
  HostTensor latents(shape, DType::kF32);
  const auto noise = MakeNoiseSource(*ParseRngKind("philox"), 1);
  const auto count = static_cast<size_t>(latents.NumElements());
  std::vector<float> coarse(count);
  noise->Normal(coarse);
  // Squares of 4x4 latent pixels: flat patches are what the map can express.
  HostTensor scaled(shape, DType::kF32);
  for (size_t i = 0; i < count; ++i) {
    const size_t x = i % kSide, y = i / kSide % kSide, c = i / (kSide * kSide);
    latents.Data<float>()[i] = coarse[c * kSide * kSide + y / 4 * kSide + x / 4];
    scaled.Data<float>()[i] =
        static_cast<float>(latents.Data<float>()[i] / facts.latent_scale + facts.latent_shift);
  }
  NamedTensors inputs;
  inputs["z"] = scaled;
  ForwardResult result = vae->Forward(inputs, {});
  const HostTensor& sample = result.outputs.at("sample");  // (1,3,h,w)
  const int64_t h = sample.shape()[2], w = sample.shape()[3];
  HostTensor picture({h, w, 3}, DType::kF32);
  for (int64_t p = 0; p < h * w; ++p) {
    for (int64_t c = 0; c < 3; ++c) {
      picture.Data<float>()[p * 3 + c] = sample.Data<float>()[c * h * w + p];
    }
  }
  preview->Learn(shape, {latents.Data<float>(), count}, ToImage(picture.View()));
}

}  // namespace

Engine::Model& Engine::Load(const PictureTask& task) {
  const std::string key = WeightsKey(task.settings);
  if (model_ != nullptr && model_->key == key) return *model_;
  tell_(EngineLoading{task.job, task.settings.model});
  model_.reset();  // its memory first
  auto model = std::make_unique<Model>();
  model->key = key;
  model->backend = MakeBackend(DeviceKind::kCpu);
  const ModelFolder folder = access_.Open(task.settings);
  model->pipeline = TextToImage::Load(folder, *model->backend);
  const PipelineFacts facts = model->pipeline->Facts();
  model->preview = std::make_unique<LatentPreview>(facts.latent_channels);
  model->preview->Read(task.preview);
  if (!model->preview->Fitted()) {
    const auto scratch = MakeBackend(DeviceKind::kCpu);
    FitPreview(folder, facts, *scratch, model->preview.get());
  }
  model_ = std::move(model);
  return *model_;
}

void Engine::Run(const PictureTask& task) {
  if (task.stop.stop_requested()) throw Cancelled{};
  Model& model = Load(task);
  GenerateInputs inputs;
  inputs.image = task.given.image.get();
  inputs.mask = task.given.mask.get();
  const Prediction predicted = model.pipeline->DryRun(task.settings, inputs);
  RequireMemory(predicted.PeakBytes(), "make the picture smaller");
  tell_(EngineStep{task.job, "text", 0, task.settings.steps, 0, nullptr});

  GenerateHooks hooks;
  // Either the job or the whole program is stopped.
  std::stop_source stop;
  const auto forward = [&stop] { stop.request_stop(); };
  const std::stop_callback job_stopped(task.stop, forward);
  const std::stop_callback quit(quit_.get_token(), forward);
  hooks.stop = stop.get_token();
  hooks.on_step = [&](const StepView& view) {
    auto preview = std::make_shared<Image>(model.preview->Draw(view.shape, view.predicted_clean));
    tell_(EngineStep{task.job, view.step + 1 < view.steps ? "step" : "decoding", view.step + 1,
                     view.steps, view.seconds, preview->width > 0 ? preview : nullptr});
  };
  if (task.timed && !model.ran) {
    GenerateSettings warm = task.settings;
    warm.steps = 1;
    warm.attention.clear();
    warm.hires = "off";
    warm.strength = warm.image.empty() ? -1 : 1;  // of one step, none may be left out
    GenerateHooks silent;
    silent.stop = hooks.stop;
    model.ran = !model.pipeline->Run(warm, inputs, silent).cancelled;
  }
  const Generated generated = model.pipeline->Run(task.settings, inputs, hooks);
  if (generated.cancelled || generated.images.empty()) throw Cancelled{};

  EngineFinished finished;
  finished.job = task.job;
  finished.file = task.sink(generated);
  finished.settings = generated.settings;
  finished.settings.model = task.settings.model;
  finished.image = std::make_shared<Image>(generated.images.front());
  finished.seconds = generated.timings.text + generated.timings.denoise + generated.timings.decode;
  finished.flops = predicted.flops;
  finished.first = !std::exchange(model.ran, true);
  finished.peak_bytes = predicted.PeakBytes();
  finished.uses = generated.attention;
  model.preview->Learn(
      generated.latents.shape(),
      {generated.latents.Data<float>(), static_cast<size_t>(generated.latents.NumElements())},
      *finished.image);
  finished.preview = model.preview->Text();
  tell_(std::move(finished));
}

}  // namespace fovea
