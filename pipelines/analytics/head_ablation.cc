#include "pipelines/analytics/head_ablation.h"

#include <utility>

#include "attention/kernels/element.h"
#include "tensor/error.h"

namespace fovea {
namespace {

bool Watched(const AttentionCall& call) {
  return call.site.kind != SiteKind::kCross;
}

// Index of the first of the d values of one head of one token.
int64_t At(const Tensor& out, int64_t sample, int64_t token, int64_t head) {
  return sample * out.stride[0] + token * out.stride[1] + head * out.stride[2];
}

bool IsBf16(const Tensor& out) {
  return out.dtype == DType::kBF16;
}

}  // namespace

std::string_view Name(Ablation ablation) {
  switch (ablation) {
    case Ablation::kZero:
      return "zero";
    case Ablation::kMean:
      return "mean";
    case Ablation::kShuffle:
      return "shuffle";
  }
  return "";
}

void HeadOutputs::Attended(Context& /*ctx*/, const AttentionCall& call) {
  if (!Watched(call)) return;
  const Tensor& out = call.io.out;
  ENSURE(out.shape[0] == 1, "one picture at a time");
  Site& site = sites_[call.site.index];
  site.path = call.site.path;
  site.tokens = out.shape[1];
  site.heads = out.shape[2];
  site.dim = out.shape[3];
  std::vector<float>& pass = site.passes.emplace_back();
  pass.reserve(static_cast<size_t>(out.NumElements()));
  for (int64_t t = 0; t < site.tokens; ++t) {
    for (int64_t h = 0; h < site.heads; ++h) {
      const int64_t at = At(out, 0, t, h);
      for (int64_t d = 0; d < site.dim; ++d) {
        pass.push_back(LoadElement(out.data, at + d, IsBf16(out)));
      }
    }
  }
}

std::vector<float> HeadOutputs::Site::Mean() const {
  ENSURE(!passes.empty());
  std::vector<double> sum(passes.front().size());
  for (const std::vector<float>& pass : passes) {
    if (pass.size() != sum.size()) {
      throw Error(ErrorCode::kUnsupported,
                  path +
                      ": pictures of different sizes have no mean output; give the model "
                      "pictures of one size");
    }
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(pass[i]);
  }
  std::vector<float> mean;
  for (const double each : sum) {
    mean.push_back(static_cast<float>(each / static_cast<double>(passes.size())));
  }
  return mean;
}

std::vector<HeadId> HeadOutputs::Heads() const {
  std::vector<HeadId> heads;
  for (const auto& [index, site] : sites_) {
    for (int h = 0; h < static_cast<int>(site.heads); ++h) heads.push_back({index, h});
  }
  return heads;
}

HeadAblator::HeadAblator(const HeadOutputs& outputs, Ablation ablation, std::vector<HeadId> heads)
    : outputs_(outputs), ablation_(ablation), heads_(std::move(heads)) {
  if (ablation_ != Ablation::kMean) return;
  for (const HeadId& each : heads_) {
    if (!means_.contains(each.site)) means_[each.site] = outputs_.Sites().at(each.site).Mean();
  }
}

void HeadAblator::Attended(Context& /*ctx*/, const AttentionCall& call) {
  if (!Watched(call)) return;
  const Tensor& out = call.io.out;
  for (const HeadId& each : heads_) {
    if (each.site != call.site.index) continue;
    const HeadOutputs::Site& site = outputs_.Sites().at(each.site);
    const std::vector<float>* with = nullptr;
    if (ablation_ == Ablation::kMean) with = &means_.at(each.site);
    if (ablation_ == Ablation::kShuffle) with = &site.passes.at(other_);
    const auto wanted = static_cast<size_t>(out.shape[1] * out.shape[2] * out.shape[3]);
    if (with != nullptr && with->size() != wanted) {
      throw Error(ErrorCode::kUnsupported,
                  site.path + ": pictures of different sizes cannot stand in for each other");
    }
    for (int64_t n = 0; n < out.shape[0]; ++n) {
      for (int64_t t = 0; t < out.shape[1]; ++t) {
        const int64_t at = At(out, n, t, each.head);
        for (int64_t d = 0; d < site.dim; ++d) {
          const auto kept = static_cast<size_t>((t * site.heads + each.head) * site.dim + d);
          StoreElement(out.data, at + d, IsBf16(out), with == nullptr ? 0 : (*with)[kept]);
        }
      }
    }
  }
}

}  // namespace fovea
