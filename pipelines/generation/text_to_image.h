// From a prompt, and what may be given beside it, to pictures: the whole run and its dry run.
// pipelines/generation/pipeline_stages.h has the stages, pipelines/generation/start_latents.h where
// denoising starts.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/model_folder.h"
#include "pipelines/generation/pipeline_facts.h"
#include "pipelines/generation/replay.h"
#include "pipelines/metadata/hires_report.h"
#include "pipelines/metadata/numbers.h"
#include "pipelines/pictures/image.h"
#include "pipelines/prompts/prompt_reading.h"
#include "pipelines/sampling/denoise_loop.h"
#include "pipelines/settings/generate_inputs.h"
#include "pipelines/settings/settings.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/planning_backend.h"

namespace fovea {

struct GenerateHooks {
  std::function<void(const StepView&)> on_step = {};      // may be empty
  std::function<void(const NamedTensors&)> on_text = {};  // embeddings, before the loop
  std::function<void(const std::string&)> warn = {};      // one line each
  std::stop_token stop = {};
  std::vector<AttentionListener*> listeners = {};  // of the denoiser's attention, in both passes
};

struct Prediction {  // of a dry run
  size_t arena_bytes = 0, packed_bytes = 0;
  size_t weight_bytes = 0;  // converted copies, and weights that are read in the mapped file
  size_t host_bytes = 0;    // of pictures and latents outside of the arena
  double flops = 0;
  double dense_flops = 0;               // without attention plan and hires
  double unshared_flops = 0;            // if a perturbed branch were computed from the first layer
  std::string perturbed_from;           // the first layer where it differs; empty: there is none
  Numbers numbers;                      // what weights are held and products computed in
  std::vector<AttentionUse> attention;  // what would run where; empty without a plan
  HiresReport hires;
  // Where LimitMemory leaves no room for all weights: how many bytes of them stay; the others are
  // read again whenever they are used.
  std::optional<size_t> kept_weights;
  size_t PeakBytes() const;  // of the process
};

struct Timings {  // of all passes together
  double text = 0, encode = 0, denoise = 0, decode = 0;
};

struct Generated {
  bool cancelled = false;
  GenerateSettings settings;  // resolved: no defaults left
  std::vector<Image> images;
  Numbers numbers;                // as Prediction's
  std::string sampler, schedule;  // the name of the sampler that ran
  HostTensor latents;             // (n,c,h,w) f32, final, before the VAE and its scaling factor
  Timings timings;
  int calls = 0;                        // of the model, in all passes
  std::vector<AttentionUse> attention;  // what ran where; empty without a plan
  HiresReport hires;
  size_t arena_bytes = 0, packed_bytes = 0;  // as they came out; the prediction says the same
};

class ImageStreamKeeper;
class ConceptReader;

class TextToImage {
 public:
  // Folders of the classes of pipelines/generation/diffusion_model.cc. Opens and checks configs and
  // weights; packs nothing yet.
  static std::unique_ptr<TextToImage> Load(const ModelFolder& model, Backend& backend);
  virtual ~TextToImage() = default;

  // The model's own sample prompt, or empty.
  virtual const std::string& SamplePrompt() const = 0;
  virtual PipelineFacts Facts() const = 0;
  virtual PromptReading ReadPrompt(const GenerateSettings& settings,
                                   const std::string& prompt) const = 0;
  // Fills defaults from fovea.json and the configs, and checks every value: throws kUsage or
  // kUnsupported naming the setting.
  virtual GenerateSettings Resolve(const GenerateSettings& settings) const = 0;
  // Bytes that the process may take from now on; 0: no limit. Weights come and go within them, and
  // each stage's are freed before the next; pictures stay the same. DryRun and Run throw
  // kOutOfMemory telling the least that would do.
  virtual void LimitMemory(size_t bytes) = 0;
  virtual Prediction DryRun(const GenerateSettings& settings, const GenerateInputs& inputs) = 0;
  Prediction DryRun(const GenerateSettings& settings) { return DryRun(settings, {}); }
  virtual Generated Run(const GenerateSettings& settings, const GenerateInputs& inputs,
                        const GenerateHooks& hooks) = 0;
  // One step of a finished run of these settings and inputs again, told to hooks.listeners. Throws
  // kUnsupported where the model gives another output than then, by so much as a bit, and for runs
  // of two passes, whose steps are of two sizes. False: cancelled.
  virtual bool Replay(const GenerateSettings& settings, const GenerateInputs& inputs,
                      const StoredStep& step, const GenerateHooks& hooks) = 0;
  // ConceptAttention at one step of a finished run of one picture, on a transformer with joint
  // attention: pipelines/generation/concept_replay.h. False: cancelled.
  virtual bool ReadConcepts(const GenerateSettings& settings, const GenerateInputs& inputs,
                            const StoredStep& step, std::span<const std::string> concepts,
                            ImageStreamKeeper& keeper, ConceptReader& reader,
                            const GenerateHooks& hooks) = 0;
};

}  // namespace fovea
