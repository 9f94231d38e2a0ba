// `fovea bench attention`: how fast the attention operators run, against what they could.
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/cli_commands/commands.h"
#include "app/flags/common_flags.h"
#include "app/flags/token_grid_flag.h"
#include "app/output_files.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/process/stop_signals.h"
#include "pipelines/bench/attention_bench.h"
#include "pipelines/bench/attention_plot.h"
#include "pipelines/pictures/formats/png_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr const char* kOperators =
    "dense;window;clear(r=8);clear(r=16);gna(window=24,stride=8);halo(block=8,halo=8);"
    "radial(model=2d);agent;agentsd";

struct BenchAttentionFlags {
  CommonFlags common;
  std::optional<std::string> grids, dims, operators, plot;
  std::optional<int64_t> heads, repeat;

  void Add(Flags& flags);
  AttentionBenchOptions Options() const;
};

void BenchAttentionFlags::Add(Flags& flags) {
  flags.Text("--grid", "HxW,...", grids, "grids of tokens, HxW or FxHxW", "64x64");
  flags.Whole("--heads", heads, 1, 1024, "heads", "8");
  flags.Text("--dim", "N,...", dims, "head sizes, multiples of 8 up to 256", "64");
  flags.Text("--operators", "SPEC;SPEC", operators, "operators with their arguments", kOperators);
  flags.Whole("--repeat", repeat, 1, 10000, "timed runs, after one to warm up", "5");
  flags.Text("--plot", "FILE.png|DIR", plot,
             "draw the times: all head sizes in one picture, or one picture each");
  common.Add(flags);
}

std::vector<std::string> SplitAtCommas(const std::string& text) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t comma = 0; comma != std::string::npos; begin = comma + 1) {
    comma = text.find(',', begin);
    parts.push_back(text.substr(begin, comma - begin));
  }
  return parts;
}

AttentionBenchOptions BenchAttentionFlags::Options() const {
  AttentionBenchOptions options;
  options.grids.clear();
  options.dims.clear();
  for (const std::string& grid : SplitAtCommas(grids.value_or("64x64"))) {
    options.grids.push_back(ParseTokenGrid("--grid", grid));
  }
  for (const std::string& dim : SplitAtCommas(dims.value_or("64"))) {
    const int64_t value = ParseWhole("--dim", dim, 8, 256);
    if (value % 8 != 0) {
      throw Error(ErrorCode::kUnsupported,
                  "--dim: head size " + dim + "; it must be a multiple of 8 up to 256");
    }
    options.dims.push_back(static_cast<int>(value));
  }
  // Operators without selectors are a plan, too.
  const AttentionPlan plan = AttentionPlan::Parse(operators.value_or(kOperators));
  for (const PlanRule& rule : plan.Rules()) {
    if (rule.has_selector || rule.otherwise) {
      throw Error(ErrorCode::kUsage, "--operators: \"" + rule.text +
                                         "\" is a rule; give operators alone, as clear(r=8)");
    }
    options.operators.push_back(rule.op);
  }
  if (options.operators.empty()) throw Error(ErrorCode::kUsage, "--operators: none is given");
  options.heads = static_cast<int>(heads.value_or(8));
  options.repeat = static_cast<int>(repeat.value_or(5));
  options.dtype = common.ComputeType();
  return options;
}

nlohmann::ordered_json ToJson(const AttentionTiming& timing) {
  return {{"operator", timing.op},
          {"grid", GridText(timing.grid)},
          {"heads", timing.heads},
          {"dim", timing.dim},
          {"dtype", Name(timing.dtype)},
          {"threads", timing.threads},
          {"seconds", timing.seconds},
          {"gflops", timing.gflops},
          {"visited_tiles", timing.visited_tiles},
          {"ideal_tiles", timing.ideal_tiles},
          {"density", timing.density},
          {"bound_seconds", timing.bound_seconds},
          {"share_of_bound", timing.share_of_bound}};
}

