// The CPU backend's own copies of weights: made at first use, in the layout that oneDNN asks for.
//
// A dry run keeps its own account of the same decisions: what would be packed, when, in which
// layout.
//
// Under a limit, those that are used first stay, and each further one is freed when the next such
// one is made. A denoiser uses its weights in a circle, so keeping the latest instead would keep
// none that is used again soon enough.
#pragma once

#include <atomic>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "tensor/cpu/onednn.h"
#include "tensor/weights/weight.h"

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
  // The weight is about to be used as the file has it.
  virtual void UseInPlace(const Weight& weight) = 0;
};

class RealPacks final : public WeightPacks {
 public:
  const onednn::Layout* Held(const Weight& weight) const override;
  const void* Provide(const Weight& weight, const onednn::Layout& layout, WeightAxes axes) override;
  void UseInPlace(const Weight& weight) override;
  size_t Bytes() const { return *bytes_; }
  void Limit(size_t bytes) { limit_ = bytes; }
  void EndStage();

 private:
  // The last one that did not fit.
  struct Streamed {
    std::weak_ptr<std::unique_ptr<PackedWeight>> packed;
    size_t packed_bytes = 0;
    Tensor mapped;
  };
  static constexpr size_t kNoLimit = std::numeric_limits<size_t>::max();

  bool Fits(size_t bytes) const;
  void DropStreamed();

  size_t limit_ = kNoLimit;
  std::vector<std::weak_ptr<std::unique_ptr<PackedWeight>>> kept_;  // under a limit
  std::map<const void*, Tensor> kept_in_place_;                     // by address
  size_t kept_in_place_bytes_ = 0;
  Streamed streamed_;
  // Shared with the copies, which may outlive this object.
  std::shared_ptr<std::atomic<size_t>> bytes_ = std::make_shared<std::atomic<size_t>>(0);
};

class PlannedPacks final : public WeightPacks {
 public:
  const onednn::Layout* Held(const Weight& weight) const override;
  const void* Provide(const Weight& weight, const onednn::Layout& layout, WeightAxes axes) override;
  void UseInPlace(const Weight& weight) override;
  // The most that a run would hold beyond what is held now.
  size_t PeakNewBytes() const { return peak_; }
  size_t InPlaceBytes() const { return in_place_bytes_; }
  size_t LargestWeight() const { return largest_; }

 private:
  std::map<const void*, onednn::Layout> planned_;  // by identity of Weight::packed
  std::ptrdiff_t bytes_ = 0;
  size_t peak_ = 0, largest_ = 0;
  std::set<const void*> in_place_;  // by address
  size_t in_place_bytes_ = 0;
};

}  // namespace fovea
