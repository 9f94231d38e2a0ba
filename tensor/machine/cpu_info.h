// How fast can the processor multiply and add, and copy memory?
#pragma once

#include "tensor/dtype.h"

namespace fovea {

// Multiply-adds in registers alone, on NumThreads() threads, in GFLOP/s (multiply and add count
// two): what no product of matrices can exceed. bf16 is that of its dot-product instruction, or
// f32's where there is none. The best of several short runs, about 0.1 s in all.
double MeasurePeakGflops(DType dtype);

// Bytes read and written by a copy of memory that no cache holds, on NumThreads() threads, in GB/s:
// the other limit of a roofline. The best of several runs, about 0.1 s in all.
double MeasureMemoryGbps();

}  // namespace fovea
