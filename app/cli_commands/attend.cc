// `fovea attend`: one attention operator on given q, k, v.
#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "app/cli_commands/commands.h"
#include "app/flags/common_flags.h"
#include "app/flags/token_grid_flag.h"
#include "app/output_files.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "attention/attention_op.h"
#include "attention/plans/plan.h"
#include "attention/tiles/tile_map.h"
#include "models/files/safetensors.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"
#include "tensor/planning_backend.h"

namespace fovea {
namespace {

struct AttendFlags {
  CommonFlags common;
  std::optional<std::string> attention, in, out, grid, text_at;
  std::optional<int64_t> text, step, steps, layer;
  uint64_t seed = 0;

  void Add(Flags& flags);
  TokenLayout Layout() const;
};

void AttendFlags::Add(Flags& flags) {
  flags.Text("--attention", "SPEC", attention, "operator, as clear(r=8)", "dense");
  flags.Text("--in", "QKV.safetensors", in, "tensors q, k, v [batch, heads, tokens, dim]");
  flags.Text("--out", "O.safetensors", out, "tensors o, and lse for a softmax over keys");
  flags.Text("--grid", "HxW|FxHxW", grid, "the grid of the tokens; a line is 1xN");
  flags.Whole("--text", text, 0, kMostGridTokens, "text tokens beside the grid", "0");
  flags.Choice("--text-at", text_at, {"start", "end"}, "where the text tokens stand", "start");
  flags.Whole("--step", step, 0, 1000000, "0-based step, for operators that change", "0");
  flags.Whole("--steps", steps, 1, 1000000, "steps of the whole run", "1");
  flags.Whole("--layer", layer, 0, 1000000, "layer, for operators that draw by layer", "0");
  flags.Value(
      "-s,--seed", "N", [this](const std::string& value) { seed = ParseSeed("--seed", value); },
      "seed, for operators that draw", "0");
  common.Add(flags);
}

TokenLayout AttendFlags::Layout() const {
  const std::array<int, 3> sides = ParseTokenGrid("--grid", *grid);
  const int tokens = sides[0] * sides[1] * sides[2], words = static_cast<int>(text.value_or(0));
  const bool first = text_at.value_or("start") == "start";
  Segment picture{SegmentKind::kGrid, first ? words : 0, tokens, sides};
  const Segment prompt{SegmentKind::kText, first ? 0 : tokens, words, {1, 1, 1}};
  if (words == 0) return {picture};
  if (first) return {prompt, picture};
  return {picture, prompt};
}

// q, k or v as (b, t, heads, d) in the type that we compute in.
HostTensor TokensFirst(Context& ctx, const NamedTensors& inputs, const std::string& name,
                       const std::string& file, DType dtype) {
  const auto found = inputs.find(name);
  if (found == inputs.end()) throw Error(ErrorCode::kBadFile, file + ": no tensor " + name);
  const HostTensor& x = found->second;
  if (x.shape().rank != 4 || !IsFloat(x.dtype()) || x.NumElements() == 0) {
    throw Error(ErrorCode::kBadFile, file + ": tensor " + name +
                                         " must be floats [batch, heads, tokens, dim], not " +
                                         std::string(Name(x.dtype())) + " " + x.shape().ToString());
  }
  const HostTensor plain = x.dtype() == DType::kF64 ? x.ToF32() : x;
  HostTensor out({x.shape()[0], x.shape()[2], x.shape()[1], x.shape()[3]}, dtype);
  ctx.backend.Copy(ctx, plain.View().Permute({0, 2, 1, 3}), out.View());
  return out;
}

DType ComputeType(const AttendFlags& flags, const NamedTensors& inputs) {
  if (flags.common.dtype && *flags.common.dtype != "auto") return flags.common.ComputeType();
  const auto found = inputs.find("q");
  const bool bf16 = found != inputs.end() && found->second.dtype() == DType::kBF16;
  return bf16 ? DType::kBF16 : DType::kF32;
}

// The operator's own tensors: everything that is not q, k or v, as f32. One is called hidden
// [batch, tokens, channels]: AttentionIo's.
std::map<std::string, Tensor> OwnTensors(const NamedTensors& inputs, NamedTensors* keep) {
  std::map<std::string, Tensor> own;
  for (const auto& [name, tensor] : inputs) {
    if (name == "q" || name == "k" || name == "v") continue;
    own[name] = ((*keep)[name] = tensor.ToF32()).View();
  }
  return own;
}

struct Attended {
  NamedTensors outputs;
  double seconds = 0, density = 1, visited = 1;
};

void CheckShapes(const HostTensor& q, const HostTensor& k, const HostTensor& v,
                 const TokenLayout& layout, const std::string& file) {
  if (!(q.shape() == k.shape()) || !(q.shape() == v.shape())) {
    throw Error(ErrorCode::kBadFile, file + ": q, k and v must have one shape");
  }
  if (q.shape()[1] != TokenCount(layout)) {
    throw Error(ErrorCode::kUsage, "--grid and --text make " + std::to_string(TokenCount(layout)) +
                                       " tokens, but " + file + " holds " +
                                       std::to_string(q.shape()[1]));
  }
  if (q.shape()[3] > 256 || q.shape()[3] % 8 != 0) {
    throw Error(ErrorCode::kUnsupported, file + ": head size " + std::to_string(q.shape()[3]) +
                                             "; it must be a multiple of 8 up to 256");
  }
}

Attended Attend(const AttendFlags& flags, const NamedTensors& inputs, Backend& backend) {
  const OperatorSpec chosen = ParseOperator(flags.attention.value_or("dense"));
  const auto op = BindOperator(chosen);
  const DType dtype = ComputeType(flags, inputs);
  Arena none(backend, 0);
  Context convert{backend, none};
  const HostTensor q = TokensFirst(convert, inputs, "q", *flags.in, dtype);
  const HostTensor k = TokensFirst(convert, inputs, "k", *flags.in, dtype);
  const HostTensor v = TokensFirst(convert, inputs, "v", *flags.in, dtype);
  AttentionSpec spec;
  spec.q = spec.kv = flags.Layout();
  CheckShapes(q, k, v, spec.q, *flags.in);
  spec.batch = static_cast<int>(q.shape()[0]);
  spec.heads = static_cast<int>(q.shape()[2]);
  spec.head_dim = static_cast<int>(q.shape()[3]);
  spec.dtype = dtype;
  const Support support = op->Supports(spec);
  if (!support.ok) throw Error(ErrorCode::kUnsupported, "attend: " + support.reason);

  HostTensor out(q.shape(), dtype), lse;
  OperatorIo io{{q.View(), k.View(), v.View(), out.View()}};
  const auto prepared = op->Prepare(spec);
  if (prepared->HasLse()) {
    lse = HostTensor({spec.batch, spec.heads, q.shape()[1]}, DType::kF32);
    io.lse = lse.View();
  }
  NamedTensors keep;
  const auto own = OwnTensors(inputs, &keep);
  io.weights = &own;
  if (const auto found = own.find("hidden"); found != own.end()) {
    const Shape& shape = found->second.shape;
    if (shape.rank != 3 || shape[0] != spec.batch || shape[1] != q.shape()[1] || shape[2] == 0) {
      throw Error(ErrorCode::kBadFile, *flags.in + ": tensor hidden must be [batch, tokens, " +
                                           "channels], not " + shape.ToString());
    }
    io.hidden = found->second;
  }
  io.at = {static_cast<int>(flags.step.value_or(0)), static_cast<int>(flags.steps.value_or(1)),
           flags.seed, static_cast<int>(flags.layer.value_or(0)), 0};
  const auto planning = MakePlanningBackend(backend);
  Arena plan(*planning, kPlanningArenaBytes);
  Context dry{*planning, plan};
  io.maps = prepared->ChooseTiles(dry, io, nullptr);
  prepared->Run(dry, io);
  RequireMemory(PeakMemoryBytes() + plan.PeakBytes(), "take a smaller grid or fewer threads (-t)");
  Arena arena(backend, plan.PeakBytes());
  Context ctx{backend, arena};
  const auto begin = std::chrono::steady_clock::now();
  io.maps = prepared->ChooseTiles(ctx, io, nullptr);
  prepared->Run(ctx, io);

  Attended result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (const TileMap* map = prepared->Map(); map != nullptr) {
    result.density = map->Density();
    result.visited = map->VisitedShare();
  } else if (io.maps != nullptr) {
    const double all = static_cast<double>(q.shape()[1]) * static_cast<double>(q.shape()[1]);
    result.density = io.maps->MeanPairs() / all;
    result.visited = io.maps->MeanVisitedPairs() / all;
  }
  HostTensor heads_first(
      {spec.batch, spec.heads, q.shape()[1], spec.head_dim},
      inputs.at("q").dtype() == DType::kF64 ? DType::kF32 : inputs.at("q").dtype());
  backend.Copy(ctx, out.View().Permute({0, 2, 1, 3}), heads_first.View());
  result.outputs["o"] = std::move(heads_first);
  if (!io.lse.Empty()) result.outputs["lse"] = std::move(lse);
  return result;
}

int RunAttend(const AttendFlags& flags) {
  flags.common.Apply();
  for (const auto& [name, value] : {std::pair{"--in", &flags.in}, std::pair{"--out", &flags.out},
                                    std::pair{"--grid", &flags.grid}}) {
    if (!*value) throw Error(ErrorCode::kUsage, std::string(name) + " is missing");
  }
  OutputFiles files;
  const auto temporary = files.Replace(*flags.out);
  const NamedTensors inputs = ReadSafetensors(*flags.in);
  const auto backend = flags.common.MakeDevice();
  const Attended result = Attend(flags, inputs, *backend);
  WriteSafetensors(temporary, result.outputs);
  files.Commit();
  if (flags.common.json) {
    nlohmann::ordered_json json;
    json["file"] = *flags.out;
    json["operator"] = ParseOperator(flags.attention.value_or("dense")).Text();
    json["dtype"] = Name(ComputeType(flags, inputs));
    json["threads"] = NumThreads();
    json["seconds"] = result.seconds;
    json["density"] = result.density;
    json["visited"] = result.visited;
    json["lse"] = result.outputs.contains("lse");
    PrintJson(json);
  } else {
    std::printf("%s\n", flags.out->c_str());
  }
  if (flags.common.verbose) {
    char line[128];
    std::snprintf(line, sizeof line, "%.4f s, %.1f %% of the pairs seen, %.1f %% computed",
                  result.seconds, 100 * result.density, 100 * result.visited);
    PrintNote(line);
  }
  return kExitDone;
}

}  // namespace

Command AttendCommand() {
  const auto flags = std::make_shared<AttendFlags>();
  return {"attend", "run one attention operator on given q, k and v",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunAttend(*flags); }};
}

}  // namespace fovea
