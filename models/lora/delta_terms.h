// How the methods of adapter files other than LoRA's product make an addition to a weight.
//
// LoHa: Hyeon-Woo et al., "FedPara" (2021). LoKr and the names of their tensors: Yeh et al.,
// "LyCORIS" (2023). DoRA: Liu et al. (2024). IA3: Liu et al. (2022). OFT: Qiu et al. (2023).
// Weights are (out, columns) here, columns = in * positions of the kernel. Weights that a term
// reads itself must outlive it.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <vector>

#include "tensor/tensor.h"
#include "tensor/weights/weight_delta.h"

namespace fovea {

// The product, element by element, of two products of matrices.
class HadamardTerm final : public DeltaTerm {
 public:
  HadamardTerm(LowRankProduct a, LowRankProduct b) : a_(std::move(a)), b_(std::move(b)) {}
  size_t Bytes() const override { return a_.Bytes() + b_.Bytes(); }
  void AddTo(int64_t row, int64_t first, std::span<const float> base,
             std::span<float> values) const override;

 private:
  LowRankProduct a_, b_;
};

// kron(w1, w2): w1 (a,b) f32, scaled, w2 (c, d * positions) f32; out = a * c, in = b * d.
class KroneckerTerm final : public DeltaTerm {
 public:
  KroneckerTerm(HostTensor w1, HostTensor w2) : w1_(std::move(w1)), w2_(std::move(w2)) {}
  size_t Bytes() const override { return w1_.Bytes() + w2_.Bytes(); }
  void AddTo(int64_t row, int64_t first, std::span<const float> base,
             std::span<float> values) const override;

 private:
  HostTensor w1_, w2_;
};

// A whole difference, (out, columns) in any float type.
class WholeTerm final : public DeltaTerm {
 public:
  WholeTerm(Tensor difference, double scale) : difference_(difference), scale_(scale) {}
  size_t Bytes() const override { return 0; }
  void AddTo(int64_t row, int64_t first, std::span<const float> base,
             std::span<float> values) const override;

 private:
  Tensor difference_;
  double scale_;
};

// IA3: the weight times a factor for each row, or for each input.
class FactorTerm final : public DeltaTerm {
 public:
  // `factors` scaled; positions > 0: of the inputs, each with so many columns; 0: of the rows.
  FactorTerm(std::vector<float> factors, int64_t positions)
      : factors_(std::move(factors)), positions_(positions) {}
  size_t Bytes() const override { return factors_.size() * sizeof(float); }
  void AddTo(int64_t row, int64_t first, std::span<const float> base,
             std::span<float> values) const override;

 private:
  std::vector<float> factors_;
  int64_t positions_;
};

// DoRA: W + scale * (magnitude * (W + term) / norm(W + term) - W), the norm over all axes but the
// one that the magnitudes have.
class DirectionTerm final : public DeltaTerm {
 public:
  // As FactorTerm's: positions > 0: magnitudes of the inputs, else of `weight`'s rows. The norms
  // are found when they are first needed.
  DirectionTerm(Tensor weight, PlacedTerm term, std::vector<float> magnitudes, int64_t positions,
                double scale);
  size_t Bytes() const override;
  void AddTo(int64_t row, int64_t first, std::span<const float> base,
             std::span<float> values) const override;

 private:
  void ReadMerged(int64_t row, int64_t first, std::span<float> values) const;
  float NormOfRow(int64_t row) const;
  void FindInputNorms() const;

  Tensor weight_;
  PlacedTerm term_;
  std::vector<float> magnitudes_;
  int64_t positions_;
  double scale_;
  mutable std::vector<std::atomic<float>> row_norms_;  // negative: not found yet
  mutable std::vector<float> input_norms_;
  mutable std::once_flag once_;
};

// OFT: groups of `size` rows times a rotation each: W + scale * (rescale * R^T W - W).
class RotationTerm final : public DeltaTerm {
 public:
  // rotations (groups, size, size) f32; rescale: one a row, or empty.
  RotationTerm(Tensor weight, HostTensor rotations, std::vector<float> rescale, double scale)
      : weight_(weight),
        rotations_(std::move(rotations)),
        rescale_(std::move(rescale)),
        scale_(scale) {}
  size_t Bytes() const override { return rotations_.Bytes(); }
  void AddTo(int64_t row, int64_t first, std::span<const float> base,
             std::span<float> values) const override;

 private:
  Tensor weight_;
  HostTensor rotations_;
  std::vector<float> rescale_;
  double scale_;
};

// (I + Q)(I - Q)^-1 of every group, Q = blocks - blocks^T, scaled down to the norm `bound` over all
// groups if it is larger and `bound` is positive. blocks (groups, n, n) f32. In double.
HostTensor CayleyRotations(const HostTensor& blocks, double bound);

}  // namespace fovea
