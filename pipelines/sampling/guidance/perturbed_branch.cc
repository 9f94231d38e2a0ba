#include "pipelines/sampling/guidance/perturbed_branch.h"

#include "tensor/error.h"

namespace fovea {

PerturbedBranch MakePerturbedBranch(const std::string& list, const std::string& kind,
                                    const std::string& scope,
                                    std::span<const AttentionSite> sites) {
  PerturbedBranch branch;
  const PerturbKindChoice choice = ParsePerturbKind(kind);
  branch.attention.scope = ParsePerturbScope(scope);
  branch.attention.kind = choice.kind;
  branch.attention.sigma = choice.sigma;
  branch.attention.op = choice.op;
  const PerturbList parsed = PerturbList::Parse(list);
  std::vector<HeadPerturbation> heads = parsed.Resolve(sites);
  for (const HeadPerturbation& each : heads) {
    if (branch.first_site < 0 || each.site < branch.first_site) branch.first_site = each.site;
  }
  if (!choice.skip) {
    branch.attention.heads = std::move(heads);
    return branch;
  }
  if (branch.attention.scope != PerturbScope::kAll) {
    throw Error(ErrorCode::kUsage,
                "perturb-scope: whole blocks are skipped for text and image alike; leave it out");
  }
  for (const PerturbItem& item : parsed.Items()) {
    if (item.heads.empty() && (item.strength == 1 || item.strength == 0)) continue;
    throw Error(ErrorCode::kUsage, "perturb: \"" + item.Text() +
                                       "\": whole blocks are skipped; name the layer without heads "
                                       "and strength");
  }
  branch.skipped.assign(sites.size(), 0);
  for (const HeadPerturbation& each : heads) {
    branch.skipped[static_cast<size_t>(each.site)] = 1;
  }
  return branch;
}

}  // namespace fovea
