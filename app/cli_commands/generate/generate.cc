// `fovea generate`: from a prompt to pictures.
#include <algorithm>
#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/cli_commands/commands.h"
#include "app/cli_commands/generate/generate_flags.h"
#include "app/cli_commands/generate/generate_outputs.h"
#include "app/cli_commands/generate/init_latents.h"
#include "app/cli_commands/inspect/picture_groups.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/process/stop_signals.h"
#include "app/progress.h"
#include "pipelines/generation/provenance.h"
#include "tensor/error.h"
#include "tensor/machine/cpu_info.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

double Since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void WarnOfUnused(const GenerateFlags& flags, const PictureSettings& asked) {
  std::string list;
  for (const std::string& each : asked.unused) {
    if (each.starts_with("prompt: ") || each.starts_with("negative prompt: ")) continue;
    list += (list.empty() ? "" : ", ") + each;  // the run itself warns of what its prompts hold
  }
  if (!list.empty()) PrintWarning(*flags.from + ": of its settings these are left out: " + list);
}

// The bytes of a picture depend on these, too.
void WarnIfElsewhere(const GenerateFlags& flags, const PictureSettings& asked,
                     const Provenance& now) {
  if (!flags.from || asked.foreign) return;
  const Provenance& then = asked.provenance;
  if (then.threads == now.threads && then.instruction_set == now.instruction_set) return;
  PrintWarning(*flags.from + " was made with " + std::to_string(then.threads) + " threads on " +
               then.instruction_set + ", this run has " + std::to_string(now.threads) + " on " +
               now.instruction_set + "; the last bits may differ");
}

// A photo is often far larger than what a model was trained on, and so is the run.
void WarnOfLargePicture(const Image& image, const PipelineFacts& facts,
                        const GenerateSettings& settings, const Prediction& predicted) {
  constexpr double kMuchLarger = 8;  // times the pixels
  const double ratio = static_cast<double>(settings.width) * settings.height /
                       (static_cast<double>(facts.width) * facts.height);
  if (ratio < kMuchLarger) return;
  const double seconds = predicted.flops / 1e9 / MeasurePeakGflops(*ParseDType(settings.dtype));
  char text[240];
  std::snprintf(text, sizeof text,
                "--image is %dx%d, and so the run is of %dx%d, %.0f times the pixels of the "
                "model's %dx%d: %.0f GFLOP, at best %.0f s here; -W and -H make it smaller",
                image.width, image.height, settings.width, settings.height, ratio, facts.width,
                facts.height, predicted.flops / 1e9, seconds);
  PrintWarning(text);
}

// Of the work, by computing a perturbed branch only from where it differs.
double SavedShare(const Prediction& predicted) {
  return 1 - predicted.flops / predicted.unshared_flops;
}

nlohmann::ordered_json Report(const Generated& generated, const Prediction& predicted,
                              const Provenance& here,
                              const std::vector<std::filesystem::path>& names, double load,
                              double total) {
  nlohmann::ordered_json json;
  json["files"] = nlohmann::ordered_json::array();
  json["seeds"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < names.size(); ++i) {
    json["files"].push_back(names[i].string());
    json["seeds"].push_back(generated.settings.seed.value_or(0) + i);
  }
  json["settings"] = SettingsToJson(generated.settings);
  json["device"] = {
      {"kind", here.device}, {"instruction_set", here.instruction_set}, {"threads", here.threads}};
  json["numbers"] = ToJson(generated.numbers);
  json["timings"] = {{"load", load},
                     {"text", generated.timings.text},
                     {"encode", generated.timings.encode},
                     {"denoise", generated.timings.denoise},
                     {"decode", generated.timings.decode},
                     {"total", total}};
  json["gflop"] = predicted.flops / 1e9;
  if (!generated.hires.Empty()) {
    json["hires"] = ToJson(generated.hires);
    json["hires"]["predicted_speedup"] = predicted.dense_flops / predicted.flops;
  }
  if (!generated.attention.empty()) {
    json["attention"] = {{"plan", generated.settings.attention},
                         {"predicted_speedup", predicted.dense_flops / predicted.flops},
                         {"ran", ToJson(GroupUses(generated.attention))}};
  }
  if (!predicted.perturbed_from.empty()) {
    json["perturbed"] = {{"from", predicted.perturbed_from},
                         {"saved_share", SavedShare(predicted)},
                         {"unshared_gflop", predicted.unshared_flops / 1e9}};
  }
  json["peak_memory_mb"] = static_cast<double>(PeakMemoryBytes()) / 1e6;
  json["predicted_peak_memory_mb"] = static_cast<double>(predicted.PeakBytes()) / 1e6;
  json["arena_bytes"] = generated.arena_bytes;
  json["predicted_arena_bytes"] = predicted.arena_bytes;
  json["packed_bytes"] = generated.packed_bytes;
  json["predicted_packed_bytes"] = predicted.packed_bytes;
  json["predicted_weight_bytes"] = predicted.weight_bytes;
  if (predicted.kept_weights) json["kept_weight_bytes"] = *predicted.kept_weights;
  return json;
}

