#include "app/cli_commands/inspect/picture_groups.h"

#include <algorithm>
#include <cstring>

#include "app/process/host_memory.h"

namespace fovea {
namespace {

// More pixels side by side make no pass faster, and more pictures would come later.
constexpr int64_t kPixelsAtOnce = int64_t{1} << 20;
constexpr int64_t kMostAtOnce = 4;

std::string MemoryAdvice(const GenerateSettings& settings, bool together) {
  if (settings.vae_tiling == "off") return "do not give --vae-tiling off";
  if (together && settings.batch > 1) {
    return "lower --batch, now " + std::to_string(settings.batch);
  }
  return "lower --width and --height, now " + std::to_string(settings.width) + "x" +
         std::to_string(settings.height);
}

}  // namespace

PictureGroups PlanGroups(TextToImage& pipeline, const GenerateSettings& settings,
                         const GenerateInputs& inputs, bool together) {
  const int64_t pixels = std::max(int64_t{settings.width} * settings.height, int64_t{1});
  const int64_t fitting = std::clamp(kPixelsAtOnce / pixels, int64_t{1}, kMostAtOnce);
  if (inputs.init_latents != nullptr) {
    const Shape& shape = inputs.init_latents->shape();
    // The whole run says what does not fit; a group might happen to.
    if (shape.rank < 1 || shape[0] != settings.batch) pipeline.DryRun(settings, inputs);
  }
  PictureGroups groups;
  groups.at_once =
      together ? settings.batch : static_cast<int>(std::min<int64_t>(settings.batch, fitting));
  const auto dry_run = [&](int count) {
    GenerateInputs own = inputs;
    std::optional<HostTensor> rows;
    if (inputs.init_latents != nullptr) {
      rows = GroupRows(*inputs.init_latents, 0, count);
      own.init_latents = &*rows;
    }
    return pipeline.DryRun(GroupSettings(settings, 0, count), own);
  };
  for (;;) {
    try {
      groups.prediction = dry_run(groups.at_once);
      RequireMemory(groups.prediction.PeakBytes(), MemoryAdvice(settings, together));
      break;
    } catch (const Error& error) {
      if (error.code != ErrorCode::kOutOfMemory || together || groups.at_once == 1) throw;
      groups.at_once = (groups.at_once + 1) / 2;
    }
  }
  const int whole = settings.batch / groups.at_once, rest = settings.batch % groups.at_once;
  Prediction& all = groups.prediction;
  const double last = rest == 0 ? 0 : dry_run(rest).flops / all.flops;
  all.flops *= whole + last;
  all.dense_flops *= whole + last;
  return groups;
}

GenerateSettings GroupSettings(const GenerateSettings& all, int first, int count) {
  GenerateSettings group = all;
  group.batch = count;
  group.seed = all.seed.value_or(0) + static_cast<uint64_t>(first);
  return group;
}

HostTensor GroupRows(const HostTensor& all, int first, int count) {
  ENSURE(all.shape().rank >= 1 && first + count <= all.shape()[0]);
  Shape shape = all.shape();
  const size_t row = all.Bytes() / static_cast<size_t>(shape[0]);
  shape[0] = count;
  HostTensor rows(shape, all.dtype());
  std::memcpy(rows.data(),
              static_cast<const std::byte*>(all.data()) + static_cast<size_t>(first) * row,
              rows.Bytes());
  return rows;
}

void AddGroup(const Generated& group, bool keep_latents, std::optional<Generated>* all) {
  if (!*all) {
    *all = group;
    (*all)->images.clear();
    if (!keep_latents) (*all)->latents = {};
    return;
  }
  Generated& sum = **all;
  sum.timings.text += group.timings.text;
  sum.timings.encode += group.timings.encode;
  sum.timings.denoise += group.timings.denoise;
  sum.timings.decode += group.timings.decode;
  sum.calls += group.calls;
  sum.arena_bytes = std::max(sum.arena_bytes, group.arena_bytes);
  sum.packed_bytes = std::max(sum.packed_bytes, group.packed_bytes);
  if (!keep_latents) return;
  Shape shape = sum.latents.shape();
  const size_t before = sum.latents.Bytes();
  shape[0] += group.latents.shape()[0];
  HostTensor joined(shape, sum.latents.dtype());
  auto* bytes = static_cast<std::byte*>(joined.data());
  std::memcpy(bytes, sum.latents.data(), before);
  std::memcpy(bytes + before, group.latents.data(), group.latents.Bytes());
  sum.latents = std::move(joined);
}

}  // namespace fovea
