#include "tensor/cpu/kernels.h"

#include "attention/kernels/bicubic.h"

namespace fovea {

void ResizeBicubicCpu(const Tensor& x, int height, int width, const Tensor& out, int out_height,
                      int out_width) {
  // Heads of one token need not lie side by side.
  for (int64_t head = 0; head < x.shape[2]; ++head) {
    const Tensor from = x.Slice(2, head, 1), to = out.Slice(2, head, 1);
    ResizeBicubicCpu(from.Reshape({x.shape[0], height, width, x.shape[3]}),
                     to.Reshape({x.shape[0], out_height, out_width, x.shape[3]}));
  }
}

}  // namespace fovea
