#include "tensor/cpu/product.h"

#include <cstdint>
#include <string>

#include "tensor/cpu/kernels.h"
#include "tensor/machine/instruction_set.h"

namespace fovea {
namespace {

using onednn::Layout;
using onednn::Primitive;

// oneDNN's SSE4.1 code reads biases as aligned vectors. Those of a mapped file may stand anywhere.
bool NeedsAlignedBias(const Tensor& bias) {
  return UsedInstructionSet() == InstructionSet::kPortable &&
         reinterpret_cast<uintptr_t>(bias.data) % 16 != 0;
}

bool SameView(const Tensor& a, const Tensor& b) {
  return a.data == b.data && a.stride == b.stride && a.shape == b.shape;
}

// Keeps the layout that is already packed where oneDNN has a good implementation for it, so that
// two image sizes in turn do not pack twice.
std::shared_ptr<Primitive> Choose(const Product& product, const onednn::PostOps& post,
                                  const Layout* held) {
  std::shared_ptr<Primitive> preferred = product.make(post, nullptr);
  if (!held || !preferred || *held == preferred->Weights() ||
      onednn::ElementType(*held) != onednn::ElementType(preferred->Weights())) {
    return preferred;
  }
  std::shared_ptr<Primitive> kept = product.make(post, held);
  return kept && kept->Fast() ? kept : preferred;
}

}  // namespace

void RunProduct(const CpuExecution& execution, Context& ctx, const Product& product,
                const Tensor& x, const Weight& weight, const Epilogue& epilogue,
                const Tensor& out) {
  const Layout* held = execution.packs.Held(weight);
  const Tensor* residual = epilogue.residual;
  onednn::PostOps post{!weight.bias.Empty(), epilogue.act, residual != nullptr};
  std::shared_ptr<Primitive> primitive = Choose(product, post, held);
  // oneDNN sums into `out`, so what it holds must be the residual. A separate addition is the way
  // out where no good implementation takes both the activation and the sum.
  bool add_after = false;
  if (residual && epilogue.act != Act::kNone && !(primitive && primitive->Fast())) {
    post.accumulate = false;
    add_after = true;
    primitive = Choose(product, post, held);
  }
  if (!primitive) {
    throw Error(ErrorCode::kUnsupported, "this processor has no " + std::string(Name(x.dtype)) +
                                             " arithmetic that oneDNN can use; compute in f32");
  }
  const void* weights = execution.packs.Provide(weight, primitive->Weights(), product.axes);
  const ArenaScope scope(ctx.arena);
  Tensor target = out;
  if (add_after) target = ctx.arena.New(out.shape, out.dtype);
  const Tensor scratch = ctx.arena.New({primitive->ScratchBytes()}, DType::kU8);
  Tensor bias = weight.bias;
  if (NeedsAlignedBias(bias)) bias = ctx.arena.New(bias.shape, bias.dtype);
  if (execution.planning) return;
  if (bias.data != weight.bias.data) CopyCpu(weight.bias, bias);
  if (post.accumulate && !SameView(*residual, target)) CopyCpu(*residual, target);
  execution.library.Run(*primitive, x.data, weights, bias.data, scratch.data, target.data);
  if (add_after) AddCpu(target, *residual, out);
}

}  // namespace fovea
