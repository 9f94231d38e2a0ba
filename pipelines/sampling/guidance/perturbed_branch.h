// The perturbed branch of a run: what settings ask of it, for one model's layers.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "attention/attention_site.h"
#include "attention/heads/perturbation_list.h"

namespace fovea {

struct PerturbedBranch {
  Perturbation attention;              // of the branch's rows; no heads if blocks are skipped
  std::vector<unsigned char> skipped;  // RowSplit::skipped
  // AttentionSite::index of the first layer where the branch differs from the prompt's; -1: it
  // differs nowhere, and need not be asked.
  int first_site = -1;

  bool Empty() const { return first_site < 0; }
};

// `list`, `kind` and `scope` as attention/heads/perturbation_list.h. Throws kUsage for texts that
// do not parse, kUnsupported for what this model lacks.
PerturbedBranch MakePerturbedBranch(const std::string& list, const std::string& kind,
                                    const std::string& scope, std::span<const AttentionSite> sites);

}  // namespace fovea
