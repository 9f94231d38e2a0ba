// One place in a model where attention happens.
#pragma once

#include <string>
#include <string_view>

#include "attention/tiles/token_layout.h"

namespace fovea {

enum class SiteKind : unsigned char { kSelf, kCross, kJoint };
std::string_view Name(SiteKind kind);

struct AttentionSite {
  std::string
      path;       // as in the checkpoint: "down_blocks.0.attentions.1.transformer_blocks.0.attn1"
  int index = 0;  // counts the sites of the model in order of execution
  SiteKind kind = SiteKind::kSelf;
  int heads = 1, head_dim = 64;
  TokenLayout tokens;  // of the queries at the model's own size
  // The operator that the layer was trained with, as a plan writes it. It serves the heads that no
  // rule covers.
  std::string trained = "dense";
};

}  // namespace fovea
