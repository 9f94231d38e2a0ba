#include "tensor/cuda/cuda_backend.h"

#include <limits>
#include <set>

#include "tensor/cpu/host_memory.h"
#include "tensor/cpu/kernels.h"
#include "tensor/cuda/rows.h"
#include "tensor/cuda/weight_copies.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

using cuda::CeilDiv;
using cuda::Typed;

constexpr int kThreads = 256;

static_assert(static_cast<int>(Act::kSilu) == cuda::kActSilu &&
              static_cast<int>(Act::kGeluErf) == cuda::kActGeluErf &&
              static_cast<int>(Act::kGeluTanh) == cuda::kActGeluTanh &&
              static_cast<int>(Act::kQuickGelu) == cuda::kActQuickGelu &&
              static_cast<int>(Act::kRelu) == cuda::kActRelu);

cuda::Address AddressOf(const void* data) {
  return reinterpret_cast<cuda::Address>(data);
}

// Every row begins at a multiple of 16 bytes and holds a multiple of them.
bool Wide(const Tensor& t) {
  const auto pack = static_cast<int64_t>(16 / SizeOf(t.dtype));
  if (AddressOf(t.data) % 16 != 0 || RowLength(t) % pack != 0) return false;
  for (int i = 0; i + 1 < t.shape.rank; ++i) {
    if (t.stride[static_cast<size_t>(i)] % pack != 0) return false;
  }
  return true;
}

class CudaBackend final : public Backend {
 public:
  explicit CudaBackend(std::shared_ptr<cuda::Device> device)
      : device_(std::move(device)), copies_(device_), tables_(device_) {}
  DeviceAccess Access() { return {*device_, tables_}; }

  DeviceKind Kind() const override { return DeviceKind::kCuda; }
  Buffer Allocate(size_t bytes) override {
    ++allocations_;
    const cuda::Address address = device_->Allocate(bytes);
    Buffer buffer;
    buffer.size = bytes;
    buffer.bytes = {reinterpret_cast<std::byte*>(address),
                    [device = device_](std::byte* at) { device->Free(AddressOf(at)); }};
    return buffer;
  }
  int64_t Allocations() const override { return allocations_; }
  void Synchronize() override { device_->Synchronize(); }
  size_t PackedBytes() const override { return copies_.Bytes(); }
  void CountFlops(double flops) override { trace::Count({flops, 0}); }
  void LimitWeights(size_t bytes) override {
    if (bytes == std::numeric_limits<size_t>::max()) return;
    throw Error(ErrorCode::kUnsupported,
                "--max-memory: weights come and go on the CPU alone; a GPU holds all of them");
  }

  void Copy(Context&, const Tensor& src, const Tensor& dst) override {
    if (src.NumElements() == 0) return;
    const bool from_host = src.device == DeviceKind::kCpu, to_host = dst.device == DeviceKind::kCpu;
    if (from_host && to_host) return CopyCpu(src, dst);
    if (!from_host && !to_host) return CopyHere(src, dst);
    if (from_host) {
      if (dst.IsContiguous()) return Upload(src, dst);
      const Buffer room = Allocate(dst.Bytes());
      const Tensor dense = Dense(room, dst);
      Upload(src, dense);
      CopyHere(dense, dst);
    } else {
      if (src.IsContiguous()) return Download(src, dst);
      const Buffer room = Allocate(src.Bytes());
      const Tensor dense = Dense(room, src);
      CopyHere(src, dense);
      Download(dense, dst);
    }
  }

  void Linear(Context&, const Tensor& x, const Weight& weight, const Epilogue& epilogue,
              const Tensor& out) override {
    if (out.NumElements() == 0) return;
    const cuda::WeightCopy& copy = copies_.Provide(weight, x.dtype);
    cuda::ProductParams p = Product(weight, copy, epilogue, out);
    p.a = cuda::ViewOf(x);
    const bool wide = x.dtype != DType::kF32 && Wide(x);
    Run(wide ? "linear_wide" : "linear", x.dtype, p);
  }