void NotePrediction(const Prediction& predicted) {
  PrintNote(Line(predicted.numbers));
  char work[32];
  std::snprintf(work, sizeof work, "%.1f GFLOP", predicted.flops / 1e9);
  PrintNote("predicted: peak memory " + FormatBytes(static_cast<double>(predicted.PeakBytes())) +
            " (arena " + FormatBytes(static_cast<double>(predicted.arena_bytes)) +
            ", packed weights " + FormatBytes(static_cast<double>(predicted.packed_bytes)) +
            ", mapped weights " + FormatBytes(static_cast<double>(predicted.weight_bytes)) + "), " +
            work);
  if (!predicted.perturbed_from.empty()) {
    char shared[96];
    std::snprintf(shared, sizeof shared, ": saves %.1f %% of %.1f GFLOP",
                  100 * SavedShare(predicted), predicted.unshared_flops / 1e9);
    PrintNote("perturbed branch: shared up to " + predicted.perturbed_from + shared);
  }
  if (predicted.attention.empty() && predicted.hires.Empty()) return;
  char saved[64];
  std::snprintf(saved, sizeof saved, "instead of %.1f GFLOP if dense: %.2fx",
                predicted.dense_flops / 1e9, predicted.dense_flops / predicted.flops);
  PrintNote(saved);
  if (!predicted.hires.Empty()) PrintNote("  " + Line(predicted.hires));
  for (const std::string& line : Lines(GroupUses(predicted.attention))) PrintNote("  " + line);
}

void NoteMeasured(const Generated& generated, double load, double total) {
  char times[200];
  std::snprintf(times, sizeof times,
                "measured: load %.2f s, text %.2f s, encode %.2f s, denoise %.2f s, decode %.2f s, "
                "total %.2f s",
                load, generated.timings.text, generated.timings.encode, generated.timings.denoise,
                generated.timings.decode, total);
  PrintNote(times);
  PrintNote("measured: peak memory " + FormatBytes(static_cast<double>(PeakMemoryBytes())) +
            " (arena " + FormatBytes(static_cast<double>(generated.arena_bytes)) +
            ", packed weights " + FormatBytes(static_cast<double>(generated.packed_bytes)) + ")");
}

