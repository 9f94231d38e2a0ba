// What is done to chosen heads of one branch of guidance: the weaker network that others are led away
// from.
//
// Ahn et al., "Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance" (2024), and per
// head, with a strength: "Where and How to Perturb" (2025), arXiv:2506.10978. For a head with output O
//   O' = (1 - strength) O + strength T,   before the output projection,
// where T is named by PerturbKind. The scope says which rows change and what "identity" means there.
// O is what the head's own operator gives; T of blurred and mean queries is that operator's, too.
#pragma once

#include <limits>
#include <vector>

#include "attention/plan.h"

namespace fovea {

enum class PerturbKind : unsigned char {
  kIdentity,   // T = v, row by row
  kUniform,    // T = mean of v over all keys
  kZero,       // T = 0
  kMeanQuery,  // T = attention of the mean of all tokens' queries
  kBlur,       // T = attention of queries that a Gaussian blurs over the grid; other tokens keep theirs
  kOperator    // T = another operator's output
};

enum class PerturbScope : unsigned char {
  kAll,         // every row, text rows too
  kImagePure,   // rows of grid tokens alone; text rows stay as they are
  kImageRenorm  // the same rows; for kIdentity alone: T = softmax attention over itself and all text
};

struct HeadPerturbation {
  int site = 0;            // AttentionSite::index; self- or joint attention
  std::vector<int> heads;  // of the layer; empty: all of them
  float strength = 1;      // any finite number; 0 leaves the head as it is, to the last bit
};

struct Perturbation {
  PerturbKind kind = PerturbKind::kIdentity;
  PerturbScope scope = PerturbScope::kAll;
  double sigma = std::numeric_limits<double>::infinity();  // kBlur, in tokens; above 9999: the mean
  OperatorSpec op;                                         // kOperator
  std::vector<HeadPerturbation> heads;  // a head that is named twice has the later strength
};

}  // namespace fovea
