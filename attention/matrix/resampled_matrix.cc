#include "attention/matrix/resampled_matrix.h"

#include <algorithm>
#include <vector>

#include "tensor/cpu/cubic_taps.h"

namespace fovea {
namespace {

class Resampled final : public AttentionMatrix {
 public:
  Resampled(std::unique_ptr<AttentionMatrix> inner, const std::array<int, 2>& own,
            const std::array<int, 2>& resized)
      : AttentionMatrix(inner->Samples(), inner->Heads(), int64_t{own[0]} * own[1],
                        int64_t{own[0]} * own[1]),
        inner_(std::move(inner)),
        own_width_(own[1]),
        width_(resized[1]),
        back_rows_(CubicTaps(resized[0], own[0])),
        back_columns_(CubicTaps(resized[1], own[1])),
        rows_(CubicTaps(own[0], resized[0])),
        columns_(CubicTaps(own[1], resized[1])) {}

  void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
            float* rows) const override {
    std::vector<float> of_taps, mixed(static_cast<size_t>(inner_->Keys()));
    for (size_t i = 0; i < queries.size(); ++i) {
      const CubicTap& y = back_rows_[static_cast<size_t>(queries[i] / own_width_)];
      const CubicTap& x = back_columns_[static_cast<size_t>(queries[i] % own_width_)];
      std::array<int32_t, 16> taps;
      for (size_t t = 0; t < 16; ++t) {
        taps[t] = static_cast<int32_t>(y.index[t / 4] * width_ + x.index[t % 4]);
      }
      of_taps.resize(16 * mixed.size());
      inner_->Rows(sample, head, taps, of_taps.data());
      std::fill(mixed.begin(), mixed.end(), 0.0f);
      for (size_t t = 0; t < 16; ++t) {
        const float weight = y.weight[t / 4] * x.weight[t % 4];
        for (size_t j = 0; j < mixed.size(); ++j)
          mixed[j] += weight * of_taps[t * mixed.size() + j];
      }
      ShareOut(mixed, rows + i * static_cast<size_t>(Keys()));
    }
  }

 private:
  // From keys of the resized grid to those that they were made of.
  void ShareOut(const std::vector<float>& mixed, float* row) const {
    std::fill_n(row, Keys(), 0.0f);
    for (size_t j = 0; j < mixed.size(); ++j) {
      if (mixed[j] == 0) continue;
      const CubicTap& y = rows_[j / static_cast<size_t>(width_)];
      const CubicTap& x = columns_[j % static_cast<size_t>(width_)];
      for (size_t t = 0; t < 16; ++t) {
        row[y.index[t / 4] * own_width_ + x.index[t % 4]] +=
            mixed[j] * y.weight[t / 4] * x.weight[t % 4];
      }
    }
  }

  std::unique_ptr<AttentionMatrix> inner_;
  int64_t own_width_, width_;
  std::vector<CubicTap> back_rows_, back_columns_, rows_, columns_;
};

}  // namespace

std::unique_ptr<AttentionMatrix> ResampledMatrix(std::unique_ptr<AttentionMatrix> inner,
                                                 const std::array<int, 2>& own,
                                                 const std::array<int, 2>& resized) {
  return std::make_unique<Resampled>(std::move(inner), own, resized);
}

}  // namespace fovea
