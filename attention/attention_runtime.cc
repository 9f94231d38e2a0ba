#include "attention/attention_runtime.h"

#include "tensor/trace.h"

namespace fovea {
namespace {

void CheckIo(const AttentionSite& site, const AttentionSpec& spec, const AttentionIo& io) {
  const Shape q{spec.batch, TokenCount(spec.q), spec.heads, spec.head_dim};
  const Shape kv{spec.batch, TokenCount(spec.kv), spec.heads, spec.head_dim};
  ENSURE(io.q.shape == q && io.out.shape == q, site.path + " q " + io.q.shape.ToString());
  ENSURE(io.k.shape == kv && io.v.shape == kv, site.path + " k " + io.k.shape.ToString());
  for (const Tensor* x : {&io.q, &io.k, &io.v, &io.out}) {
    ENSURE(x->dtype == spec.dtype && x->stride[3] == 1, site.path);
  }
  ENSURE(io.lse.Empty() || (io.lse.shape == Shape{spec.batch, spec.heads, q[1]} &&
                            io.lse.IsContiguous() && io.lse.dtype == DType::kF32),
         site.path);
}

std::string Key(const AttentionSpec& spec) {
  std::string key;
  const auto add = [&key](auto value) { key += std::to_string(value) + ' '; };
  add(spec.batch), add(spec.heads), add(spec.head_dim), add(static_cast<int>(spec.dtype));
  add(static_cast<int>(spec.device)), add(spec.scale), add(static_cast<int>(spec.causal));
  for (const TokenLayout* layout : {&spec.q, &spec.kv}) {
    for (const Segment& segment : *layout) {
      add(static_cast<int>(segment.kind)), add(segment.length);
      for (int side : segment.grid) add(side);
    }
    key += '|';
  }
  return key;
}

}  // namespace

AttentionRuntime::AttentionRuntime() = default;
AttentionRuntime::~AttentionRuntime() = default;

void AttentionRuntime::BeginStep(int step, int steps) {
  ENSURE(step >= 0 && step < steps);
  step_ = step;
  steps_ = steps;
}

void AttentionRuntime::Attend(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
                              const AttentionIo& io) {
  TRACE_ZONE("attention", site.path);
  CheckIo(site, spec, io);
  std::unique_ptr<PreparedAttention>& prepared = prepared_[Key(spec)];
  if (prepared == nullptr) {
    const AttentionOp& op = FindAttentionOp("dense");
    const Support support = op.Supports(spec, {});
    if (!support.ok) throw Error(ErrorCode::kUnsupported, site.path + ": " + support.reason);
    prepared = op.Prepare(spec, {});
  }
  prepared->Run(ctx, io);
}

}  // namespace fovea
