#include "tensor/cpu/onednn.h"

#include <omp.h>

#include <algorithm>

#include "tensor/machine/threads.h"

namespace fovea::onednn {
namespace {

using dnnl::memory;

// A U-Net has some 60 distinct shapes, a text encoder and a VAE 50 more; a few image sizes fit.
constexpr size_t kMaxCached = 1024;

// What differs between the generations: 3 hides the fields of layouts, has no operation descriptors
// and no scale of an activation.
#if DNNL_VERSION_MAJOR >= 3
memory::data_type DataType(const Layout& layout) {
  return layout.get_data_type();
}
memory::dims Extents(const Layout& layout) {
  return layout.get_dims();
}
memory::dims Strides(const Layout& layout) {
  return layout.get_strides();
}
memory::dims InnerBlocks(const Layout& layout) {
  return layout.get_inner_blks();
}
memory::dims InnerAxes(const Layout& layout) {
  return layout.get_inner_idxs();
}
bool Blocked(const Layout& layout) {
  return layout.get_format_kind() == memory::format_kind::blocked;
}
void AppendAct(dnnl::post_ops& ops, dnnl::algorithm act, float alpha) {
  ops.append_eltwise(act, alpha, 0);
}
template <class Operation, class... Args>
typename Operation::primitive_desc Describe(const dnnl::engine& engine,
                                            const dnnl::primitive_attr& attr, const Args&... args) {
  return {engine, args..., attr};
}
#else
memory::data_type DataType(const Layout& layout) {
  return layout.data_type();
}
memory::dims Extents(const Layout& layout) {
  return layout.dims();
}
memory::dims Strides(const Layout& layout) {
  const auto& strides = layout.data.format_desc.blocking.strides;
  return {strides, strides + layout.data.ndims};
}
memory::dims InnerBlocks(const Layout& layout) {
  const dnnl_blocking_desc_t& blocking = layout.data.format_desc.blocking;
  return {blocking.inner_blks, blocking.inner_blks + blocking.inner_nblks};
}
memory::dims InnerAxes(const Layout& layout) {
  const dnnl_blocking_desc_t& blocking = layout.data.format_desc.blocking;
  return {blocking.inner_idxs, blocking.inner_idxs + blocking.inner_nblks};
}
bool Blocked(const Layout& layout) {
  return layout.data.format_kind == dnnl_blocked;
}
void AppendAct(dnnl::post_ops& ops, dnnl::algorithm act, float alpha) {
  ops.append_eltwise(1, act, alpha, 0);
}
template <class Operation, class... Args>
typename Operation::primitive_desc Describe(const dnnl::engine& engine,
                                            const dnnl::primitive_attr& attr, const Args&... args) {
  return {typename Operation::desc(args...), attr, engine};
}
#endif

memory::data_type TypeOf(DType dtype) {
  ENSURE(dtype == DType::kF32 || dtype == DType::kBF16, std::string(Name(dtype)));
  return dtype == DType::kF32 ? memory::data_type::f32 : memory::data_type::bf16;
}

dnnl::primitive_attr Attributes(const PostOps& post) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  switch (post.act) {
    case Act::kNone:
      break;
    case Act::kSilu:
      AppendAct(ops, dnnl::algorithm::eltwise_swish, 1);
      break;
    case Act::kGeluErf:
      AppendAct(ops, dnnl::algorithm::eltwise_gelu_erf, 0);
      break;
    case Act::kGeluTanh:
      AppendAct(ops, dnnl::algorithm::eltwise_gelu_tanh, 0);
      break;
    case Act::kQuickGelu:
      AppendAct(ops, dnnl::algorithm::eltwise_swish, 1.702f);
      break;
    case Act::kRelu:
      AppendAct(ops, dnnl::algorithm::eltwise_relu, 0);
      break;
  }
  if (post.accumulate) ops.append_sum(1);
  attr.set_post_ops(ops);
  return attr;
}

std::array<int64_t, 3> KeyOf(const PostOps& post) {
  return {post.bias, static_cast<int64_t>(post.act), post.accumulate};
}

// oneDNN takes its number of threads from the calling thread's OpenMP setting.
void AdoptThreads() {
  if (omp_get_max_threads() != NumThreads()) omp_set_num_threads(NumThreads());
}

}  // namespace

DType ElementType(const Layout& layout) {
  switch (DataType(layout)) {
    case memory::data_type::f32:
      return DType::kF32;
    case memory::data_type::f16:
      return DType::kF16;
    default:
      ENSURE(DataType(layout) == memory::data_type::bf16, "element type of a layout");
      return DType::kBF16;
  }
}

