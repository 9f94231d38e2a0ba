#include "attention/kernels/heads_cuda.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "attention/kernels/heads_params.h"
#include "attention/kernels/no_kernel.h"
#include "tensor/cuda/cuda_backend.h"
#include "tensor/cuda/rows.h"

namespace fovea {
namespace {

using cuda::CeilDiv;
using cuda::Typed;

constexpr int kThreads = 128, kWarps = 4;

// A host view of any strides, as the address of its first element on the device.
const float* OnDevice(const Tensor& t, cuda::TableCache& tables) {
  const auto* const first = static_cast<const float*>(t.data);
  if (t.device == DeviceKind::kCuda) return first;
  int64_t low = 0, high = 0;
  for (int i = 0; i < t.shape.rank; ++i) {
    const auto axis = static_cast<size_t>(i);
    const int64_t reach = (t.shape.dim[axis] - 1) * t.stride[axis];
    (reach < 0 ? low : high) += reach;
  }
  std::vector<std::byte> bytes(static_cast<size_t>(high - low + 1) * sizeof(float));
  std::memcpy(bytes.data(), first + low, bytes.size());
  return reinterpret_cast<const float*>(tables.Upload(std::move(bytes))) - low;
}

}  // namespace

cuda::HeadStrides HeadStridesOf(const Tensor& t) {
  return {t.stride[0], t.stride[1], t.stride[2]};
}

const cuda::MixRow* UploadMix(Context& ctx, std::span<const HeadMix> mix, int64_t tokens) {
  std::vector<std::byte> bytes;
  for (const HeadMix& m : mix) {
    const cuda::MixRow row{m.a, m.b, m.e,
                           static_cast<int32_t>(std::clamp<int64_t>(m.rows.begin, 0, tokens)),
                           static_cast<int32_t>(std::clamp<int64_t>(m.rows.end, 0, tokens))};
    const auto* const from = reinterpret_cast<const std::byte*>(&row);
    bytes.insert(bytes.end(), from, from + sizeof row);
  }
  return reinterpret_cast<const cuda::MixRow*>(AccessOf(ctx.backend).tables.Upload(bytes));
}

void BiasedAttentionCuda(Context& ctx, const Tensor& q, const Tensor& k, const Tensor& v,
                         float scale, const Tensor& bias, const Tensor& out) {
  const int64_t tokens = q.shape[1], heads = q.shape[2], d = q.shape[3], keys = k.shape[1];
  ENSURE((bias.shape == Shape{heads, tokens, keys}) && bias.stride[2] == 1 && keys > 0,
         bias.shape.ToString());
  // What a block may have without asking for more.
  if (keys * kWarps * static_cast<int64_t>(sizeof(float)) > 48 << 10) {
    NoKernel(ctx, "attention with biases over " + std::to_string(keys) + " keys");
  }
  if (out.NumElements() == 0) return;
  const auto [device, tables] = AccessOf(ctx.backend);
  const cuda::BiasedParams p{q.data,
                             k.data,
                             v.data,
                             out.data,
                             OnDevice(bias, tables),
                             HeadStridesOf(q),
                             HeadStridesOf(k),
                             HeadStridesOf(v),
                             HeadStridesOf(out),
                             bias.stride[0],
                             bias.stride[1],
                             static_cast<int>(tokens),
                             static_cast<int>(keys),
                             static_cast<int>(d),
                             static_cast<int>(heads),
                             scale};
  device.Launch("heads", Typed("biased_attention", q.dtype),
                {CeilDiv(tokens, kWarps), heads, q.shape[0]}, kThreads, p,
                static_cast<size_t>(keys * kWarps) * sizeof(float));
}

void ApplyHeadMixCuda(Context& ctx, std::span<const HeadMix> mix, const Tensor& v,
                      const Tensor& out) {
  const int64_t tokens = out.shape[1], heads = out.shape[2], d = out.shape[3];
  if (out.NumElements() == 0) return;
  const auto [device, tables] = AccessOf(ctx.backend);
  // Not from the arena: a dry run does not come here. Freed once the kernels are done.
  const Buffer means = ctx.backend.Allocate(static_cast<size_t>(out.shape[0] * heads * d) * 4);
  auto* const mean = reinterpret_cast<float*>(means.bytes.get());
  const cuda::MeanValuesParams of{
      v.data, HeadStridesOf(v), tokens, static_cast<int>(d), static_cast<int>(heads), mean};
  device.Launch("tile_plain", Typed("mean_values", v.dtype), {CeilDiv(d, 32), heads, out.shape[0]},
                256, of);
  const cuda::MixParams p{v.data,
                          out.data,
                          HeadStridesOf(v),
                          HeadStridesOf(out),
                          static_cast<int>(tokens),
                          static_cast<int>(d),
                          static_cast<int>(heads),
                          UploadMix(ctx, mix, tokens),
                          mean};
  device.Launch("heads", Typed("mix_heads", v.dtype),
                {CeilDiv(tokens * d, kThreads), heads, out.shape[0]}, kThreads, p);
}

void BlendHeadsCuda(Context& ctx, const Tensor& x, float share, const RowRange& rows,
                    const Tensor& out) {
  const int64_t begin = std::max<int64_t>(0, rows.begin), d = out.shape[3];
  const int64_t count = std::min(out.shape[1], rows.end) - begin;
  if (count <= 0 || out.NumElements() == 0) return;
  cuda::BlendParams p{x.data,
                      out.data,
                      HeadStridesOf(x),
                      HeadStridesOf(out),
                      static_cast<int>(d),
                      static_cast<int>(out.shape[2]),
                      static_cast<int>(begin),
                      static_cast<int>(count),
                      share};
  if (x.shape[1] == 1) p.x_at.token = 0;
  AccessOf(ctx.backend)
      .device.Launch("heads", Typed("blend_heads", x.dtype),
                     {CeilDiv(count * d, kThreads), out.shape[2], out.shape[0]}, kThreads, p);
}

}  // namespace fovea
