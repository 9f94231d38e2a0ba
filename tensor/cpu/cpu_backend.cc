#include "tensor/cpu/cpu_backend.h"

#include "tensor/cpu/execution.h"
#include "tensor/cpu/host_memory.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/onednn.h"
#include "tensor/cpu/weight_packs.h"
#include "tensor/machine/instruction_set.h"
#include "tensor/trace.h"

namespace fovea {

void GroupNormCpu(const CpuExecution& execution, Context& ctx, const Tensor& x,
                  const GroupNormParams& params, const Tensor& out) {
  if (x.NumElements() == 0) return;
  const ArenaScope scope(ctx.arena);
  const Tensor scratch = ctx.arena.New({GroupNormScratchBytes(x, params.groups)}, DType::kU8);
  if (!execution.planning) GroupNormCpu(x, params, scratch.data, out);
}

namespace {

class CpuBackend final : public Backend {
 public:
  DeviceKind Kind() const override { return DeviceKind::kCpu; }
  Buffer Allocate(size_t bytes) override {
    ++allocations_;
    return AllocateHost(bytes, Pages::kHuge);
  }
  int64_t Allocations() const override { return allocations_; }
  void Synchronize() override {}
  size_t PackedBytes() const override { return packs_.Bytes(); }
  void LimitWeights(size_t bytes) override { packs_.Limit(bytes); }
  void EndStage() override { packs_.EndStage(); }
  void CountFlops(double flops) override { trace::Count({flops, 0}); }

  void Copy(Context&, const Tensor& src, const Tensor& dst) override { CopyCpu(src, dst); }
  void Linear(Context& ctx, const Tensor& x, const Weight& weight, const Epilogue& epilogue,
              const Tensor& out) override {
    LinearCpu(execution_, ctx, x, weight, epilogue, out);
  }
  void Conv2d(Context& ctx, const Tensor& x, const Weight& weight, const Conv2dParams& params,
              const Epilogue& epilogue, const Tensor& out) override {
    Conv2dCpu(execution_, ctx, x, weight, params, epilogue, out);
  }
  void GroupNorm(Context& ctx, const Tensor& x, const GroupNormParams& params,
                 const Tensor& out) override {
    GroupNormCpu(execution_, ctx, x, params, out);
  }
  void LayerNorm(Context&, const Tensor& x, const LayerNormParams& params,
                 const Tensor& out) override {
    LayerNormCpu(x, params, out);
  }
  void RmsNorm(Context&, const Tensor& x, const Tensor& gamma, float eps,
               const Tensor& out) override {
    RmsNormCpu(x, gamma, eps, out);
  }
  void Rotate(Context&, const Tensor& x, const Tensor& tables, const Tensor& out) override {
    RotateCpu(x, tables, out);
  }
  void Activate(Context&, const Tensor& x, Act act, const Tensor& out) override {
    ActivateCpu(x, act, out);
  }
  void GatedAct(Context&, const Tensor& x, Act act, const Tensor& out) override {
    GatedActCpu(x, act, out);
  }
  void Add(Context&, const Tensor& a, const Tensor& b, const Tensor& out) override {
    AddCpu(a, b, out);
  }
  void GatedAdd(Context&, const Tensor& x, const Tensor& gate, const Tensor& out) override {
    GatedAddCpu(x, gate, out);
  }
  void UpsampleNearest(Context&, const Tensor& x, const Tensor& out) override {
    UpsampleNearestCpu(x, out);
  }
  void ResizeBicubic(Context&, const Tensor& x, const Tensor& out) override {
    ResizeBicubicCpu(x, out);
  }
  void AveragePool2x2(Context&, const Tensor& x, const Tensor& out) override {
    AveragePool2x2Cpu(x, out);
  }
  void Embed(Context&, const Tensor& ids, const Tensor& table, const Tensor& out) override {
    EmbedCpu(ids, table, out);
  }

  onednn::Library& Library() { return library_; }

