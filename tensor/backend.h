// The closed set of primitive operations, one virtual call each.
//
// Models call the checked functions of tensor/ops/*.h, never these. Adding an operation is a
// compile error until every backend has it. Inputs are const views, results are written into `out`,
// which the caller made; unless an operation says otherwise, `out` must not overlap an input.
// Activations are f32 or bf16 (all of one call alike); parameters of norms and biases are f32.
// A backend is used by one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "tensor/memory/buffer.h"
#include "tensor/tensor.h"
#include "tensor/weights/weight.h"

namespace fovea {

struct Context;

enum class Act : uint8_t { kNone, kSilu, kGeluErf, kGeluTanh, kQuickGelu, kRelu };
std::string_view Name(Act act);

// out = act(y + bias) + residual. `residual` has out's shape and may be out itself.
struct Epilogue {
  Act act = Act::kNone;
  const Tensor* residual = nullptr;
};

struct Conv2dParams {
  int stride = 1;
  int pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;  // zeros
  int dilation = 1;  // pixels from one row or column of the filter to the next
};

// y = act((norm(x + add) * gamma + beta) * (1 + scale) + shift), statistics per sample and group.
struct GroupNormParams {
  Tensor gamma, beta;  // (c), f32
  int groups = 32;
  float eps = 1e-5f;
  Act act = Act::kNone;
  Tensor add;           // (n, c) activations, or empty: a resnet's time embedding
  Tensor scale, shift;  // (n, c) activations, or both empty: "scale_shift" time embeddings
};

// y = (norm(x) * gamma + beta) * (1 + scale) + shift, statistics over the last axis.
struct LayerNormParams {
  Tensor gamma, beta;  // (c) f32, each may be empty
  float eps = 1e-5f;
  Tensor scale, shift;  // (n, c) activations for x (n, t, c), or both empty
};

// What a run will cost; collected by the PlanningBackend.
struct Cost {
  double flops = 0;           // multiply and add count two
  int64_t calls = 0;          // operations
  size_t packed_bytes = 0;    // backend's copies of weights, not yet made
  size_t in_place_bytes = 0;  // of weights that are used as the mapped file has them
  size_t largest_weight = 0;  // packed or in place
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual DeviceKind Kind() const = 0;  // a PlanningBackend answers for the one it stands in for
  virtual bool IsPlanning() const { return false; }
  virtual Buffer Allocate(size_t bytes) = 0;
  virtual int64_t Allocations() const = 0;  // calls of Allocate so far; copies of weights excluded
  // Any strides, any dtypes among f32, bf16, f16 (converted), any devices. Same shape.
  virtual void Copy(Context& ctx, const Tensor& src, const Tensor& dst) = 0;
  virtual void Synchronize() = 0;
  virtual size_t PackedBytes() const = 0;  // held now by all packed weights made by this backend

  // At most so many bytes of weights stay packed or, where they are used as the mapped file has
  // them, in memory: those that are used first. A further one stays until the next such one is
  // used. Results are the same.
  virtual void LimitWeights(size_t /*bytes*/) {}
  // What follows uses other weights: under a limit, those that are kept are freed.
  virtual void EndStage() {}

  // (.., in) -> (.., out); rows of x and out may be strided, the last axis is dense.
  virtual void Linear(Context& ctx, const Tensor& x, const Weight& weight, const Epilogue& epilogue,
                      const Tensor& out) = 0;
  // (n,h,w,in) -> (n,h',w',out)
  virtual void Conv2d(Context& ctx, const Tensor& x, const Weight& weight,
                      const Conv2dParams& params, const Epilogue& epilogue, const Tensor& out) = 0;
  // (n,h,w,c) or (n,t,c), contiguous; out may be x
  virtual void GroupNorm(Context& ctx, const Tensor& x, const GroupNormParams& params,
                         const Tensor& out) = 0;
  // out may be x
  virtual void LayerNorm(Context& ctx, const Tensor& x, const LayerNormParams& params,
                         const Tensor& out) = 0;
  // x / sqrt(mean(x^2) + eps) * gamma over the last axis; gamma (c) f32 or empty; out may be x
  virtual void RmsNorm(Context& ctx, const Tensor& x, const Tensor& gamma, float eps,
                       const Tensor& out) = 0;
  // (n,t,heads,d) by tables (t,2,d) f32: see tensor/ops/rotate.h; out may be x
  virtual void Rotate(Context& ctx, const Tensor& x, const Tensor& tables, const Tensor& out) = 0;
  virtual void Activate(Context& ctx, const Tensor& x, Act act,
                        const Tensor& out) = 0;  // out may be x
  // (.., 2c) -> (.., c): first half times act(second half)
  virtual void GatedAct(Context& ctx, const Tensor& x, Act act, const Tensor& out) = 0;
  virtual void Add(Context& ctx, const Tensor& a, const Tensor& b,
                   const Tensor& out) = 0;  // out may be a or b
  // (n,t,c) out += x * gate, gate (n,c)
  virtual void GatedAdd(Context& ctx, const Tensor& x, const Tensor& gate, const Tensor& out) = 0;
  // (n,h,w,c) -> (n,H,W,c): row i reads row floor(i * h / H), as PyTorch's "nearest"
  virtual void UpsampleNearest(Context& ctx, const Tensor& x, const Tensor& out) = 0;
  // (n,h,w,c) -> (n,H,W,c): cubic convolution, a = -0.75, half-pixel centres, clamped borders
  virtual void ResizeBicubic(Context& ctx, const Tensor& x, const Tensor& out) = 0;
  // (n,h,w,c) -> (n,ceil(h/2),ceil(w/2),c): means of 2x2 pixels, of what there is at the borders
  virtual void AveragePool2x2(Context& ctx, const Tensor& x, const Tensor& out) = 0;
  // ids (b,t) i32 on the host, table (vocabulary, c) in the file's dtype -> (b,t,c)
  virtual void Embed(Context& ctx, const Tensor& ids, const Tensor& table, const Tensor& out) = 0;

  // Counts work that is not one of the operations above (attention kernels).
  virtual void CountFlops(double /*flops*/) {}
};

// Threads are those of tensor/machine/threads.h.
std::unique_ptr<Backend> MakeCpuBackend();

}  // namespace fovea
