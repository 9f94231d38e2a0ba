#include "pipelines/maps/concept_maps.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "attention/kernels/element.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

// Row `token` of one sample of x (b,t,heads,d), whose heads lie side by side.
std::byte* RowAt(const Tensor& x, int64_t sample, int64_t token) {
  ENSURE(x.stride[2] == x.shape[3]);
  return static_cast<std::byte*>(x.data) +
         (sample * x.stride[0] + token * x.stride[1]) * static_cast<int64_t>(SizeOf(x.dtype));
}

const Segment* TextOf(const TokenLayout& layout) {
  for (const Segment& segment : layout) {
    if (segment.kind == SegmentKind::kText) return &segment;
  }
  return nullptr;
}

}  // namespace

void ImageStreamKeeper::Attended(Context&, const AttentionCall& call) {
  const Segment* grid = GridOfLayout(call.spec.q);
  if (call.site.kind != SiteKind::kJoint || grid == nullptr) return;
  const Tensor& out = call.io.out;
  HostTensor copy({grid->length, out.shape[2], out.shape[3]}, out.dtype);
  const size_t row = copy.Bytes() / static_cast<size_t>(grid->length);
  for (int64_t t = 0; t < grid->length; ++t) {
    std::memcpy(static_cast<std::byte*>(copy.data()) + static_cast<size_t>(t) * row,
                RowAt(out, PromptRow(call), grid->begin + t), row);
  }
  kept_[call.site.index] = std::move(copy);
}

const HostTensor* ImageStreamKeeper::Find(int site) const {
  const auto found = kept_.find(site);
  return found == kept_.end() ? nullptr : &found->second;
}

ConceptReader::ConceptReader(std::vector<std::string> concepts, const ImageStreamKeeper& image,
                             const MapSelection& selection)
    : count_(concepts.size()),
      image_(image),
      selection_(selection),
      sums_("concepts", std::move(concepts), selection) {}

void ConceptReader::Attended(Context&, const AttentionCall& call) {
  const Segment* grid = GridOfLayout(call.spec.q);
  if (call.site.kind != SiteKind::kJoint || grid == nullptr) return;
  const HostTensor* image = image_.Find(call.site.index);
  ENSURE(image != nullptr && image->shape()[0] == grid->length, call.site.path);
  const Tensor& out = call.io.out;
  const int64_t sample = PromptRow(call), heads = out.shape[2], d = out.shape[3];
  const size_t row = image->Bytes() / static_cast<size_t>(grid->length);
  const auto own = [&](int64_t token) {
    return static_cast<const std::byte*>(image->data()) + static_cast<size_t>(token) * row;
  };
  for (int64_t t = 0; t < grid->length; ++t) {
    std::memcpy(RowAt(out, sample, grid->begin + t), own(t), row);
  }
  const Segment* text = TextOf(call.spec.q);
  if (text == nullptr || !selection_.Has(call)) return;
  ENSURE(static_cast<size_t>(text->length) == count_, call.site.path);
  const std::vector<int> chosen = selection_.HeadsOf(call);
  if (chosen.empty()) return;
  const bool bf16 = out.dtype == DType::kBF16;
  std::vector<std::vector<float>> maps(count_,
                                       std::vector<float>(static_cast<size_t>(grid->length)));
  ParallelFor(grid->length, 16, [&](int64_t begin, int64_t end) {
    std::vector<double> scores(count_);
    for (int64_t t = begin; t < end; ++t) {
      for (size_t c = 0; c < count_; ++c) {
        const std::byte* of_concept = RowAt(out, sample, text->begin + static_cast<int64_t>(c));
        scores[c] = 0;
        for (const int head : chosen) {
          for (int64_t i = head * d; i < (head + 1) * d; ++i) {
            scores[c] += static_cast<double>(LoadElement(of_concept, i, bf16)) *
                         static_cast<double>(LoadElement(own(t), i, bf16));
          }
        }
      }
      const double top = *std::max_element(scores.begin(), scores.end());
      double sum = 0;
      for (double& score : scores) sum += score = std::exp(score - top);
      for (size_t c = 0; c < count_; ++c) {
        maps[c][static_cast<size_t>(t)] = static_cast<float>(scores[c] / sum);
      }
    }
  });
  ENSURE(static_cast<int64_t>(row) == heads * d * static_cast<int64_t>(SizeOf(out.dtype)));
  for (size_t c = 0; c < count_; ++c) {
    sums_.Add(c, call, -1, grid->grid[1], grid->grid[2], maps[c]);
  }
}

}  // namespace fovea
