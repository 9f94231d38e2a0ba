// What is done to chosen heads of one branch of guidance: the weaker network that others are led
// away from.
//
// Ahn et al., "Self-Rectifying Diffusion Sampling with Perturbed-Attention Guidance" (2024),
// arXiv:2403.17377; per head, with a strength: "Where and How to Perturb" (2025), arXiv:2506.10978.
// For a head with output O
//   O' = (1 - strength) O + strength T,   before the output projection,
// where T is named by PerturbKind. The scope says which rows change and what "identity" means
// there. O is what the head's own operator gives; T of blurred and mean queries is that operator's,
// too. Queries are blurred as they reach the attention: after norms and rotations of queries, if
// any.
#pragma once

#include <limits>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "attention/attention_op.h"
#include "attention/heads/branch_layout.h"

namespace fovea {

enum class PerturbKind : unsigned char {
  kIdentity,   // T = v, row by row
  kUniform,    // T = mean of v over all keys
  kZero,       // T = 0
  kMeanQuery,  // T = attention of the mean of all tokens' queries
  kBlur,  // T = attention of queries that a Gaussian blurs over the grid; other tokens keep theirs
  kOperator  // T = another operator's output
};

enum class PerturbScope : unsigned char {
  kAll,         // every row, text rows too
  kImagePure,   // rows of grid tokens alone; text rows stay as they are
  kImageRenorm  // the same rows; for kIdentity alone: T = softmax attention over itself and all
                // text
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

// Where T is another attention's output, of which queries and by which operator.
struct StandIn {
  PerturbKind kind = PerturbKind::kOperator;
  double sigma = 0;                   // kBlur
  std::shared_ptr<const BoundOp> op;  // or null: the head's own
};

// What becomes of one head of one sample.
struct HeadHandling {
  HeadMix mix;                        // where there is no stand-in
  const StandIn* stand_in = nullptr;  // belongs to the PerturbedHeads that said so
  float share = 0;                    // of the stand-in: the strength
  RowRange rows;                      // of the stand-in
};

// The perturbations of all branches of a run.
class PerturbedHeads {
 public:
  // `sites` must outlive this.
  PerturbedHeads(std::span<const AttentionSite> sites, OperatorTable table)
      : sites_(sites), table_(table) {}

  // An empty perturbation takes an earlier one back. Throws kUsage (arguments that do not parse or
  // go together), kUnsupported (a site or head that the model lacks, cross-attention).
  void Set(BranchKind branch, const Perturbation& perturbation);
  bool Empty() const { return branches_.empty(); }
  // One for each head of spec, or none: no head of these rows is perturbed here. Throws
  // kUnsupported, naming the site, where the tokens do not allow it.
  std::vector<HeadHandling> At(BranchKind branch, const AttentionSite& site,
                               const AttentionSpec& spec) const;

 private:
  struct OfBranch {
    PerturbKind kind;
    PerturbScope scope;
    std::shared_ptr<const StandIn> stand_in;      // or null: a mix
    std::map<int, std::vector<float>> strengths;  // by site, of its heads
  };
  std::span<const AttentionSite> sites_;
  OperatorTable table_;
  std::map<BranchKind, OfBranch> branches_;
};

}  // namespace fovea