  void Conv2d(Context&, const Tensor& x, const Weight& weight, const Conv2dParams& params,
              const Epilogue& epilogue, const Tensor& out) override {
    if (out.NumElements() == 0) return;
    const cuda::WeightCopy& copy = copies_.Provide(weight, x.dtype);
    cuda::ProductParams p = Product(weight, copy, epilogue, out);
    p.image = cuda::ImageOf(x);
    p.in = x.shape[3];
    p.kernel_w = static_cast<int>(weight.w.shape[3]);
    p.stride = params.stride;
    p.pad_top = params.pad_top;
    p.pad_left = params.pad_left;
    p.dilation = params.dilation;
    const bool wide = x.dtype != DType::kF32 && Wide(x);
    Run(wide ? "conv_wide" : "conv", x.dtype, p);
  }

  void GroupNorm(Context&, const Tensor& x, const GroupNormParams& params,
                 const Tensor& out) override {
    if (x.NumElements() == 0) return;
    cuda::GroupNormKernelParams p{};
    p.x = x.data;
    p.out = out.data;
    p.gamma = copies_.Parameter(params.gamma);
    p.beta = copies_.Parameter(params.beta);
    p.add = params.add.data;
    p.add_stride = params.add.stride[0];
    p.scale = params.scale.data;
    p.scale_stride = params.scale.stride[0];
    p.shift = params.shift.data;
    p.shift_stride = params.shift.stride[0];
    p.c = x.shape[-1];
    p.pixels = x.NumElements() / x.shape[0] / p.c;
    p.groups = params.groups;
    p.eps = params.eps;
    p.act = static_cast<int>(params.act);
    device_->Launch("norm", Typed("group_norm", x.dtype), {params.groups, x.shape[0]}, kThreads, p);
  }

  void LayerNorm(Context&, const Tensor& x, const LayerNormParams& params,
                 const Tensor& out) override {
    cuda::RowNormParams p = RowNorm(x, params.gamma, params.eps, out);
    p.beta = copies_.Parameter(params.beta);
    p.scale = params.scale.data;
    p.scale_stride = params.scale.stride[0];
    p.shift = params.shift.data;
    p.shift_stride = params.shift.stride[0];
    p.centred = 1;
    RunRows(x, p);
  }

  void RmsNorm(Context&, const Tensor& x, const Tensor& gamma, float eps,
               const Tensor& out) override {
    RunRows(x, RowNorm(x, gamma, eps, out));
  }

  void Rotate(Context&, const Tensor& x, const Tensor& tables, const Tensor& out) override {
    const cuda::RotateParams p{cuda::RowsOf(x), cuda::ViewOf(x), cuda::ViewOf(out),
                               copies_.Parameter(tables)};
    Elements("elementwise", "rotate", x.dtype, x.NumElements() / 2, p);
  }

  void Activate(Context&, const Tensor& x, Act act, const Tensor& out) override {
    // Packs of 16 bytes: contiguous tensors lie at multiples of 64 in an arena.
    ENSURE(AddressOf(x.data) % 16 == 0 && AddressOf(out.data) % 16 == 0, "alignment");
    const cuda::UnaryParams p{x.data, out.data, x.NumElements(), static_cast<int>(act)};
    const auto pack = static_cast<int64_t>(16 / SizeOf(x.dtype));
    Elements("elementwise", "activate", x.dtype, CeilDiv(x.NumElements(), pack), p);
  }

  void GatedAct(Context&, const Tensor& x, Act act, const Tensor& out) override {
    const int64_t c = out.shape[-1];
    const cuda::GatedActParams p{x.data, out.data, c > 0 ? out.NumElements() / c : 0, c,
                                 static_cast<int>(act)};
    Elements("elementwise", "gated_act", x.dtype, out.NumElements(), p);
  }

  void Add(Context&, const Tensor& a, const Tensor& b, const Tensor& out) override {
    const bool dense = a.IsContiguous() && b.IsContiguous() && out.IsContiguous();
    const cuda::AddParams p{dense ? cuda::OneRow(out) : cuda::RowsOf(out), cuda::ViewOf(a),
                            cuda::ViewOf(b), cuda::ViewOf(out)};
    const bool wide = Wide(a) && Wide(b) && Wide(out);
    const auto pack = static_cast<int64_t>(wide ? 16 / SizeOf(a.dtype) : 1);
    Elements("elementwise", wide ? "add_wide" : "add", a.dtype, out.NumElements() / pack, p);
  }

