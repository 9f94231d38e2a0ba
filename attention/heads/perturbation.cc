#include "attention/heads/perturbation.h"

#include <algorithm>
#include <cmath>

#include "attention/ops/local_attention.h"
#include "attention/ops/self_and_text.h"

namespace fovea {
namespace {

[[noreturn]] void Fail(ErrorCode code, const std::string& what) {
  throw Error(code, "perturbation: " + what);
}

std::shared_ptr<const StandIn> StandInOf(const Perturbation& perturbation, OperatorTable table) {
  StandIn stand_in{perturbation.kind, perturbation.sigma, nullptr};
  switch (perturbation.kind) {
    case PerturbKind::kIdentity:
      if (perturbation.scope != PerturbScope::kImageRenorm) return nullptr;
      stand_in.kind = PerturbKind::kOperator;
      stand_in.op = SelfAndTextAttention().Bind({});
      break;
    case PerturbKind::kUniform:
    case PerturbKind::kZero:
      return nullptr;
    case PerturbKind::kMeanQuery:
      break;
    case PerturbKind::kBlur:
      if (!(perturbation.sigma > 0)) Fail(ErrorCode::kUsage, "sigma of a blur must be positive");
      break;
    case PerturbKind::kOperator:
      stand_in.op = BindOperator(perturbation.op, table);
      if (stand_in.op->Traits().draws) {
        Fail(ErrorCode::kUsage, stand_in.op->Text() +
                                    " draws in the order of a plan's calls, which a perturbation "
                                    "has no place in; fix what it draws");
      }
      break;
  }
  return std::make_shared<StandIn>(std::move(stand_in));
}

HeadMix MixOf(PerturbKind kind, float strength) {
  const float rest = 1 - strength;
  if (kind == PerturbKind::kIdentity) return {rest, strength, 0};
  if (kind == PerturbKind::kUniform) return {rest, 0, strength};
  return {rest, 0, 0};
}

}  // namespace

void PerturbedHeads::Set(BranchKind branch, const Perturbation& perturbation) {
  if (perturbation.scope == PerturbScope::kImageRenorm &&
      perturbation.kind != PerturbKind::kIdentity) {
    Fail(ErrorCode::kUsage, "scope img-renorm is for kind identity; take img-pure");
  }
  OfBranch made{perturbation.kind, perturbation.scope, StandInOf(perturbation, table_), {}};
  for (const HeadPerturbation& item : perturbation.heads) {
    if (!std::isfinite(item.strength))
      Fail(ErrorCode::kUsage, "a strength must be a finite number");
    const auto site = std::find_if(sites_.begin(), sites_.end(), [&](const AttentionSite& each) {
      return each.index == item.site;
    });
    if (site == sites_.end()) {
      Fail(ErrorCode::kUnsupported,
           "this model has no attention layer " + std::to_string(item.site));
    }
    if (site->kind == SiteKind::kCross) {
      Fail(ErrorCode::kUnsupported,
           site->path +
               " is cross-attention, whose values are not those of its queries' tokens; "
               "choose a self- or joint attention layer");
    }
    std::vector<float>& strengths = made.strengths[item.site];
    strengths.resize(static_cast<size_t>(site->heads));
    if (item.heads.empty()) std::fill(strengths.begin(), strengths.end(), item.strength);
    for (const int head : item.heads) {
      if (head < 0 || head >= site->heads) {
        Fail(ErrorCode::kUnsupported, site->path + " has heads 0 to " +
                                          std::to_string(site->heads - 1) + ", not " +
                                          std::to_string(head));
      }
      strengths[static_cast<size_t>(head)] = item.strength;
    }
  }
  if (made.strengths.empty()) {
    branches_.erase(branch);
  } else {
    branches_.insert_or_assign(branch, std::move(made));
  }
}

std::vector<HeadHandling> PerturbedHeads::At(BranchKind branch, const AttentionSite& site,
                                             const AttentionSpec& spec) const {
  const auto found = branches_.find(branch);
  if (found == branches_.end()) return {};
  const OfBranch& own = found->second;
  const auto strengths = own.strengths.find(site.index);
  if (strengths == own.strengths.end()) return {};
  const Segment* grid = GridSegment(spec.q);
  if (!SameLayout(spec.q, spec.kv)) {
    Fail(ErrorCode::kUnsupported, site.path + ": its values are not those of its queries' tokens");
  }
  if (grid == nullptr && (own.scope != PerturbScope::kAll || own.kind == PerturbKind::kBlur)) {
    Fail(ErrorCode::kUnsupported,
         site.path + ": its tokens are no grid; take scope all and a kind that needs none");
  }
  RowRange rows;
  if (own.scope != PerturbScope::kAll) rows = {grid->begin, grid->begin + grid->length};
  std::vector<HeadHandling> handling;
  for (const float strength : strengths->second) {
    HeadHandling& head = handling.emplace_back();
    if (strength == 0) continue;
    if (own.stand_in != nullptr) {
      head.stand_in = own.stand_in.get();
      head.share = strength;
      head.rows = rows;
    } else {
      head.mix = MixOf(own.kind, strength);
      head.mix.rows = rows;
    }
  }
  ENSURE(static_cast<int>(handling.size()) == spec.heads, site.path);
  return handling;
}

}  // namespace fovea
