// What `fovea generate` writes besides its report: pictures, latents, dumps, a trace.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "app/cli_commands/generate/generate_flags.h"
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
  // Checks that the pictures of a group can be written, from `first` on; before it is made.
  void StagePictures(int first, int count);
  // Writes the group's pictures and gives them their names, which it returns: from then on they
  // stay, whatever becomes of the rest.
  std::vector<std::filesystem::path> WritePictures(const Generated& group, const Provenance& from);
  // Latents of all pictures, where asked for, the trace, and what was dumped.
  void Finish(const HostTensor& latents);

 private:
  OutputFiles files_;
  std::vector<std::filesystem::path> staged_;  // temporary names of a group's pictures
  PictureTarget target_;
  int batch_;
  uint64_t seed_;
  std::optional<std::filesystem::path> latents_, trace_;
  std::optional<std::filesystem::path> dump_;  // the folder
};

}  // namespace fovea
