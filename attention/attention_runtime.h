// The single choke point through which every model's attention goes.
//
// One runtime serves one run: it resolves which operator each site and head uses at this step,
// prepares it once per geometry, runs it, and remembers what ran where. Used by the engine's thread
// only.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "attention/attention_listener.h"
#include "attention/attention_op.h"
#include "attention/plan.h"

namespace fovea {

// What one operator did at one site.
struct AttentionUse {
  std::string path;                        // of the site
  std::string op;                          // "clear(r=16)"
  std::string heads;                       // "0-3,5"; empty: all
  std::vector<std::pair<int, int>> steps;  // inclusive ranges
  double density = 1;                      // share of query-key pairs that are seen
  double visited = 1;                      // share that is computed
  std::string refusal;  // why a rule without a selector left this site dense; usually empty
};

class AttentionRuntime {
 public:
  AttentionRuntime() : AttentionRuntime(AttentionPlan(), {}, 1, {0}) {}
  // `sites` are the model's; they must outlive the runtime. `seeds`: one of each picture of the
  // batch, or one for all; a guided batch holds the pictures twice. Throws kUsage for an unknown
  // operator or argument, kUnsupported for a rule that matches no site, head or step of the run.
  AttentionRuntime(AttentionPlan plan, std::span<const AttentionSite> sites, int steps,
                   std::vector<uint64_t> seeds);
  ~AttentionRuntime();
  AttentionRuntime(const AttentionRuntime&) = delete;
  AttentionRuntime& operator=(const AttentionRuntime&) = delete;

  // Told of every call from now on, in this order; null ones are left out. Not during planning. The
  // listeners must outlive the runtime, or its last call.
  void SetListeners(const std::vector<AttentionListener*>& listeners);

  void BeginStep(int step, int steps);  // 0-based
  // Heads that no rule covers are dense, or keep the operator that the layer was trained with.
  // Throws kUnsupported, naming the site and the reason, where a rule with a selector refuses.
  void Attend(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
              const AttentionIo& io);
  const AttentionPlan& Plan() const { return plan_; }
  // What ran where so far, in order of execution; cross-attention only where it was swapped.
  // Empty without a plan.
  const std::vector<AttentionUse>& Report() const { return uses_; }

 private:
  struct Choice;
  Choice Choose(const PlanRule& rule, const AttentionSite& site, const AttentionSpec& spec,
                const OperatorSpec& own) const;
  std::vector<Choice> Resolve(const AttentionSite& site, const AttentionSpec& spec,
                              const OperatorSpec& own) const;
  void Tell(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
            const AttentionIo& io);
  void Run(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
           const AttentionIo& io, const Choice& choice);
  void RunHeads(Context& ctx, const AttentionSite& site, const AttentionSpec& spec,
                const AttentionIo& io, const Choice& choice);
  void CheckRules() const;
  int64_t DrawsBefore(int step) const;
  void Remember(const AttentionSite& site, const Choice& choice, const PreparedAttention& prepared);

  AttentionPlan plan_;
  std::span<const AttentionSite> sites_;
  int step_ = 0, steps_ = 1;
  std::vector<uint64_t> seeds_;
  int64_t draw_ = 0;  // of the next call that draws
  std::map<std::string, std::unique_ptr<PreparedAttention>> prepared_;  // by operator and geometry
  std::vector<AttentionUse> uses_;
  std::vector<AttentionListener*> listeners_;
  std::vector<AttentionPart> parts_;  // of the call that is running, if anyone listens
  std::vector<float> lse_;            // of that call
  int first_sample_ = 0;              // of the part of the batch that is running
};

}  // namespace fovea
