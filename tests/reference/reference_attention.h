// Attention written out in double precision: the oracle of every operator's test.
#pragma once

#include <functional>
#include <vector>

#include "tensor/memory/host_tensor.h"

namespace fovea::reference {

struct AttentionResult {
  std::vector<double> out;  // (b,t,heads,d)
  std::vector<double> lse;  // (b,heads,t)
};

// q (b,t,heads,d), k and v (b,kv,heads,d), any float dtype. `sees(q, kv)` is the pattern; a query
// that sees nothing gives NaN.
AttentionResult Attention(const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                          const std::function<bool(int64_t, int64_t)>& sees);

// One element of a strided tensor of any float dtype.
double At(const Tensor& x, std::initializer_list<int64_t> index);

}  // namespace fovea::reference