int NumAxes(const Layout& layout) {
  return static_cast<int>(Extents(layout).size());
}

std::vector<int64_t> Offsets(const Layout& layout, int axis) {
  ENSURE(Blocked(layout) && axis < NumAxes(layout), "weight layout");
  const memory::dims blocks = InnerBlocks(layout);
  const memory::dims axes = InnerAxes(layout);
  // Inner blocks of this axis from the innermost outwards: extent and stride of each digit.
  std::vector<std::pair<int64_t, int64_t>> digits;
  int64_t stride = 1;
  int64_t block = 1;
  for (size_t i = blocks.size(); i-- > 0;) {
    if (axes[i] == axis) {
      digits.emplace_back(blocks[i], stride);
      block *= blocks[i];
    }
    stride *= blocks[i];
  }
  const int64_t outer_stride = Strides(layout)[static_cast<size_t>(axis)];
  std::vector<int64_t> offsets(static_cast<size_t>(Extents(layout)[static_cast<size_t>(axis)]));
  for (int64_t i = 0; i < static_cast<int64_t>(offsets.size()); ++i) {
    int64_t offset = i / block * outer_stride;
    int64_t rest = i % block;
    for (const auto& [extent, digit_stride] : digits) {
      offset += rest % extent * digit_stride;
      rest /= extent;
    }
    offsets[static_cast<size_t>(i)] = offset;
  }
  return offsets;
}

Primitive::Primitive(dnnl::primitive primitive, const dnnl::engine& engine, Layout x,
                     Layout weights, Layout bias, Layout out, Layout scratch,
                     std::string implementation)
    : primitive_(std::move(primitive)),
      weights_layout_(weights),
      scratch_bytes_(static_cast<int64_t>(scratch.get_size())),
      implementation_(std::move(implementation)),
      x_(x, engine, DNNL_MEMORY_NONE),
      weights_(weights, engine, DNNL_MEMORY_NONE),
      out_(out, engine, DNNL_MEMORY_NONE) {
  args_ = {
      {DNNL_ARG_SRC, x_.get()}, {DNNL_ARG_WEIGHTS, weights_.get()}, {DNNL_ARG_DST, out_.get()}};
  if (!bias.is_zero()) {
    bias_ = memory(bias, engine, DNNL_MEMORY_NONE);
    args_.push_back({DNNL_ARG_BIAS, bias_.get()});
  }
  if (scratch_bytes_ > 0) {
    scratch_ = memory(scratch, engine, DNNL_MEMORY_NONE);
    args_.push_back({DNNL_ARG_SCRATCHPAD, scratch_.get()});
  }
}

bool Primitive::Fast() const {
  return implementation_.rfind("ref", 0) != 0 && implementation_.rfind("gemm:ref", 0) != 0;
}

void Primitive::Run(const dnnl::stream& stream, const void* x, const void* weights,
                    const void* bias, void* scratch, void* out) {
  x_.set_data_handle(const_cast<void*>(x));
  weights_.set_data_handle(const_cast<void*>(weights));
  out_.set_data_handle(out);
  if (bias_) bias_.set_data_handle(const_cast<void*>(bias));
  if (scratch_) scratch_.set_data_handle(scratch);
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), stream.get(),
                                                      static_cast<int>(args_.size()), args_.data());
  ENSURE(status == dnnl_success, implementation_ + " failed with status " + std::to_string(status));
}

Library::Library() : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {}

int64_t Library::LayoutNumber(const Layout* layout) {
  if (!layout) return -1;
  const auto found = std::find(layouts_.begin(), layouts_.end(), *layout);
  if (found != layouts_.end()) return found - layouts_.begin();
  layouts_.push_back(*layout);
  return static_cast<int64_t>(layouts_.size()) - 1;
}

template <class Make>
std::shared_ptr<Primitive> Library::Cached(const Key& key, Make make) {
  const auto found = cache_.find(key);
  if (found != cache_.end()) return found->second;
  if (cache_.size() >= kMaxCached) cache_.clear();
  AdoptThreads();
  std::shared_ptr<Primitive> made;
  try {
    made = make();
  } catch (const dnnl::error& error) {
    // A refusal is an answer too; it is remembered as null.
    if (error.status != dnnl_unimplemented && error.status != dnnl_invalid_arguments) {
      throw Error(ErrorCode::kInternal, std::string("oneDNN: ") + error.what());
    }
  }
  return cache_.emplace(key, std::move(made)).first->second;
}

Layout Library::PlainMatmulWeights(int64_t out, int64_t in, DType dtype) {
  return Layout({in, out}, TypeOf(dtype), memory::dims{1, in});
}

