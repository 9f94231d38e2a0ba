// The model whose heads `fovea hunt` and `fovea heads` try, opened, with the settings of a picture.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/cli_commands/generate/generate_flags.h"
#include "app/process/stop_signals.h"
#include "attention/heads/perturbation_list.h"
#include "pipelines/generation/text_to_image.h"

namespace fovea {

struct HeadModel {
  std::unique_ptr<Backend> backend;
  std::string name;
  std::unique_ptr<TextToImage> pipeline;
  // Resolved; one picture. Without --cfg it is off where it takes a branch of its own, so that
  // heads are seen alone; without -s the seed is 0.
  GenerateSettings settings;
  double plain_cfg = 0;  // the model's, where it takes a branch and the settings have none; else 0
  std::vector<NamedHead> heads;  // that `list` names, but for those of --perturb

  // Throws kUsage for flags that have no meaning here (-b, --from, --image, --init-latents, ...).
  HeadModel(const GenerateFlags& flags, const std::string& list);
  // GFLOP of a picture that is led away from this head, and of one that is not.
  double WorkOf(const std::string& item) const;
};

// One picture; throws Cancelled.
Image DrawOne(const HeadModel& model, const GenerateSettings& settings, const StopSignals& signals);

}  // namespace fovea
