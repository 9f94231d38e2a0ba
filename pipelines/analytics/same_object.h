// Whether a layer's patch features tell which patches lie on the same object: the IsSameObject
// probe (Li et al. 2025, arXiv:2510.24709).
//
// P(same | x, y) = sigmoid(x^T W y / sqrt(C) + b), W symmetric, x and y standardised features of
// two patches of one picture; cross entropy over pairs, Adam with 1e-3, from W = 0 (the loss is
// convex). Pairs count whose patches are two and of which at least one lies on an object: that two
// patches are both background says nothing of objects. Of a picture, at most kMostPatches patches
// are taken, as in the paper; a step costs 2 * 64 * C * C multiplications a picture.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "attention/attention_listener.h"
#include "pipelines/pictures/image.h"

namespace fovea {

constexpr int kMostPatches = 64;

struct PatchSet {                         // of one picture
  std::vector<float> features;            // (n,c)
  std::vector<int> labels;                // n; 0: background
  std::vector<std::array<int, 2>> cells;  // n; row, column
};

struct PairScores {
  double accuracy = 0, balanced = 0;  // on `test`, each at the threshold that is best on `train`
};
struct SameObjectScores {
  int64_t pairs = 0;  // of `test`
  double same = 0;    // share of them
  // The probe; cosine of both features; nearness: patches that lie closer together.
  PairScores probe, cosine, nearness;
};
// Throws kUsage where either half lacks pairs of one object or of two. `seed`: of pictures' order.
SameObjectScores TestSameObject(std::span<const PatchSet> train, std::span<const PatchSet> test,
                                uint64_t seed);

// The object that covers most of each cell of a grid, by number in order of grey values; 0 is the
// background. Every grey value (red, where there are colours) of `mask` but 0 is an object; `seen`
// crops and resizes as the model does.
std::vector<int> ObjectLabels(const Image& mask, const std::function<Image(const Image&)>& seen,
                              int rows, int columns);
// At most kMostPatches of `count` cells, in order.
std::vector<int> ChoosePatches(int count, uint64_t seed);

// Keeps what the self-attention layers of one run were given at the patches of the grid.
class PatchRecorder final : public AttentionListener {
 public:
  struct Layer {
    std::string path;
    int rows = 0, columns = 0;    // of the grid
    std::vector<float> features;  // (rows * columns, c)
  };
  void Attended(Context& ctx, const AttentionCall& call) override;
  const std::map<int, Layer>& Layers() const { return layers_; }  // by site

 private:
  std::map<int, Layer> layers_;
};

}  // namespace fovea
