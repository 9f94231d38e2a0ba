#include "app/jobs/shard.h"

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int64_t kMost = 1000000;

[[noreturn]] void Bad(const std::string& what) {
  throw Error(ErrorCode::kUsage, what);
}

int64_t Whole(const std::string& name, std::string_view text, int64_t low, int64_t high) {
  int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || value < low ||
      value > high) {
    Bad(name + ": '" + Printable(text, 40) + "' is not a whole number from " + std::to_string(low) +
        " to " + std::to_string(high));
  }
  return value;
}

Shard Parse(const std::string& name, std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    Bad(name + ": '" + Printable(text, 40) + "' is not I/N, as 1/4 to 4/4, or auto");
  }
  Shard shard;
  shard.count = Whole(name, text.substr(slash + 1), 1, kMost);
  shard.index = Whole(name, text.substr(0, slash), 1, shard.count);
  shard.from = name;
  return shard;
}

Shard FromSlurm(const Environment& environment) {
  const auto number = [&](const char* name) {
    const auto text = environment(name);
    if (!text) Bad(std::string("--shard auto: ") + name + " is not set; give --shard I/N");
    return Whole(name, *text, 0, int64_t{1} << 31);
  };
  const int64_t id = number("SLURM_ARRAY_TASK_ID"), low = number("SLURM_ARRAY_TASK_MIN");
  const int64_t high = number("SLURM_ARRAY_TASK_MAX"), count = number("SLURM_ARRAY_TASK_COUNT");
  const int64_t step = environment("SLURM_ARRAY_TASK_STEP") ? number("SLURM_ARRAY_TASK_STEP") : 1;
  if (count < 1 || step < 1 || high != low + step * (count - 1) || id < low || id > high ||
      (id - low) % step != 0) {
    Bad("--shard auto: give --shard; this array has gaps");
  }
  return {(id - low) / step + 1, count, "the Slurm array", {}};
}

}  // namespace

Shard ChooseShard(const std::string& flag, const Environment& environment) {
  const bool automatic = flag == "auto" || flag.starts_with("auto/");
  if (!flag.empty() && !automatic) return Parse("--shard", flag);
  const bool slurm = environment("SLURM_ARRAY_TASK_ID").has_value();
  const auto completion = environment("JOB_COMPLETION_INDEX");
  const auto own = environment("FOVEA_SHARD");
  Shard all;
  if (flag.empty()) {
    if (slurm || completion || own) {
      all.warning =
          std::string(own     ? "FOVEA_SHARD"
                      : slurm ? "SLURM_ARRAY_TASK_ID"
                              : "JOB_COMPLETION_INDEX") +
          " is set, but without --shard all jobs are done here; --shard auto takes a part";
    }
    return all;
  }
  if (own) return Parse("FOVEA_SHARD", *own);
  if (slurm) return FromSlurm(environment);
  if (completion) {
    const std::string total =
        flag.size() > 5 ? flag.substr(5) : environment("FOVEA_SHARDS").value_or("");
    if (total.empty()) {
      Bad("--shard auto: JOB_COMPLETION_INDEX does not say of how many; give --shard auto/N or set "
          "FOVEA_SHARDS");
    }
    Shard shard;
    shard.count = Whole("--shard auto/N", total, 1, kMost);
    shard.index = Whole("JOB_COMPLETION_INDEX", *completion, 0, shard.count - 1) + 1;
    shard.from = "JOB_COMPLETION_INDEX";
    return shard;
  }
  all.warning = "--shard auto: nothing says which part this is, so all jobs are done here";
  return all;
}

std::optional<std::string> ProcessEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace fovea