void PrintTable(const std::vector<AttentionTiming>& timings) {
  size_t width = 8;
  for (const AttentionTiming& timing : timings) width = std::max(width, timing.op.size());
  const int column = static_cast<int>(width);
  const AttentionTiming* before = nullptr;
  for (const AttentionTiming& timing : timings) {
    if (before == nullptr || before->grid != timing.grid || before->dim != timing.dim) {
      std::printf("%sgrid %s, %d heads of %d, %s, %d threads\n", before == nullptr ? "" : "\n",
                  GridText(timing.grid).c_str(), timing.heads, timing.dim,
                  std::string(Name(timing.dtype)).c_str(), timing.threads);
      std::printf("%-*s %11s %11s %6s %9s %8s %9s %9s\n", column, "operator", "ms", "bound ms",
                  "share", "GFLOP/s", "density", "visited", "ideal");
    }
    std::printf("%-*s %11.3f %11.3f %4.0f %% %9.1f %6.2f %% %9lld %9lld\n", column,
                timing.op.c_str(), 1e3 * timing.seconds, 1e3 * timing.bound_seconds,
                100 * timing.share_of_bound, timing.gflops, 100 * timing.density,
                static_cast<long long>(timing.visited_tiles),
                static_cast<long long>(timing.ideal_tiles));
    before = &timing;
  }
}

// The picture, or one for each head size, staged under temporary names.
struct Plots {
  OutputFiles files;
  std::vector<std::pair<int, std::filesystem::path>> pictures;  // head size (0: all) and name

  Plots(const std::string& target, const std::vector<int>& dims) {
    const std::filesystem::path path = target;
    if (path.extension() == ".png") {
      pictures.emplace_back(0, files.Replace(path));
      return;
    }
    files.MakeFolder(path);
    for (const int dim : dims) {
      pictures.emplace_back(dim,
                            files.Replace(path / ("attention-d" + std::to_string(dim) + ".png")));
    }
  }
  void Draw(const std::vector<AttentionTiming>& timings) {
    for (const auto& [dim, path] : pictures) {
      std::vector<AttentionTiming> some;
      for (const AttentionTiming& timing : timings) {
        if (dim == 0 || timing.dim == dim) some.push_back(timing);
      }
      WritePng(path, PlotAttentionTimings(some), {});
    }
    for (const auto& path : files.Commit()) PrintNote("plot: " + path.string());
  }
};

int RunBenchAttention(const BenchAttentionFlags& flags) {
  flags.common.Apply();
  const StopSignals signals;
  const AttentionBenchOptions options = flags.Options();
  std::optional<Plots> plots;
  if (flags.plot) plots.emplace(*flags.plot, options.dims);
  const auto backend = flags.common.MakeDevice();
  AttentionBench bench(options, *backend);
  RequireMemory(PeakMemoryBytes() + bench.PeakBytes(), "take smaller grids or fewer heads");
  const auto done = [&flags](const AttentionTiming& timing) {
    if (!flags.common.verbose) return;
    char line[32];
    std::snprintf(line, sizeof line, ": %.3f ms", 1e3 * timing.seconds);
    PrintNote(timing.op + " on " + GridText(timing.grid) + ", head size " +
              std::to_string(timing.dim) + line);
  };
  const std::vector<AttentionTiming> timings = bench.Run(signals.Token(), done);
  signals.ThrowIfStopped();
  if (plots) plots->Draw(timings);
  if (flags.common.json) {
    auto list = nlohmann::ordered_json::array();
    for (const AttentionTiming& timing : timings) list.push_back(ToJson(timing));
    PrintJson(list);
  } else {
    PrintTable(timings);
  }
  return kExitDone;
}

}  // namespace

Command BenchAttentionCommand() {
  const auto flags = std::make_shared<BenchAttentionFlags>();
  return {"bench attention", "time attention operators beside their bounds",
          [flags](Flags& parser) { flags->Add(parser); },
          [flags] { return RunBenchAttention(*flags); }};
}

}  // namespace fovea
