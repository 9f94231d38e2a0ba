#include "attention/kernels/pooling.h"

#include <algorithm>
#include <vector>

#include "attention/kernels/element.h"
#include "tensor/threads.h"

namespace fovea {
namespace {

struct Cell {
  std::array<int, 3> begin, end;
};

// out[cell] = sum over the cell's tokens of weight(offset in the cell) * x, for all batches.
template <class CellAt, class WeightAt>
void Pool(const Tensor& x, const Segment& grid, int64_t cells, const Tensor& out,
          const CellAt& cell_at, const WeightAt& weight_at) {
  const int64_t heads = x.shape[2], d = x.shape[3];
  const bool bf16 = x.dtype == DType::kBF16;
  ParallelFor(x.shape[0] * cells, 1, [&](int64_t begin, int64_t end) {
    std::vector<double> sum(static_cast<size_t>(heads * d));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / cells;
      const Cell cell = cell_at(i % cells);
      std::fill(sum.begin(), sum.end(), 0.0);
      int64_t inside = 0;
      for (int f = cell.begin[0]; f < cell.end[0]; ++f) {
        for (int y = cell.begin[1]; y < cell.end[1]; ++y) {
          for (int column = cell.begin[2]; column < cell.end[2]; ++column, ++inside) {
            const int64_t token = grid.begin + (f * grid.grid[1] + y) * grid.grid[2] + column;
            const double weight = weight_at(cell, inside);
            for (int64_t h = 0; h < heads; ++h) {
              const int64_t offset = b * x.stride[0] + token * x.stride[1] + h * x.stride[2];
              for (int64_t c = 0; c < d; ++c) {
                sum[static_cast<size_t>(h * d + c)] +=
                    weight * LoadElement(x.data, offset + c, bf16);
              }
            }
          }
        }
      }
      for (int64_t h = 0; h < heads; ++h) {
        const int64_t offset = b * out.stride[0] + i % cells * out.stride[1] + h * out.stride[2];
        for (int64_t c = 0; c < d; ++c) {
          StoreElement(out.data, offset + c, bf16,
                       static_cast<float>(sum[static_cast<size_t>(h * d + c)]));
        }
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
       [weights](const Cell&, int64_t inside) { return double{weights[inside]}; });
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
    return 1 / tokens;
  };
  Pool(x, grid, int64_t{cells[0]} * cells[1] * cells[2], out, cell_at, mean);
}

}  // namespace fovea