Layout Library::WinogradFilters(int64_t out, int64_t in, DType dtype) {
  const memory::data_type type = dtype == DType::kF16 ? memory::data_type::f16 : TypeOf(dtype);
  return Layout({out, in, 3, 3}, type, memory::format_tag::Ohwi16o);
}

Layout Library::NarrowFilters(int64_t out, int64_t in) {
  return Layout({out, in, 3, 3}, memory::data_type::f32, memory::format_tag::ohwi);
}

std::shared_ptr<Primitive> Library::Matmul(const MatmulSpec& spec, const Layout* weights) {
  const auto [bias, act, accumulate] = KeyOf(spec.post);
  const Key key{0,
                NumThreads(),
                LayoutNumber(weights),
                static_cast<int64_t>(spec.dtype),
                bias,
                act,
                accumulate,
                spec.rows,
                spec.in,
                spec.out,
                spec.x_stride,
                spec.out_stride};
  return Cached(key, [&] {
    const memory::data_type type = TypeOf(spec.dtype);
    const Layout x({spec.rows, spec.in}, type, memory::dims{spec.x_stride, 1});
    const Layout w =
        weights ? *weights : Layout({spec.in, spec.out}, type, memory::format_tag::any);
    const Layout b = spec.post.bias
                         ? Layout({1, spec.out}, memory::data_type::f32, memory::format_tag::ab)
                         : Layout();
    const Layout out({spec.rows, spec.out}, type, memory::dims{spec.out_stride, 1});
    const dnnl::primitive_attr attr = Attributes(spec.post);
    const auto pd = spec.post.bias ? Describe<dnnl::matmul>(engine_, attr, x, w, b, out)
                                   : Describe<dnnl::matmul>(engine_, attr, x, w, out);
    return std::make_shared<Primitive>(dnnl::matmul(pd), engine_, x, pd.weights_desc(), b, out,
                                       pd.scratchpad_desc(), pd.impl_info_str());
  });
}

std::shared_ptr<Primitive> Library::Conv2d(const ConvSpec& spec, const Layout* weights) {
  const auto [bias, act, accumulate] = KeyOf(spec.post);
  const Conv2dParams& p = spec.params;
  const Key key{1,
                NumThreads(),
                LayoutNumber(weights),
                static_cast<int64_t>(spec.dtype),
                bias,
                act,
                accumulate,
                spec.n,
                spec.h,
                spec.w,
                spec.in,
                spec.out,
                spec.kh,
                spec.kw,
                spec.out_h,
                spec.out_w,
                p.stride,
                p.pad_top,
                p.pad_left,
                p.pad_bottom,
                p.pad_right,
                p.dilation};
  return Cached(key, [&] {
    using Tag = memory::format_tag;
    const memory::data_type type = TypeOf(spec.dtype);
    const Layout x({spec.n, spec.in, spec.h, spec.w}, type, Tag::nhwc);
    const Layout w =
        weights ? *weights : Layout({spec.out, spec.in, spec.kh, spec.kw}, type, Tag::any);
    const Layout b = spec.post.bias ? Layout({spec.out}, memory::data_type::f32, Tag::x) : Layout();
    const Layout out({spec.n, spec.out, spec.out_h, spec.out_w}, type, Tag::nhwc);
    constexpr auto kKind = dnnl::prop_kind::forward_inference;
    constexpr auto kDirect = dnnl::algorithm::convolution_direct;
    const memory::dims stride{p.stride, p.stride};
    const memory::dims skipped{p.dilation - 1, p.dilation - 1};
    const memory::dims before{p.pad_top, p.pad_left};
    const memory::dims after{p.pad_bottom, p.pad_right};
    using Conv = dnnl::convolution_forward;
    const dnnl::primitive_attr attr = Attributes(spec.post);
    const auto pd = spec.post.bias ? Describe<Conv>(engine_, attr, kKind, kDirect, x, w, b, out,
                                                    stride, skipped, before, after)
                                   : Describe<Conv>(engine_, attr, kKind, kDirect, x, w, out,
                                                    stride, skipped, before, after);
    return std::make_shared<Primitive>(Conv(pd), engine_, x, pd.weights_desc(), b, out,
                                       pd.scratchpad_desc(), pd.impl_info_str());
  });
}

void Library::Run(Primitive& primitive, const void* x, const void* weights, const void* bias,
                  void* scratch, void* out) {
  AdoptThreads();
  primitive.Run(stream_, x, weights, bias, scratch, out);
}

}  // namespace fovea::onednn
