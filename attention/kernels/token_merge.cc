// Token merging on any device. Matching (token_merge_cpu.cc) sorts on the host.
#include "attention/kernels/token_merge.h"

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/no_kernel.h"

namespace fovea {

void MergeTokens(Context& ctx, const Tensor& x, const TokenGroups& groups, const Tensor& out) {
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return MergeTokensCpu(x, groups, out);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "token merging");
}

void UnmergeTokens(Context& ctx, const Tensor& x, const TokenGroups& groups, const Tensor& out) {
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return UnmergeTokensCpu(x, groups, out);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "token merging");
}

void AddShare(Context& ctx, const Tensor& x, float share, const Tensor& out) {
  if (ctx.backend.IsPlanning() && ctx.backend.Kind() == DeviceKind::kCpu) return;
  switch (ctx.backend.Kind()) {
    case DeviceKind::kCpu:
      return AddShareCpu(x, share, out);
    case DeviceKind::kCuda:
      break;
  }
  NoKernel(ctx, "token merging");
}

}  // namespace fovea
