// The CPU backend's own copies of weights: made at first use, in the layout that oneDNN asks for.
//
// A dry run keeps its own account of the same decisions: what would be packed, when, in which
// layout.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>

#include "tensor/cpu/onednn.h"
#include "tensor/weight.h"

namespace fovea {

// Which axes of a oneDNN layout are the weight's outputs and inputs; kernel axes follow at 2 and 3.
struct WeightAxes {
  int out, in;
};
inline constexpr WeightAxes kMatmulAxes{1, 0};
inline constexpr WeightAxes kConvAxes{0, 1};

class WeightPacks {
 public:
  virtual ~WeightPacks() = default;
  // The layout of the copy that exists, or null.
  virtual const onednn::Layout* Held(const Weight& weight) const = 0;
  // The copy in this layout; another one is replaced. Null in a dry run.
  virtual const void* Provide(const Weight& weight, const onednn::Layout& layout,
                              WeightAxes axes) = 0;
};

class RealPacks final : public WeightPacks {
 public:
  const onednn::Layout* Held(const Weight& weight) const override;
  const void* Provide(const Weight& weight, const onednn::Layout& layout, WeightAxes axes) override;
  size_t Bytes() const { return *bytes_; }

 private:
  // Shared with the copies, which may outlive this object.
  std::shared_ptr<std::atomic<size_t>> bytes_ = std::make_shared<std::atomic<size_t>>(0);
};

class PlannedPacks final : public WeightPacks {
 public:
  const onednn::Layout* Held(const Weight& weight) const override;
  const void* Provide(const Weight& weight, const onednn::Layout& layout, WeightAxes axes) override;
  // The most that a run would hold beyond what is held now.
  size_t PeakNewBytes() const { return peak_; }

 private:
  std::map<const void*, onednn::Layout> planned_;  // by identity of Weight::packed
  std::ptrdiff_t bytes_ = 0;
  size_t peak_ = 0;
};

}  // namespace fovea