  void GatedAdd(Context&, const Tensor& x, const Tensor& gate, const Tensor& out) override {
    const cuda::GatedAddParams p{cuda::RowsOf(out), cuda::ViewOf(x), cuda::ViewOf(out), gate.data,
                                 gate.stride[0]};
    Elements("elementwise", "gated_add", x.dtype, out.NumElements(), p);
  }

  void UpsampleNearest(Context&, const Tensor& x, const Tensor& out) override {
    Resample("upsample", x, out);
  }
  void ResizeBicubic(Context&, const Tensor& x, const Tensor& out) override {
    Resample("bicubic", x, out);
  }
  void AveragePool2x2(Context&, const Tensor& x, const Tensor& out) override {
    Resample("average_pool", x, out);
  }

  // The table stays where the file is mapped; the rows of a prompt are few.
  void Embed(Context& ctx, const Tensor& ids, const Tensor& table, const Tensor& out) override {
    if (out.NumElements() == 0) return;
    HostTensor rows(out.shape, DType::kF32);
    EmbedCpu(ids, table, rows.View());
    Copy(ctx, rows.View(), out);
  }

 private:
  static Tensor Dense(const Buffer& room, const Tensor& like) {
    return Tensor::Contiguous(room.bytes.get(), like.shape, like.dtype, DeviceKind::kCuda);
  }

  // Host to a contiguous device tensor.
  void Upload(const Tensor& src, const Tensor& dst) {
    if (src.IsContiguous() && src.dtype == dst.dtype) {
      return device_->CopyToDevice(AddressOf(dst.data), src.data, dst.Bytes());
    }
    HostTensor dense(dst.shape, dst.dtype);
    CopyCpu(src, dense.View());
    device_->CopyToDevice(AddressOf(dst.data), dense.data(), dense.Bytes());
  }
  void Download(const Tensor& src, const Tensor& dst) {
    if (dst.IsContiguous() && src.dtype == dst.dtype) {
      return device_->CopyToHost(dst.data, AddressOf(src.data), src.Bytes());
    }
    HostTensor dense(src.shape, src.dtype);
    device_->CopyToHost(dense.data(), AddressOf(src.data), src.Bytes());
    CopyCpu(dense.View(), dst);
  }
  void CopyHere(const Tensor& src, const Tensor& dst) {
    const bool dense = src.IsContiguous() && dst.IsContiguous();
    if (dense && src.dtype == dst.dtype) {
      return device_->CopyOnDevice(AddressOf(dst.data), AddressOf(src.data), src.Bytes());
    }
    cuda::CopyParams p{dense ? cuda::OneRow(src) : cuda::RowsOf(src), cuda::ViewOf(src),
                       cuda::ViewOf(dst)};
    if (dense) p.from.step = p.to.step = 1;
    Elements("elementwise", Typed("copy", src.dtype), dst.dtype, src.NumElements(), p);
  }

  // One thread for each of `count`.
  template <class Params>
  void Elements(const char* image, const std::string& kernel, DType dtype, int64_t count,
                const Params& p) {
    device_->Launch(image, Typed(kernel, dtype), {CeilDiv(count, kThreads)}, kThreads, p);
  }

  cuda::ProductParams Product(const Weight& weight, const cuda::WeightCopy& copy,
                              const Epilogue& epilogue, const Tensor& out) {
    cuda::ProductParams p{};
    p.shape = cuda::RowsOf(out);
    p.out = cuda::ViewOf(out);
    if (epilogue.residual) p.residual = cuda::ViewOf(*epilogue.residual);
    p.w = reinterpret_cast<const void*>(copy.weight);
    p.bias = reinterpret_cast<const float*>(copy.bias);
    p.n = weight.Out();
    p.k = weight.w.NumElements() / weight.Out();
    p.act = static_cast<int>(epilogue.act);
    return p;
  }
  void Run(const std::string& kernel, DType dtype, const cuda::ProductParams& p) {
    device_->Launch("product", Typed(kernel, dtype), {CeilDiv(p.shape.rows, 64), CeilDiv(p.n, 64)},
                    dtype == DType::kF32 ? 256 : 128, p);
  }

