// The single choke point through which every model's attention goes.
//
// One runtime serves one run: it resolves which operator each site and head uses at this step,
// prepares it once per geometry, runs it, does to perturbed heads what is to be done, keeps what
// operators remember, and knows what ran where. Used by the engine's thread only.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention/attention_listener.h"
#include "attention/attention_op.h"
#include "attention/attention_use.h"
#include "attention/heads/head_runner.h"
#include "attention/heads/perturbation.h"
#include "attention/plans/plan.h"

namespace fovea {

class AttentionRuntime {
 public:
  AttentionRuntime() : AttentionRuntime(AttentionPlan(), {}, 1, {0}) {}
  // `sites` are the model's; they must outlive the runtime, as `operators` must. `seeds`: one of
  // each picture of the batch, or one for all; a guided batch holds the pictures once for each
  // branch. Throws kUsage for an unknown operator or argument, kUnsupported for a rule that matches
  // no site, head or step of the run.
  AttentionRuntime(AttentionPlan plan, std::span<const AttentionSite> sites, int steps,
                   std::vector<uint64_t> seeds, OperatorTable operators = AttentionOps());
  ~AttentionRuntime();
  AttentionRuntime(const AttentionRuntime&) = delete;
  AttentionRuntime& operator=(const AttentionRuntime&) = delete;

  // Told of every call from now on, in this order; null ones are left out. Not during planning. The
  // listeners must outlive the runtime, or its last call.
  void SetListeners(const std::vector<AttentionListener*>& listeners);

  // 0-based. `branches`: whose rows the coming batches hold; a shorter batch holds the first of
  // them. Empty: each row is of the prompt's branch, or, where there are more rows than seeds, of
  // one of its own.
  void BeginStep(int step, int steps, BranchLayout branches = {});
  // Perturbs heads of a branch from now on; an empty perturbation takes it back. Throws kUsage and
  // kUnsupported as PerturbedHeads::Set; what depends on the tokens' number and layout is refused
  // by Attend. Rows of other branches keep their bytes.
  void SetPerturbation(BranchKind branch, const Perturbation& perturbation);

  // Heads that no rule covers keep the operator that the layer was trained with. Throws
  // kUnsupported, naming the site and the reason, where a rule with a selector or a perturbation
  // refuses.
  void Attend(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
              const AttentionIo& io);

  const AttentionPlan& Plan() const { return plan_; }
  // The steps from which on calls cost something else than before, 0 included: one dry run each.
  std::vector<int> StepsOfChange() const;
  // Whether some rule's operator remembers earlier steps: one step alone is then not what ran.
  bool Remembers() const;
  // What ran where so far, in order of execution; cross-attention only where it was swapped.
  // Empty without a plan.
  const std::vector<AttentionUse>& Report() const { return uses_.Uses(); }

 private:
  using Bound = std::shared_ptr<const BoundOp>;
  struct Rule {
    const PlanRule* text;
    Bound op, otherwise;  // otherwise: or null
  };

  Bound BoundFor(const OperatorSpec& op);
  void BindRules();
  static bool Covers(const Rule& rule, const AttentionSite& site);
  ChosenHeads Choose(const Rule& rule, const AttentionSite& site, const AttentionSpec& spec,
                     const Bound& own) const;
  std::vector<ChosenHeads> Resolve(const AttentionSite& site, const AttentionSpec& spec,
                                   const Bound& own) const;
  int64_t DrawsBefore(int step) const;
  BatchRow RowOf(int row, int batch) const;

  AttentionPlan plan_;
  std::span<const AttentionSite> sites_;
  int step_ = 0, steps_ = 1;
  std::vector<uint64_t> seeds_;
  OperatorTable operators_;
  std::map<std::string, Bound> bound_;  // by text
  std::vector<Rule> rules_;
  int64_t draw_ = 0;  // of the next call that draws
  PerturbedHeads perturbed_;
  BranchLayout branches_;
  HeadRunner runner_;
  UseReport uses_;
  std::vector<AttentionListener*> listeners_;
  std::vector<AttentionPart> parts_;  // of the call that is running, if anyone listens
  std::vector<float> lse_;            // of that call
};

}  // namespace fovea
