// The Highway kernels behind the CPU backend, one *_cpu.cc file each in tensor/ops.
//
// Arguments were checked by tensor/ops/*.cc; contracts are those of backend.h. All are parallel
// over ParallelFor with results that do not depend on the number of threads.
#pragma once

#include "tensor/backend.h"

namespace fovea {

void CopyCpu(const Tensor& src, const Tensor& dst);
// count elements of f32, f16 or bf16 at any address, in the calling thread.
void ConvertDense(const void* src, DType from, void* dst, DType to, int64_t count);

void AddCpu(const Tensor& a, const Tensor& b, const Tensor& out);
void ActivateCpu(const Tensor& x, Act act, const Tensor& out);
void GatedActCpu(const Tensor& x, Act act, const Tensor& out);
void UpsampleNearestCpu(const Tensor& x, const Tensor& out);
void ResizeBicubicCpu(const Tensor& x, const Tensor& out);
void AveragePool2x2Cpu(const Tensor& x, const Tensor& out);
void EmbedCpu(const Tensor& ids, const Tensor& table, const Tensor& out);
void LayerNormCpu(const Tensor& x, const LayerNormParams& params, const Tensor& out);
void RmsNormCpu(const Tensor& x, const Tensor& gamma, float eps, const Tensor& out);
void RotateCpu(const Tensor& x, const Tensor& tables, const Tensor& out);
void GatedAddCpu(const Tensor& x, const Tensor& gate, const Tensor& out);

// Bytes of scratch that GroupNormCpu needs, 64-byte aligned.
int64_t GroupNormScratchBytes(const Tensor& x, int groups);
void GroupNormCpu(const Tensor& x, const GroupNormParams& params, void* scratch, const Tensor& out);

}  // namespace fovea
