// One forward pass of a model as a program does it: first dry, then in an arena of exactly that
// size; and a backend that asks for a stop in the middle.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>

#include "attention/attention_runtime.h"
#include "tensor/context.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/planning_backend.h"

namespace fovea {

struct ModelRun {
  HostTensor output;  // f32, of the shape of what `forward` returned
  Cost cost;
  size_t planned_bytes = 0, peak_bytes = 0;  // of the arena
  size_t packed_bytes = 0;                   // made by the real pass
  int64_t allocations = 0;                   // of the backend, inside the real pass
};

// `forward` computes into tensors of ctx's arena and returns its output there.
ModelRun RunModel(Backend& backend, DType dtype,
                  const std::function<Tensor(Context&, AttentionRuntime&)>& forward);

// NCHW f32 -> (n,h,w,c) in the arena; other ranks as they are.
Tensor Upload(Context& ctx, const HostTensor& tensor);

// Passes everything on to `real`, counts operations, and requests a stop before number `stop_at`.
class StoppingBackend : public Backend {
 public:
  StoppingBackend(Backend& real, int64_t stop_at) : real_(real), stop_at_(stop_at) {}
  std::stop_token Token() const { return source_.get_token(); }
  int64_t Operations() const { return operations_; }

  DeviceKind Kind() const override { return real_.Kind(); }
  bool IsPlanning() const override { return real_.IsPlanning(); }
  Buffer Allocate(size_t bytes) override { return real_.Allocate(bytes); }
  int64_t Allocations() const override { return real_.Allocations(); }
  void Synchronize() override { real_.Synchronize(); }
  size_t PackedBytes() const override { return real_.PackedBytes(); }
  void CountFlops(double flops) override { real_.CountFlops(flops); }
  void Copy(Context& ctx, const Tensor& src, const Tensor& dst) override {
    Count().Copy(ctx, src, dst);
  }
  void Linear(Context& ctx, const Tensor& x, const Weight& weight, const Epilogue& epilogue,
              const Tensor& out) override {
    Count().Linear(ctx, x, weight, epilogue, out);
  }
  void Conv2d(Context& ctx, const Tensor& x, const Weight& weight, const Conv2dParams& params,
              const Epilogue& epilogue, const Tensor& out) override {
    Count().Conv2d(ctx, x, weight, params, epilogue, out);
  }
  void GroupNorm(Context& ctx, const Tensor& x, const GroupNormParams& params,
                 const Tensor& out) override {
    Count().GroupNorm(ctx, x, params, out);
  }
  void LayerNorm(Context& ctx, const Tensor& x, const LayerNormParams& params,
                 const Tensor& out) override {
    Count().LayerNorm(ctx, x, params, out);
  }
  void RmsNorm(Context& ctx, const Tensor& x, const Tensor& gamma, float eps,
               const Tensor& out) override {
    Count().RmsNorm(ctx, x, gamma, eps, out);
  }
  void Rotate(Context& ctx, const Tensor& x, const Tensor& tables, const Tensor& out) override {
    Count().Rotate(ctx, x, tables, out);
  }
  void GatedAdd(Context& ctx, const Tensor& x, const Tensor& gate, const Tensor& out) override {
    Count().GatedAdd(ctx, x, gate, out);
  }
  void Activate(Context& ctx, const Tensor& x, Act act, const Tensor& out) override {
    Count().Activate(ctx, x, act, out);
  }
  void GatedAct(Context& ctx, const Tensor& x, Act act, const Tensor& out) override {
    Count().GatedAct(ctx, x, act, out);
  }
  void Add(Context& ctx, const Tensor& a, const Tensor& b, const Tensor& out) override {
    Count().Add(ctx, a, b, out);
  }
  void UpsampleNearest(Context& ctx, const Tensor& x, const Tensor& out) override {
    Count().UpsampleNearest(ctx, x, out);
  }
  void ResizeBicubic(Context& ctx, const Tensor& x, const Tensor& out) override {
    Count().ResizeBicubic(ctx, x, out);
  }
  void AveragePool2x2(Context& ctx, const Tensor& x, const Tensor& out) override {
    Count().AveragePool2x2(ctx, x, out);
  }
  void Embed(Context& ctx, const Tensor& ids, const Tensor& table, const Tensor& out) override {
    Count().Embed(ctx, ids, table, out);
  }

 private:
  Backend& Count() {
    if (operations_++ == stop_at_) source_.request_stop();
    return real_;
  }

  Backend& real_;
  std::stop_source source_;
  int64_t operations_ = 0, stop_at_;
};

// Stops a pass before each of its operations in turn and returns the most operations that it still
// began afterwards, the one at the stop included.
int64_t MostOperationsAfterStop(Backend& backend,
                                const std::function<Tensor(Context&, AttentionRuntime&)>& forward);

}  // namespace fovea
