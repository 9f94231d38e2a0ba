// Pooling of tokens over their grid, on the CPU.
#include <algorithm>
#include <array>
#include <vector>

#include "attention/kernels/cpu_kernels.h"
#include "attention/kernels/element.h"
#include "tensor/machine/threads.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "attention/kernels/pooling_cpu.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "tensor/cpu/load_store-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea {
namespace HWY_NAMESPACE {
namespace {

// sum[i] += weight * x[i].
template <class T>
void AddScaled(const T* HWY_RESTRICT x, float weight, int64_t count, float* HWY_RESTRICT sum) {
  const F32 d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const VF32 w = hn::Set(d, weight);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::MulAdd(w, LoadF32(d, x + i), hn::LoadU(d, sum + i)), d, sum + i);
  }
  if (i == count) return;
  const size_t rest = static_cast<size_t>(count - i);
  StorePart(d, hn::MulAdd(w, LoadPart(d, x + i, rest), LoadPart(d, sum + i, rest)), sum + i, rest);
}

void AddScaledF32(const void* x, float weight, int64_t count, float* sum) {
  AddScaled(static_cast<const float*>(x), weight, count, sum);
}

void AddScaledBf16(const void* x, float weight, int64_t count, float* sum) {
  AddScaled(static_cast<const BFloat16*>(x), weight, count, sum);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace fovea
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace fovea {
namespace {

HWY_EXPORT(AddScaledF32);
HWY_EXPORT(AddScaledBf16);

struct Cell {
  std::array<int, 3> begin, end;
};

// Where a token's row for one batch and head starts, and how long it is.
const std::byte* RowAt(const Tensor& x, int64_t b, int64_t token, int64_t h) {
  const int64_t offset = b * x.stride[0] + token * x.stride[1] + h * x.stride[2];
  return static_cast<const std::byte*>(x.data) + offset * static_cast<int64_t>(SizeOf(x.dtype));
}

// out[cell] = sum over the cell's tokens of weight(offset in the cell) * x, for all batches. Rows
// of the cell are summed on their own first, which keeps the error of f32 sums small.
template <class CellAt, class WeightAt>
void Pool(const Tensor& x, const Segment& grid, int64_t cells, const Tensor& out,
          const CellAt& cell_at, const WeightAt& weight_at) {
  const int64_t heads = x.shape[2], d = x.shape[3];
  const bool dense = x.stride[2] == d;  // all heads of a token in one row
  const int64_t rows = dense ? 1 : heads, row = dense ? heads * d : d;
  const auto add = x.dtype == DType::kBF16 ? HWY_DYNAMIC_DISPATCH(AddScaledBf16)
                                           : HWY_DYNAMIC_DISPATCH(AddScaledF32);
  const auto add_f32 = HWY_DYNAMIC_DISPATCH(AddScaledF32);
  ParallelFor(x.shape[0] * cells, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sum(static_cast<size_t>(heads * d)), line(sum.size());
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / cells;
      const Cell cell = cell_at(i % cells);
      std::fill(sum.begin(), sum.end(), 0.0f);
      int64_t inside = 0;
      for (int f = cell.begin[0]; f < cell.end[0]; ++f) {
        for (int y = cell.begin[1]; y < cell.end[1]; ++y) {
          std::fill(line.begin(), line.end(), 0.0f);
          for (int column = cell.begin[2]; column < cell.end[2]; ++column, ++inside) {
            const int64_t token = grid.begin + (f * grid.grid[1] + y) * grid.grid[2] + column;
            const float weight = weight_at(cell, inside);
            for (int64_t r = 0; r < rows; ++r) {
              add(RowAt(x, b, token, r), weight, row, line.data() + r * row);
            }
          }
          add_f32(line.data(), 1, heads * d, sum.data());
        }
      }
      for (int64_t h = 0; h < heads; ++h) {
        const float* from = sum.data() + h * d;
        const int64_t offset = b * out.stride[0] + i % cells * out.stride[1] + h * out.stride[2];
        for (int64_t c = 0; c < d; ++c)
          StoreElement(out.data, offset + c, x.dtype == DType::kBF16, from[c]);
      }
    }
  });
}

}  // namespace

void PoolCellsCpu(const Tensor& x, const Segment& grid, int cell, const float* weights,
                  const Tensor& out) {
  const int rows = grid.grid[1] / cell, columns = grid.grid[2] / cell;
  const auto cell_at = [&](int64_t i) {
    const int y = static_cast<int>(i) / columns * cell, x0 = static_cast<int>(i) % columns * cell;
    return Cell{{0, y, x0}, {1, y + cell, x0 + cell}};
  };
  Pool(x, grid, int64_t{rows} * columns, out, cell_at,
       [weights](const Cell&, int64_t inside) { return weights[inside]; });
}

void AdaptivePoolCpu(const Tensor& x, const Segment& grid, const std::array<int, 3>& cells,
                     const Tensor& out) {
  const auto cell_at = [&](int64_t i) {
    const std::array<int64_t, 3> index{i / (cells[1] * cells[2]), i / cells[2] % cells[1],
                                       i % cells[2]};
    Cell cell;
    for (size_t a = 0; a < 3; ++a) {
      const int64_t length = grid.grid[a], n = cells[a];
      cell.begin[a] = static_cast<int>(index[a] * length / n);
      cell.end[a] = static_cast<int>(((index[a] + 1) * length + n - 1) / n);
    }
    return cell;
  };
  const auto mean = [](const Cell& cell, int64_t) {
    double tokens = 1;
    for (size_t a = 0; a < 3; ++a) tokens *= cell.end[a] - cell.begin[a];
    return static_cast<float>(1 / tokens);
  };
  Pool(x, grid, int64_t{cells[0]} * cells[1] * cells[2], out, cell_at, mean);
}

}  // namespace fovea
#endif  // HWY_ONCE