  cuda::RowNormParams RowNorm(const Tensor& x, const Tensor& gamma, float eps, const Tensor& out) {
    cuda::RowNormParams p{};
    p.shape = cuda::RowsOf(x);
    p.x = cuda::ViewOf(x);
    p.out = cuda::ViewOf(out);
    p.gamma = copies_.Parameter(gamma);
    p.eps = eps;
    return p;
  }
  void RunRows(const Tensor& x, const cuda::RowNormParams& p) {
    device_->Launch("norm", Typed("row_norm", x.dtype), {CeilDiv(p.shape.rows, kThreads / 32)},
                    kThreads, p);
  }

  void Resample(const char* kernel, const Tensor& x, const Tensor& out) {
    const cuda::ResampleParams p{cuda::ImageOf(x), cuda::ImageOf(out), out.shape[0], out.shape[3]};
    Elements("resample", kernel, x.dtype, out.NumElements(), p);
  }

  std::shared_ptr<cuda::Device> device_;
  cuda::WeightCopies copies_;
  cuda::TableCache tables_;
  int64_t allocations_ = 0;
};

// No operation takes scratch, so a dry run is its calls, its products and its weights.
class CudaPlanningBackend final : public PlanningBackend {
 public:
  explicit CudaPlanningBackend(Backend& real) : real_(real) {}

  DeviceKind Kind() const override { return DeviceKind::kCuda; }
  Buffer Allocate(size_t bytes) override {
    ++allocations_;
    return ReserveAddresses(bytes);
  }
  int64_t Allocations() const override { return allocations_; }
  void Synchronize() override {}
  size_t PackedBytes() const override { return real_.PackedBytes(); }
  void CountFlops(double flops) override { cost_.flops += flops; }
  const Cost& TotalCost() const override { return cost_; }

  void Linear(Context&, const Tensor& x, const Weight& weight, const Epilogue&,
              const Tensor& out) override {
    CountProduct(x, weight, out);
  }
  void Conv2d(Context&, const Tensor& x, const Weight& weight, const Conv2dParams&, const Epilogue&,
              const Tensor& out) override {
    CountProduct(x, weight, out);
  }
  void GroupNorm(Context&, const Tensor&, const GroupNormParams&, const Tensor&) override {
    ++cost_.calls;
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
  void CountProduct(const Tensor& x, const Weight& weight, const Tensor& out) {
    ++cost_.calls;
    if (weight.Out() == 0) return;
    cost_.flops += 2.0 * static_cast<double>(out.NumElements()) *
                   static_cast<double>(weight.w.NumElements() / weight.Out());
    const size_t bytes = cuda::CopyBytes(weight, x.dtype);
    cost_.largest_weight = std::max(cost_.largest_weight, bytes);
    if (dynamic_cast<cuda::WeightCopy*>(weight.packed->get())) return;
    if (planned_.insert(weight.packed.get()).second) cost_.packed_bytes += bytes;
  }

  Backend& real_;
  Cost cost_;
  std::set<const void*> planned_;  // by identity of Weight::packed
  int64_t allocations_ = 0;
};

}  // namespace

std::unique_ptr<Backend> MakeCudaBackend(std::unique_ptr<cuda::Device> device) {
  return std::make_unique<CudaBackend>(std::move(device));
}

DeviceAccess AccessOf(Backend& backend) {
  ENSURE(backend.Kind() == DeviceKind::kCuda && !backend.IsPlanning());
  return static_cast<CudaBackend&>(backend).Access();
}

std::unique_ptr<PlanningBackend> MakeCudaPlanningBackend(Backend& real) {
  return std::make_unique<CudaPlanningBackend>(real);
}

}  // namespace fovea
