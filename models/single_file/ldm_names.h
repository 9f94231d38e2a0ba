// Names of the original ("ldm") checkpoints for tensors that diffusers and transformers name
// otherwise: one table, from their names to the original ones.
//
// The original networks number their blocks in one sequence and text encoders may be open_clip's,
// which keeps query, key and value of an attention in one matrix, as the original transformers do.
// Those also have shift and scale of their last norms in the other order. Everything else is
// renaming.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "models/tensor_names.h"

namespace fovea {

enum class LdmModule : uint8_t {
  kUNet,      // UNet2DConditionModel
  kVae,       // AutoencoderKL
  kClip,      // CLIPTextModel: transformers' own names
  kOpenClip,  // CLIPTextModel and CLIPTextModelWithProjection: open_clip's names
  kT5,        // T5EncoderModel: transformers' own names
  kSd3,       // SD3Transformer2DModel
  kFlux,      // FluxTransformer2DModel
};

// What the numbers in the names depend on.
struct LdmLayout {
  int layers_per_block = 2;  // of the U-Net
  int vae_levels = 4;
  int joint_blocks = 0;  // of a transformer
  int text_layers = 0;   // that the config has; open_clip files may hold more
};

// Where `tensor` (diffusers' or transformers' name, "text_model." included) lies in a file of such
// a module, without the prefix of the component; in order of preference. Also for module paths that
// end in a dot. Any text is fine: unknown names give nothing. Pure; fuzzed.
std::vector<StoredTensor> LdmNames(LdmModule module, std::string_view tensor,
                                   const LdmLayout& layout);

}  // namespace fovea