int RunGenerate(const GenerateFlags& flags) {
  const auto begin = Clock::now();
  flags.common.Apply(true);
  const StopSignals signals;
  PictureSettings asked = flags.Settings();
  const GivenPictures given = flags.ReadPictures(&asked.settings);
  Provenance here = HereAndNow(FOVEA_VERSION);
  here.init_latents = flags.init_latents.has_value();
  GenerateOutputs outputs(flags, asked.settings);
  if (flags.trace) trace::Start();

  const ModelFolder folder = flags.models.Open(
      asked.settings.model, ParseLoraText(asked.settings.lora), asked.settings.overlay);
  for (const std::string& note : folder.notes) PrintNote(note);
  FileHasher hasher(folder);
  const auto backend = flags.common.MakeDevice();
  const auto pipeline = TextToImage::Load(folder, *backend);
  pipeline->LimitMemory(flags.memory.Bytes());
  asked.settings.model = folder.name;
  if (!flags.given.contains("prompt") && !flags.from)
    asked.settings.prompt = pipeline->SamplePrompt();
  const GenerateSettings settings = pipeline->Resolve(asked.settings);
  std::optional<HostTensor> init_latents;
  if (flags.init_latents) init_latents = ReadInitLatents(*flags.init_latents);
  const GenerateInputs inputs{init_latents ? &*init_latents : nullptr,
                              given.image ? &*given.image : nullptr,
                              given.mask ? &*given.mask : nullptr};
  const PictureGroups groups = PlanGroups(*pipeline, settings, inputs, outputs.WantsDump());
  const Prediction& predicted = groups.prediction;
  signals.ThrowIfStopped();
  const double load = Since(begin);

  WarnOfUnused(flags, asked);
  WarnIfElsewhere(flags, asked, here);
  if (predicted.kept_weights) {
    PrintNote("memory: the weights do not fit in --max-memory; " +
              FormatBytes(static_cast<double>(*predicted.kept_weights)) +
              " of them stay, the others are read at every use, which is slower");
  }
  if (!flags.given.contains("width") && !flags.given.contains("height") && given.image) {
    WarnOfLargePicture(*given.image, pipeline->Facts(), settings, predicted);
  }
  if (flags.common.verbose) NotePrediction(predicted);

  Progress progress;
  int written = 0;  // pictures
  GenerateHooks hooks;
  hooks.stop = signals.Token();
  hooks.warn = [&](const std::string& text) {
    progress.End();
    PrintWarning(text);
  };
  hooks.on_step = [&](const StepView& view) {
    const int before = written / groups.at_once, last = (settings.batch - 1) / groups.at_once;
    progress.Step(before * view.steps + view.step + 1, (last + 1) * view.steps, view.seconds);
    if (outputs.WantsDump()) outputs.DumpStep(view);
  };
  hooks.on_text = [&](const NamedTensors& text) {
    // Only now has the run checked everything that was given to it.
    PrintNote("seed " + std::to_string(*settings.seed));
    if (outputs.WantsDump()) outputs.DumpText(text);
  };
  std::optional<Generated> all;
  std::vector<std::filesystem::path> names;
  const auto run_group = [&] {
    const int count = std::min(groups.at_once, settings.batch - written);
    GenerateInputs own = inputs;
    std::optional<HostTensor> rows;
    if (init_latents) own.init_latents = &rows.emplace(GroupRows(*init_latents, written, count));
    outputs.StagePictures(written, count);
    const Generated generated = pipeline->Run(GroupSettings(settings, written, count), own, hooks);
    progress.End();
    if (generated.cancelled || signals.Token().stop_requested()) {
      throw Cancelled{written, settings.batch};
    }
    here.hashes = hasher.Wait();
    for (auto& name : outputs.WritePictures(generated, here)) {
      if (!flags.common.json) std::printf("%s\n", name.c_str());
      names.push_back(std::move(name));
    }
    std::fflush(stdout);  // programs that read it may begin; errors show at the end
    AddGroup(generated, flags.save_latents.has_value(), &all);
    written += count;
    hooks.on_text = {};  // the same for all
    hooks.warn = {};
  };
  try {
    while (written < settings.batch) run_group();
    outputs.Finish(all->latents);
  } catch (const Error& error) {
    progress.End();
    if (written == 0) throw;
    throw Error(error.code, std::string(error.what()) + "; " + std::to_string(written) + " of " +
                                std::to_string(settings.batch) + " pictures were written");
  }
  all->settings = settings;
  const Generated& generated = *all;

  const double total = Since(begin);
  if (flags.common.json) PrintJson(Report(generated, predicted, here, names, load, total));
  if (flags.common.verbose) NoteMeasured(generated, load, total);
  return kExitDone;
}

}  // namespace

Command GenerateCommand() {
  const auto flags = std::make_shared<GenerateFlags>();
  return {"generate", "render pictures from a prompt",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunGenerate(*flags); }};
}

}  // namespace fovea
