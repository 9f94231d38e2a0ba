// Runs one operator on random tensors beside its definition in double precision.
#pragma once

#include <functional>
#include <string>

#include "attention/attention_op.h"
#include "attention/tiles/grid_pattern.h"
#include "tests/reference/reference_attention.h"

namespace fovea {

struct OperatorCase {
  std::string op;
  OpParams params;
  std::array<int, 3> grid{1, 8, 8};
  int text = 0;
  bool text_first = true;
  int batch = 1, heads = 2, head_dim = 16;
};

TokenLayout LayoutOf(const OperatorCase& c);
HostTensor RandomNormal(const Shape& shape, uint32_t seed, float scale = 1);

struct OperatorRun {
  HostTensor q, k, v, out, lse;
  bool has_lse = false;
  double density = 1;
};
OperatorRun RunOperator(const OperatorCase& c, const RunPoint& at = {},
                        const std::map<std::string, Tensor>* weights = nullptr);

// `sees` takes grid points; text tokens see and are seen by all. Fails the test where out or lse is
// further from the reference than 2e-6 * max(1, rms), NaN included, or the number of seen pairs
// differs from the map's.
void CheckAgainstDefinition(const OperatorCase& c,
                            const std::function<bool(const GridPoint&, const GridPoint&)>& sees,
                            const RunPoint& at = {});

// The larger of all differences; NaN if any.
double MaxDifference(const HostTensor& got, const std::vector<double>& want);

}  // namespace fovea
