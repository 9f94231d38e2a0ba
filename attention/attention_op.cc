#include "attention/attention_op.h"

namespace fovea {

bool SameSpec(const AttentionSpec& a, const AttentionSpec& b) {
  return a.batch == b.batch && a.heads == b.heads && a.head_dim == b.head_dim &&
         a.dtype == b.dtype && a.device == b.device && a.scale == b.scale && a.causal == b.causal &&
         SameLayout(a.q, b.q) && SameLayout(a.kv, b.kv);
}

}  // namespace fovea
