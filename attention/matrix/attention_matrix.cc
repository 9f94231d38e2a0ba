#include "attention/matrix/attention_matrix.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace fovea {

void AttentionMatrix::Columns(int64_t sample, int64_t head, std::span<const int32_t> keys,
                              float* columns) const {
  constexpr int64_t kBlock = 64;
  std::vector<int32_t> queries;
  std::vector<float> rows;
  for (int64_t first = 0; first < Queries(); first += kBlock) {
    queries.resize(static_cast<size_t>(std::min(kBlock, Queries() - first)));
    std::iota(queries.begin(), queries.end(), static_cast<int32_t>(first));
    rows.resize(queries.size() * static_cast<size_t>(Keys()));
    Rows(sample, head, queries, rows.data());
    for (size_t i = 0; i < queries.size(); ++i) {
      for (const int32_t key : keys) {
        *columns++ = rows[i * static_cast<size_t>(Keys()) + static_cast<size_t>(key)];
      }
    }
  }
}

}  // namespace fovea
