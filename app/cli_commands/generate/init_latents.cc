#include "app/cli_commands/generate/init_latents.h"

#include "models/files/safetensors.h"
#include "tensor/error.h"
#include "tensor/finite.h"

namespace fovea {

HostTensor ReadInitLatents(const std::string& path) {
  NamedTensors tensors = ReadSafetensors(path);
  const auto found = tensors.find("latents");
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, path + ": " + what);
  };
  if (found == tensors.end()) bad("no tensor 'latents'; --init-latents reads that one");
  if (!IsFloat(found->second.dtype())) {
    bad("tensor 'latents' holds " + std::string(Name(found->second.dtype())) +
        "; it must hold floats");
  }
  if (found->second.shape().rank != 4) {
    bad("tensor 'latents' has shape " + found->second.shape().ToString() +
        "; it must be [batch, channels, height, width]");
  }
  if (!AllFinite(found->second.View())) {
    bad("tensor 'latents' holds NaN or infinity; it must hold unit noise");
  }
  return found->second.ToF32();
}

}  // namespace fovea
