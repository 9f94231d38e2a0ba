// `fovea forward`: one component, once, on the tensors of a file.
#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/cli_commands/commands.h"
#include "app/flags/common_flags.h"
#include "app/flags/run_point_flags.h"
#include "app/output_files.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/process/stop_signals.h"
#include "models/component_weights.h"
#include "models/files/safetensors.h"
#include "pipelines/forward/forward.h"
#include "pipelines/metadata/attention_report.h"
#include "pipelines/metadata/numbers.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

struct ForwardFlags {
  CommonFlags common;
  ModelFlags models;
  RunPointFlags at;
  MemoryFlag memory;
  std::optional<std::string> in, out;
  bool hidden_states = false;

  void Add(Flags& flags);
  ForwardOptions Options() const;
};

void ForwardFlags::Add(Flags& flags) {
  models.Add(flags);
  models.AddComponent(flags);
  flags.Text("--in", "X.safetensors", in, "inputs, named as the arguments of the class's forward");
  flags.Text("--out", "Y.safetensors", out, "outputs; replaced if it exists");
  flags.Switch("--hidden-states", hidden_states, "text encoders: also write hidden_states.K");
  at.Add(flags);
  memory.Add(flags);
  common.Add(flags);
}

ForwardOptions ForwardFlags::Options() const {
  ForwardOptions options;
  options.dtype = common.ComputeType();
  options.hidden_states = hidden_states;
  options.max_memory = memory.Bytes();
  at.Fill(options);
  return options;
}

nlohmann::ordered_json ShapesJson(const NamedTensors& tensors) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [name, tensor] : tensors) {
    const Shape& shape = tensor.shape();
    json[name] = std::vector<int64_t>(shape.dim.begin(), shape.dim.begin() + shape.rank);
  }
  return json;
}

int RunForward(const ForwardFlags& flags) {
  flags.common.Apply();
  if (!flags.in || !flags.out) {
    throw Error(ErrorCode::kUsage, std::string("name the file of the ") +
                                       (flags.in ? "outputs with --out" : "inputs with --in"));
  }
  ForwardOptions options = flags.Options();
  const StopSignals signals;
  options.stop = signals.Token();

  OutputFiles files;
  const auto temporary = files.Replace(*flags.out);
  const ModelFolder folder = flags.models.Open(flags.models.model.value_or(""));
  const ComponentFolder& chosen = flags.models.Choose(folder);
  const NamedTensors inputs = ReadSafetensors(*flags.in);
  const auto backend = flags.common.MakeDevice();
  const auto component = Component::Load(chosen, *backend);
  signals.ThrowIfStopped();
  options.used_memory = CurrentMemoryBytes();
  const ForwardResult result = component->Forward(inputs, options);
  signals.ThrowIfStopped();
  WriteSafetensors(temporary, result.outputs);
  files.Commit();

  const double peak_memory = static_cast<double>(PeakMemoryBytes());
  const Numbers numbers = NumbersOf({OpenWeights(chosen)}, options.dtype);
  if (flags.common.json) {
    nlohmann::ordered_json json;
    json["file"] = *flags.out;
    json["component"] = chosen.name;
    json["class"] = component->ClassName();
    json["outputs"] = ShapesJson(result.outputs);
    json["dtype"] = Name(options.dtype);
    json["numbers"] = ToJson(numbers);
    json["threads"] = NumThreads();
    json["seconds"] = result.seconds;
    json["gflop"] = result.cost.flops / 1e9;
    if (!result.hires.Empty()) {
      json["hires"] = ToJson(result.hires);
      json["hires"]["stage"] = Name(result.stage);
    }
    if (!result.attention.empty()) {
      json["attention"] = {{"plan", options.attention.Text()},
                           {"ran", ToJson(GroupUses(result.attention))}};
    }
    json["arena_bytes"] = result.arena_bytes;
    json["packed_bytes"] = result.cost.packed_bytes;
    json["peak_memory_mb"] = peak_memory / 1e6;
    PrintJson(json);
  } else {
    std::printf("%s\n", flags.out->c_str());
  }
  if (flags.common.verbose) {
    char times[128];
    std::snprintf(times, sizeof times, "%s: %.3f s, %.2f GFLOP, %s, %d threads",
                  component->ClassName().c_str(), result.seconds, result.cost.flops / 1e9,
                  std::string(Name(options.dtype)).c_str(), NumThreads());
    PrintNote(times);
    PrintNote(Line(numbers));
    if (!result.hires.Empty()) PrintNote(Line(result.hires) + "; here: " + Name(result.stage));
    for (const std::string& line : Lines(GroupUses(result.attention))) PrintNote(line);
    PrintNote("memory: peak " + FormatBytes(peak_memory) + ", arena " +
              FormatBytes(static_cast<double>(result.arena_bytes)));
  }
  return kExitDone;
}

}  // namespace

Command ForwardCommand() {
  const auto flags = std::make_shared<ForwardFlags>();
  return {"forward", "run one component once on given tensors",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunForward(*flags); }};
}

}  // namespace fovea
