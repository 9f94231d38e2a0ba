#include "attention/kernels/head_mix.h"

#include <vector>

#include "attention/kernels/element.h"
#include "tensor/threads.h"

namespace fovea {

void ApplyHeadMixCpu(const AttentionIo& io) {
  if (io.mix.empty()) return;
  const int64_t heads = io.out.shape[2], tokens = io.out.shape[1], d = io.out.shape[3];
  ENSURE(io.v.shape == io.out.shape &&
         static_cast<int64_t>(io.mix.size()) == io.out.shape[0] * heads);
  const bool bf16 = io.out.dtype == DType::kBF16;
  ParallelFor(io.out.shape[0] * heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> mean(static_cast<size_t>(d));
    for (int64_t i = begin; i < end; ++i) {
      const HeadMix mix = io.mix[static_cast<size_t>(i)];
      if (mix.a == 1 && mix.b == 0 && mix.e == 0) continue;
      const int64_t b = i / heads, h = i % heads;
      const int64_t v = b * io.v.stride[0] + h * io.v.stride[2];
      const int64_t out = b * io.out.stride[0] + h * io.out.stride[2];
      mean.assign(mean.size(), 0);
      for (int64_t t = 0; t < tokens && mix.e != 0; ++t) {
        for (int64_t c = 0; c < d; ++c) {
          mean[static_cast<size_t>(c)] += LoadElement(io.v.data, v + t * io.v.stride[1] + c, bf16);
        }
      }
      for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t c = 0; c < d; ++c) {
          const int64_t at = out + t * io.out.stride[1] + c;
          const float average =
              static_cast<float>(mean[static_cast<size_t>(c)] / static_cast<double>(tokens));
          StoreElement(io.out.data, at, bf16,
                       mix.a * LoadElement(io.out.data, at, bf16) +
                           mix.b * LoadElement(io.v.data, v + t * io.v.stride[1] + c, bf16) +
                           mix.e * average);
        }
      }
    }
  });
}

}  // namespace fovea
