// Strided rows asked for before they are needed.
#pragma once

#include <algorithm>

#include "attention/kernels/tile/tile_job.h"

namespace fovea {

// Brings rows near that will be wanted soon, a few at a time: strided rows come from far away, and
// asked for all at once they would stall the arithmetic.
class RowPrefetcher {
 public:
  explicit RowPrefetcher(const HeadView& head)
      : row_bytes_(head.d * (head.bf16 ? 2 : 4)), element_(head.bf16 ? 2 : 4) {}

  // The rows of a key tile, spread over `calls` calls of Some. Drops what is left of earlier ones.
  void Keys(const HeadView& head, const int32_t* tokens, int64_t count, int64_t calls) {
    const bool own = count == 0 || tokens[count - 1] < head.kv;  // extra keys are few: not worth it
    first_ = {own ? head.k : nullptr, head.k_stride * element_, tokens, own ? count : 0};
    second_ = {own ? head.v : nullptr, head.v_stride * element_, tokens, own ? count : 0};
    step_ = (count + calls - 1) / calls;
  }
  // The rows that will be written next, and the next group's queries.
  void Queries(const HeadView& head, const TileMap& map, TileGroup group,
               const TileUpcoming& upcoming, int64_t calls) {
    first_ = OfGroup(map, group, head.out, head.out_stride);
    second_ = {};
    if (upcoming.head != nullptr) {
      second_ = OfGroup(*upcoming.map, upcoming.group, upcoming.head->q, upcoming.head->q_stride);
    }
    step_ = (std::max(first_.left, second_.left) + calls - 1) / calls;
  }
  void Some() {
    Rows(&first_);
    Rows(&second_);
  }

 private:
  struct Stream {
    const std::byte* base = nullptr;
    int64_t stride = 0;
    const int32_t* tokens = nullptr;
    int64_t left = 0;
  };
  Stream OfGroup(const TileMap& map, TileGroup group, const std::byte* base, int64_t stride) const {
    const TokenTile& first = map.q.tiles[static_cast<size_t>(group.first)];
    const TokenTile& last = map.q.tiles[static_cast<size_t>(group.first + group.count - 1)];
    return {base, stride * element_, map.q.tokens.data() + first.begin,
            last.begin + last.count - first.begin};
  }
  void Rows(Stream* stream) const {
    constexpr int64_t kLine = 64;
    const int64_t count = std::min(stream->left, step_);
    for (int64_t i = 0; i < count; ++i) {
      const std::byte* row = stream->base + stream->tokens[i] * stream->stride;
      const int64_t lead = static_cast<int64_t>(reinterpret_cast<uintptr_t>(row) % kLine);
      for (int64_t at = -lead; at < row_bytes_; at += kLine) __builtin_prefetch(row + at, 0, 2);
    }
    stream->tokens += count;
    stream->left -= count;
  }

  int64_t row_bytes_, element_;
  Stream first_, second_;
  int64_t step_ = 0;
};

}  // namespace fovea
