// What a Vision Transformer is made of, whichever library described it.
//
// ViT (Dosovitskiy et al. 2020), DeiT (Touvron et al. 2020), DINOv2 (Oquab et al. 2023) with and
// without registers (Darcet et al. 2023), CLIP's vision tower (Radford et al. 2021) and Agent-DeiT
// (Han et al. 2023) are one encoder with different options.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/config.h"
#include "tensor/backend.h"

namespace fovea {

// Whose names the tensors have: rows of the table in vit_names.cc.
enum class VitNaming : uint8_t { kVit, kDinov2, kClip, kTimm };

// What becomes of the encoder's output.
enum class VitHead : uint8_t {
  kNone,            // nothing more
  kTanhPooler,      // ViTModel: a linear map of the class token; the tanh is the caller's
  kClassifier,      // logits from the class token
  kTwoClassifiers,  // logits: the mean of the class and the distillation token's
  kClassToken,      // DINOv2: the normed class token
  kClipPooler,      // the class token, normed; the sequence is not
  kClipProjection,  // the same and a projection
};

// How learned positions reach a grid that is not the trained one.
enum class VitResize : uint8_t {
  kBicubic,             // a = -0.75, no antialiasing
  kBicubicAntialiased,  // a = -0.5, a filter that widens when shrinking
};

struct VitConfig {
  std::string class_name;
  VitNaming naming = VitNaming::kVit;
  std::string prefix;  // "vit.": of the encoder in files of classes that wrap it
  VitHead head = VitHead::kNone;
  VitResize resize = VitResize::kBicubic;

  int64_t hidden = 768, mlp = 3072, channels = 3;
  int layers = 12, heads = 12;
  int64_t image_height = 224, image_width = 224, patch = 16;
  Act act = Act::kGeluErf;
  double eps = 1e-12;
  bool qkv_bias = true, patch_bias = true;
  bool distillation_token = false;
  int registers = 0;             // learned tokens after the class token
  bool prefix_positions = true;  // class and distillation token have learned positions
  bool register_positions = false;
  bool pre_norm = false;  // a norm before the first block
  bool layer_scale = false;
  bool swiglu = false;      // mlp is then the width after the gate
  int64_t outputs = 0;      // classes, or columns of a projection or pooler
  std::vector<int> agents;  // of each block: agent tokens, 0 for plain attention; or empty

  int64_t GridHeight() const { return image_height / patch; }
  int64_t GridWidth() const { return image_width / patch; }
  int PrefixTokens() const { return 1 + (distillation_token ? 1 : 0) + registers; }
};

// Whether a config.json of this class is read by the function below.
bool IsVitClass(const std::string& class_name);
// Of a transformers class or of timm's "VisionTransformer". Throws kBadFile for wrong values and
// kUnsupported for what we lack, naming file and field.
VitConfig ReadVitConfig(const Config& config);

}  // namespace fovea
