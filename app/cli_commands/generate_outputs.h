// What `fovea generate` writes besides its report: pictures, latents, dumps, a trace.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/cli_commands/generate_flags.h"
#include "app/output_files.h"
#include "pipelines/generation/text_to_image.h"

namespace fovea {

class GenerateOutputs {
 public:
  // Checks that everything asked for can be written.
  GenerateOutputs(const GenerateFlags& flags, const GenerateSettings& settings);

  bool WantsDump() const { return dump_.has_value(); }
  void DumpText(const NamedTensors& text);
  void DumpStep(const StepView& view);
  // Writes pictures and latents under temporary names, then gives all files their names. Returns
  // those of the pictures.
  std::vector<std::filesystem::path> Finish(const Generated& generated, const Provenance& from);

 private:
  OutputFiles files_;
  std::vector<std::filesystem::path> pictures_;  // temporary names
  std::optional<std::filesystem::path> latents_, trace_;
  std::optional<std::filesystem::path> dump_;  // the folder
};

}  // namespace fovea
