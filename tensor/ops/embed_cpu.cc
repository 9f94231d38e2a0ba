// Table rows by index, converted to the dtype of activations.
#include "tensor/cpu/kernels.h"
#include "tensor/cpu/rows.h"

namespace fovea {

void EmbedCpu(const Tensor& ids, const Tensor& table, const Tensor& out) {
  const int64_t b = out.shape[0];
  const int64_t t = out.shape[1];
  const int32_t* id = ids.Data<int32_t>();
  const int64_t out_size = static_cast<int64_t>(SizeOf(out.dtype));
  const int64_t table_size = static_cast<int64_t>(SizeOf(table.dtype));
  for (int64_t i = 0; i < b; ++i) {
    for (int64_t j = 0; j < t; ++j) {
      const int64_t row = id[i * ids.stride[0] + j * ids.stride[1]];
      Tensor from = Tensor::Contiguous(
          static_cast<std::byte*>(table.data) + row * table.stride[0] * table_size, {out.shape[2]},
          table.dtype);
      Tensor to = Tensor::Contiguous(
          static_cast<std::byte*>(out.data) + (i * out.stride[0] + j * out.stride[1]) * out_size,
          {out.shape[2]}, out.dtype);
      CopyCpu(from, to);
    }
  }
}

}  // namespace fovea
