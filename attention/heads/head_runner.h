// How one operator runs on its heads of a call: the call cut into blocks that are handled alike,
// each run, perturbed, and told of.
//
// A block is neighbouring heads of neighbouring rows of the batch. Rows are alone where an operator
// needs a seed or a state of each; mixed heads (perturbation.h) need no block of their own. The
// runner keeps what operators prepared, by geometry, and what they remember, by site, heads, branch
// and picture. Engine thread only.
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "attention/attention_listener.h"
#include "attention/attention_use.h"

namespace fovea {

// What a row of the batch is.
struct BatchRow {
  BranchKind branch = BranchKind::kConditional;
  int order = 0;      // among rows of the same branch and picture, where nobody says whose they are
  int picture = 0;    // of the run
  uint64_t seed = 0;  // the picture's
};

struct SiteCall {
  Context& ctx;
  const AttentionSite& site;
  const AttentionSpec& spec;
  AttentionIo io;
  std::vector<BatchRow> rows;                       // of the batch
  std::vector<std::vector<HeadHandling>> handling;  // by row and head; empty, or a row's: plain
  int step = 0, steps = 1;
  int64_t draw = 0;
};

class HeadRunner {
 public:
  // Runs `choice` on its heads. The parts view the call and this.
  std::vector<AttentionPart> Run(const SiteCall& call, const ChosenHeads& choice);

 private:
  struct Block;
  void Cut(const SiteCall& call, const ChosenHeads& choice, std::vector<Block>& blocks) const;
  AttentionPart RunBlock(const SiteCall& call, const ChosenHeads& choice, const Block& block);
  void RunStandIn(const SiteCall& call, const Block& block, AttentionPart& part);
  void RunPrepared(const SiteCall& call, const Block& block, const BoundOp& op,
                   PreparedAttention& prepared, OperatorIo& io, bool stands_in);
  PreparedAttention& PreparedFor(const BoundOp& op, const AttentionSpec& spec);

  struct Prepared {
    AttentionSpec spec;
    std::unique_ptr<PreparedAttention> prepared;
  };
  std::map<const BoundOp*, std::vector<Prepared>> prepared_;
  // Site, first head, geometry (by what was prepared for it), branch, order, picture, whether it
  // stands in for another.
  using StateKey = std::tuple<int, int, const PreparedAttention*, BranchKind, int, int, bool>;
  std::map<StateKey, std::unique_ptr<OpState>> states_;
};

}  // namespace fovea