 private:
  onednn::Library library_;
  RealPacks packs_;
  CpuExecution execution_{library_, packs_, false};
  int64_t allocations_ = 0;
};

class CpuPlanningBackend final : public PlanningBackend {
 public:
  explicit CpuPlanningBackend(CpuBackend& real) : real_(real) {}

  DeviceKind Kind() const override { return DeviceKind::kCpu; }
  Buffer Allocate(size_t bytes) override {
    ++allocations_;
    return ReserveAddresses(bytes);
  }
  int64_t Allocations() const override { return allocations_; }
  void Synchronize() override {}
  size_t PackedBytes() const override { return real_.PackedBytes(); }
  void CountFlops(double flops) override { cost_.flops += flops; }
  const Cost& TotalCost() const override { return cost_; }

  void Linear(Context& ctx, const Tensor& x, const Weight& weight, const Epilogue& epilogue,
              const Tensor& out) override {
    CountProduct(out, weight);
    LinearCpu(execution_, ctx, x, weight, epilogue, out);
    CountPacks();
  }
  void Conv2d(Context& ctx, const Tensor& x, const Weight& weight, const Conv2dParams& params,
              const Epilogue& epilogue, const Tensor& out) override {
    CountProduct(out, weight);
    Conv2dCpu(execution_, ctx, x, weight, params, epilogue, out);
    CountPacks();
  }
  void GroupNorm(Context& ctx, const Tensor& x, const GroupNormParams& params,
                 const Tensor& out) override {
    ++cost_.calls;
    GroupNormCpu(execution_, ctx, x, params, out);
  }
  void Copy(Context&, const Tensor&, const Tensor&) override { ++cost_.calls; }
  void LayerNorm(Context&, const Tensor&, const LayerNormParams&, const Tensor&) override {
    ++cost_.calls;
  }
  void RmsNorm(Context&, const Tensor&, const Tensor&, float, const Tensor&) override {
    ++cost_.calls;
  }
  void Rotate(Context&, const Tensor&, const Tensor&, const Tensor&) override { ++cost_.calls; }
  void GatedAdd(Context&, const Tensor&, const Tensor&, const Tensor&) override { ++cost_.calls; }
  void Activate(Context&, const Tensor&, Act, const Tensor&) override { ++cost_.calls; }
  void GatedAct(Context&, const Tensor&, Act, const Tensor&) override { ++cost_.calls; }
  void Add(Context&, const Tensor&, const Tensor&, const Tensor&) override { ++cost_.calls; }
  void UpsampleNearest(Context&, const Tensor&, const Tensor&) override { ++cost_.calls; }
  void ResizeBicubic(Context&, const Tensor&, const Tensor&) override { ++cost_.calls; }
  void AveragePool2x2(Context&, const Tensor&, const Tensor&) override { ++cost_.calls; }
  void Embed(Context&, const Tensor&, const Tensor&, const Tensor&) override { ++cost_.calls; }

 private:
  void CountPacks() {
    cost_.packed_bytes = packs_.PeakNewBytes();
    cost_.in_place_bytes = packs_.InPlaceBytes();
    cost_.largest_weight = packs_.LargestWeight();
  }
  // Every element of the output is a sum over one row of the weight.
  void CountProduct(const Tensor& out, const Weight& weight) {
    ++cost_.calls;
    if (weight.Out() == 0) return;
    cost_.flops += 2.0 * static_cast<double>(out.NumElements()) *
                   static_cast<double>(weight.w.NumElements() / weight.Out());
  }

  CpuBackend& real_;
  PlannedPacks packs_;
  CpuExecution execution_{real_.Library(), packs_, true};
  Cost cost_;
  int64_t allocations_ = 0;
};

}  // namespace

std::unique_ptr<Backend> MakeCpuBackend() {
  UsedInstructionSet();  // before oneDNN is used
  return std::make_unique<CpuBackend>();
}

std::unique_ptr<PlanningBackend> MakeCpuPlanningBackend(Backend& real) {
  return std::make_unique<CpuPlanningBackend>(static_cast<CpuBackend&>(real));
}

}  // namespace fovea
