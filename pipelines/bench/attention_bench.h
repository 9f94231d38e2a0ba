// Attention operators timed one after the other, each beside the least time that it could take.
//
// Tokens are a grid; q, k, v are random, batch 1, (b,t,heads,d). The first run of each operator
// warms up; seconds is the median of the others. Its bound is the larger of
//   compute: 4 d FLOPs for each query-key pair that the operator's definition sees, over the peak
//     of multiply-adds that the same run measures for the dtype; an operator that is no set of
//     pairs (agents) has its own FLOPs there;
//   memory: q, k, v and out once, over the bandwidth that the same run measures.
// Exponentials, masks and the unseen pairs of visited tiles are not in the bound: they are what a
// share below 1 is spent on.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "attention/attention_op.h"
#include "attention/plans/plan.h"

namespace fovea {

struct AttentionBenchOptions {
  std::vector<std::array<int, 3>> grids{{1, 64, 64}};
  int heads = 8;
  std::vector<int> dims{64};
  std::vector<OperatorSpec> operators;
  DType dtype = DType::kF32;
  int repeat = 5;
};

struct AttentionTiming {
  std::string op;
  std::array<int, 3> grid{1, 1, 1};
  int heads = 1, dim = 64;
  DType dtype = DType::kF32;
  int threads = 1;
  double seconds = 0;
  double gflops = 0;          // computed, unseen pairs included, per second
  int64_t visited_tiles = 0;  // of a head; without a tile map: its FLOPs in tiles of 64x64 pairs
  int64_t ideal_tiles = 0;    // the seen pairs in such tiles, rounded up
  double density = 1;         // seen pairs, or FLOPs without a map, over those of dense attention
  double bound_seconds = 0, share_of_bound = 0;
};

std::string GridText(const std::array<int, 3>& grid);  // "64x48", or "16x30x52" with frames

class AttentionBench {
 public:
  // Prepares every case and counts its memory. Throws kUsage and kUnsupported (an operator that
  // refuses, naming the grid). `backend` must outlive it.
  AttentionBench(AttentionBenchOptions options, Backend& backend);
  ~AttentionBench();
  AttentionBench(const AttentionBench&) = delete;
  AttentionBench& operator=(const AttentionBench&) = delete;

  // The most memory that Run holds at a time, tile maps excluded, which exist already.
  size_t PeakBytes() const;
  // In order of grids, head sizes, operators; `done` is called after each, when its bound is not
  // known yet. Stops early, with what there is, where `stop` asks.
  std::vector<AttentionTiming> Run(std::stop_token stop,
                                   const std::function<void(const AttentionTiming&)>& done);

 private:
  struct Case;
  AttentionBenchOptions options_;
  Backend& backend_;
  std::vector<std::unique_ptr<Case>> cases_;
  size_t arena_bytes_ = 0;
};

}  // namespace fovea
