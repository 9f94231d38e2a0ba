// Maps of self- and joint attention on the image's grid: whom one token looks at, and how widely
// each token looks.
#pragma once

#include <vector>

#include "pipelines/maps/map_sums.h"

namespace fovea {

// The exact row of one place, of every head: where this part of the picture takes from. Joint rows
// keep their image part alone.
class QueryRows final : public AttentionListener {
 public:
  // (row, column) on a grid of rows x columns; layers with other grids take the token that covers
  // the middle of that one.
  struct Query {
    int row = 0, column = 0, rows = 1, columns = 1;
  };
  QueryRows(const Query& query, const MapSelection& selection);
  void Attended(Context& ctx, const AttentionCall& call) override;
  // Each of all layers together sums to about 1, as each row does.
  std::vector<AttentionMap> Finish() const;
  bool Empty() const { return sums_.Empty(); }

 private:
  Query query_;
  MapSelection selection_;
  MapSums sums_;
};

// The entropy of every token's row over the logarithm of the number of keys: 0, all weight on one
// key, to 1, even.
class EntropyMaps final : public AttentionListener {
 public:
  // Of one head of one call, means over all tokens.
  struct Row {
    std::string layer;
    int head, step, keys;
    double entropy;  // nats
  };
  explicit EntropyMaps(const MapSelection& selection);
  void Attended(Context& ctx, const AttentionCall& call) override;
  std::vector<AttentionMap> Finish() const { return sums_.Finish(false); }
  const std::vector<Row>& Rows() const { return rows_; }
  bool Empty() const { return sums_.Empty(); }

 private:
  MapSelection selection_;
  MapSums sums_;
  std::vector<Row> rows_;
};

}  // namespace fovea
