// Rows of a table, looked up by index.
#pragma once

#include "tensor/context.h"

namespace fovea::ops {

// ids (b,t) i32 on the host, table (vocabulary, c) in any float dtype -> out (b,t,c). Throws kUsage
// for an id outside the table.
void Embed(Context& ctx, const Tensor& ids, const Tensor& table, const Tensor& out);

}  // namespace fovea::ops
