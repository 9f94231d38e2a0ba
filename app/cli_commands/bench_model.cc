// `fovea bench model`: how fast one component runs, against what the processor can do.
#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/cli_commands/commands.h"
#include "app/cli_commands/reports/layer_table.h"
#include "app/flags/common_flags.h"
#include "app/flags/run_point_flags.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/process/stop_signals.h"
#include "models/component_weights.h"
#include "pipelines/forward/forward.h"
#include "pipelines/metadata/numbers.h"
#include "tensor/error.h"
#include "tensor/machine/cpu_info.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

struct BenchFlags {
  CommonFlags common;
  ModelFlags models;
  RunPointFlags at;
  MemoryFlag memory;
  std::optional<int64_t> width, height, batch, repeat;
  bool cold = false;
  std::optional<std::string> layers;

  void Add(Flags& flags);
};

void BenchFlags::Add(Flags& flags) {
  models.Add(flags);
  models.AddComponent(flags);
  flags.Whole("-W,--width", width, 1, 65536, "picture width", "the model's");
  flags.Whole("-H,--height", height, 1, 65536, "picture height", "the model's");
  flags.Whole("-b,--batch", batch, 1, 1024, "pictures at once", "1");
  flags.Whole("--repeat", repeat, 1, 10000, "timed passes, after one to warm up", "5");
  flags.Switch("--cold", cold, "time the first pass too, which packs the weights");
  at.Add(flags);
  memory.Add(flags);
  flags.Choice("--layers", layers, {"none", "kinds", "shapes"},
               "one more pass, with the time of each layer kind against the machine's bounds",
               "none");
  common.Add(flags);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Columns and rows of what such inputs hold of a picture: the last two axes of a feature map, or of
// FLUX's tokens. Zeros for a component that sees no picture.
std::pair<int64_t, int64_t> MapSize(const NamedTensors& inputs) {
  for (const auto& [name, tensor] : inputs) {
    if (tensor.shape().rank == 4) return {tensor.shape()[3], tensor.shape()[2]};
  }
  const auto ids = inputs.find("img_ids");
  if (ids == inputs.end()) return {0, 0};
  const float* last = ids->second.Data<float>() + ids->second.NumElements() - 3;
  return {static_cast<int64_t>(last[2]) + 1, static_cast<int64_t>(last[1]) + 1};
}

// The picture that such inputs stand for.
std::pair<int64_t, int64_t> PictureSize(const Component& component, const NamedTensors& inputs) {
  constexpr int kWide = 8192;
  const auto [columns, rows] = MapSize(inputs);
  if (columns == 0) return {0, 0};
  const int64_t factor = kWide / MapSize(component.ExampleInputs(kWide, 1, 1)).first;
  return {columns * factor, rows * factor};
}

int RunBench(const BenchFlags& flags) {
  flags.common.Apply();
  const StopSignals signals;
  const ModelFolder folder = flags.models.Open(flags.models.model.value_or(""));
  const ComponentFolder& chosen = flags.models.Choose(folder);
  const auto backend = flags.common.MakeDevice();
  const auto component = Component::Load(chosen, *backend);

  const int batch = static_cast<int>(flags.batch.value_or(1));
  const NamedTensors inputs = component->ExampleInputs(
      static_cast<int>(flags.width.value_or(0)), static_cast<int>(flags.height.value_or(0)), batch);
  const auto [width, height] = PictureSize(*component, inputs);
  ForwardOptions options;
  options.dtype = flags.common.ComputeType();
  options.stop = signals.Token();
  options.max_memory = flags.memory.Bytes();
  options.used_memory = CurrentMemoryBytes();
  flags.at.Fill(options);

  std::vector<double> seconds;
  double flops = 0;
  HiresReport hires;
  RaunetStage stage;
  const int64_t repeat = flags.repeat.value_or(5);
  for (int64_t i = flags.cold ? 1 : 0; i <= repeat; ++i) {
    const ForwardResult result = component->Forward(inputs, options);
    signals.ThrowIfStopped();
    flops = result.cost.flops;
    hires = result.hires;
    stage = result.stage;
    if (i > 0) seconds.push_back(result.seconds);  // the first pass packs weights
  }
  const double median = Median(seconds);
  const double gflops = flops / 1e9 / median;
  const double peak_memory = static_cast<double>(PeakMemoryBytes()) / 1e6;
  const double peak = MeasurePeakGflops(options.dtype);
  const Numbers numbers = NumbersOf({OpenWeights(chosen)}, options.dtype);
  std::vector<LayerRow> rows;
  double memory_speed = 0;
  if (flags.layers.value_or("none") != "none") {
    trace::Start();
    component->Forward(inputs, options);
    rows = GroupLayers(trace::Stop(),
                       *flags.layers == "kinds" ? LayerGrouping::kKinds : LayerGrouping::kShapes);
    memory_speed = MeasureMemoryGbps();
  }
  if (flags.common.json) {
    nlohmann::ordered_json json;
    json["component"] = chosen.name.empty() ? component->ClassName() : chosen.name;
    json["width"] = width;
    json["height"] = height;
    json["batch"] = batch;
    json["dtype"] = Name(options.dtype);
    json["threads"] = NumThreads();
    if (!hires.Empty()) {
      json["hires"] = ToJson(hires);
      json["hires"]["stage"] = Name(stage);
    }
    json["seconds"] = median;
    json["gflop"] = flops / 1e9;
    json["gflops"] = gflops;
    json["peak_gflops"] = peak;
    json["share_of_peak"] = gflops / peak;
    json["peak_memory_mb"] = peak_memory;
    if (!rows.empty()) {
      json["memory_gbps"] = memory_speed;
      json["layers"] = LayerJson(rows, peak, memory_speed);
    }
    PrintJson(json);
  } else {
    const std::string size =
        width == 0 ? "" : " " + std::to_string(width) + "x" + std::to_string(height);
    std::printf(
        "%s%s batch %d, %s, %d threads: %.4f s, %.2f GFLOP, %.1f GFLOP/s, %.0f %% of %.0f\n",
        component->ClassName().c_str(), size.c_str(), batch,
        std::string(Name(options.dtype)).c_str(), NumThreads(), median, flops / 1e9, gflops,
        100 * gflops / peak, peak);
    if (flags.common.verbose) {
      PrintNote(Line(numbers) + ", peak memory " + FormatBytes(peak_memory * 1e6));
    }
    if (!rows.empty()) {
      std::printf("memory %.1f GB/s\n%s", memory_speed,
                  LayerTable(rows, peak, memory_speed).c_str());
    }
  }
  return kExitDone;
}

}  // namespace

Command BenchModelCommand() {
  const auto flags = std::make_shared<BenchFlags>();
  return {"bench model", "time one component", [flags](Flags& parser) { flags->Add(parser); },
          [flags] { return RunBench(*flags); }};
}

}  // namespace fovea
