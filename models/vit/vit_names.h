// What the tensors of a Vision Transformer are called in the files of each library: one table.
#pragma once

#include "models/vit/vit_config.h"

namespace fovea {

// Names relative to the encoder's prefix; those of a block relative to the block. Null: these files
// never have it. Names of layers stand for NAME.weight and NAME.bias.
struct VitNames {
  const char* class_token;
  const char* distillation_token;
  const char* registers;
  const char* positions;
  const char* patches;
  const char* pre_norm;
  const char* blocks;     // a list
  const char* attention;  // of a block: where the attention site is
  const char* norm1;
  const char* qkv;  // one matrix for all three, or null
  const char* query;
  const char* key;
  const char* value;
  const char* out;
  const char* scale1;
  const char* norm2;
  const char* fc1;
  const char* fc2;
  const char* gated_in;  // of SwiGLU: the gate's rows, then the other's
  const char* gated_out;
  const char* scale2;
  const char* norm;
};

const VitNames& NamesOf(VitNaming naming);

// Names outside of the encoder.
struct VitHeadNames {
  const char* first;
  const char* second;  // of the distillation token
};

VitHeadNames HeadNamesOf(const VitConfig& config);

}  // namespace fovea
