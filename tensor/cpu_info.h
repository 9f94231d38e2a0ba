// The processor: which vector instructions it has and how fast it can multiply and add.
#pragma once

#include <string_view>

#include "tensor/dtype.h"

namespace fovea {

// What the kernels are chosen by: "avx512_bf16", "avx512", "avx2" or "baseline". Stored with
// pictures, since the last bits depend on it.
std::string_view InstructionSetName();

// Multiply-adds in registers alone, on NumThreads() threads, in GFLOP/s (multiply and add count
// two): what no product of matrices can exceed. bf16 is that of its dot-product instruction, or
// f32's where there is none. The best of several short runs, about 0.1 s in all.
double MeasurePeakGflops(DType dtype);

// Bytes read and written by a copy of memory that no cache holds, on NumThreads() threads, in GB/s:
// the other limit of a roofline. The best of several runs, about 0.1 s in all.
double MeasureMemoryGbps();

}  // namespace fovea
