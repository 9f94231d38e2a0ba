// The flags of one pass that stands somewhere in a run: operators, high resolution, step, seed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "app/flags/cli_args.h"
#include "pipelines/forward/forward.h"

namespace fovea {

struct RunPointFlags {
  std::optional<std::string> attention, hires;
  std::optional<int64_t> step, steps;
  uint64_t seed = 0;

  void Add(Flags& flags);
  // Throws kUsage for what does not parse and for a step beyond the steps.
  void Fill(ForwardOptions& options) const;
};

}  // namespace fovea
