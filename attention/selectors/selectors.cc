#include "attention/selectors/selectors.h"

#include "attention/selectors/selected_attention.h"

namespace fovea {

const std::vector<const AttentionOp*>& SelectorOps() {
  static const auto ops = [] {
    std::vector<const AttentionOp*> made;
    for (const SelectorEntry* entry :
         {&kCombiner, &kRazor, &kSparsed, &kProbe, &kXattn, &kSparge, &kFlexPrefill, &kDraft,
          &kSvg2, &kSale, &kLongHeads, &kTokenSelect, &kAnchor, &kHip, &kPower, &kS2, &kRandom}) {
      static std::vector<std::unique_ptr<const AttentionOp>> owned;
      owned.push_back(SelectedAttention(*entry));
      made.push_back(owned.back().get());
    }
    return made;
  }();
  return ops;
}

}  // namespace fovea
