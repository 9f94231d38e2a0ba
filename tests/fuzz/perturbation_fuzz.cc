// Fuzzes lists of perturbed heads, alone and in files, and what they become on two models.
#include <cstdlib>

#include "pipelines/sampling/guidance/perturbed_branch.h"
#include "pipelines/settings/perturb_source.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  return {
      "11.15@0.5,13.[3-7],9",
      "u4/1.[0,2],d3,*.1",
      "m0/1.2, d0.*\n# all of them\n*",
      "0-2@0.25",
      "kind: blur:2.5\nscope: img-pure\nscale: 2.8\nsteps: 1%-20%\n7, 8, 9",
      "kind: op:window(grid=2x2)\n0",
      "kind: skip\nsteps: 3-5\n1",
  };
}

namespace {

std::vector<AttentionSite> Sites(bool unet) {
  std::vector<AttentionSite> sites;
  for (int i = 0; i < 6; ++i) {
    const std::string number = std::to_string(i / 2);
    const std::string part = i < 2 ? "down_blocks.0" : i < 4 ? "mid_block" : "up_blocks.0";
    const bool second = i % 2 == 1;
    sites.push_back({unet ? part + ".attentions.0.transformer_blocks.0.attn" + (second ? "2" : "1")
                          : "transformer_blocks." + number + (second ? ".attn2" : ".attn"),
                     i, unet && second ? SiteKind::kCross : SiteKind::kSelf, 4, 8,
                     GridLayout(4, 4)});
  }
  return sites;
}

}  // namespace
}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string text(reinterpret_cast<const char*>(data), size);
  RefusesOrReads([&] { ParsePerturbKind(text); });
  RefusesOrReads([&] {
    const PerturbList list = PerturbList::Parse(text);
    if (PerturbList::Parse(list.Text()).Text() != list.Text()) std::abort();
  });
  RefusesOrReads([&] {
    const PerturbSource source = ParsePerturbFile(text);
    for (const bool unet : {false, true}) {
      RefusesOrReads([&] {
        const PerturbedBranch branch =
            MakePerturbedBranch(source.list.Text(), source.kind.value_or("identity"),
                                source.scope.value_or("all"), Sites(unet));
        if (branch.first_site >= 6) std::abort();
      });
    }
  });
  return 0;
}
