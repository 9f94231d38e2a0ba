#include "pipelines/generation/provenance.h"

#include "pipelines/metadata/attention_report.h"
#include "tensor/machine/instruction_set.h"
#include "tensor/machine/threads.h"

namespace fovea {

Provenance HereAndNow(const std::string& version) {
  Provenance here;
  here.version = version;
  here.instruction_set = InstructionSetName();
  here.threads = NumThreads();
  return here;
}

Provenance ProvenanceOf(const Generated& generated, const Provenance& here) {
  Provenance ran = here;
  ran.numbers = generated.numbers;
  ran.sampler = generated.sampler;
  ran.schedule = generated.schedule;
  ran.attention = GroupUses(generated.attention);
  ran.hires = generated.hires;
  return ran;
}

}  // namespace fovea
