// The probe that is always on: a few numbers of every head at every step, and whole calls where
// somebody asked for them.
//
// Tiers. Always: HeadScalars of every head, from a few sampled rows, and the mean log-sum-exp that
// the kernels leave anyway. Pinned: queries, keys and log-sum-exps of chosen layers and steps,
// within a budget of bytes; any row of theirs can be had later, exactly (KeptAttention). Anything
// else: replay the step (TextToImage::Replay) with a pin on it. Results of the run never change.
// Engine thread only; snapshots are immutable and may be read anywhere.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "attention/attention_listener.h"
#include "attention/probe/kept_attention.h"

namespace fovea {

// Of the rows that made a head's output, perturbed ones included. All NaN where the operator is no
// softmax over keys (agent, agentsd): its rows cost as much as the operator, so they are made on
// demand only.
struct HeadScalars {
  float entropy = 0;  // mean over sampled rows, nats
  float distance =
      0;           // mean distance to the keys on the grid, tokens; NaN without one of the queries'
  float text = 0;  // share of weight on text tokens
  float single = 0;  // on class and register tokens
  float lse = 0;     // mean of all queries' log-sum-exps; NaN where no softmax was evaluated
};

struct CallScalars {
  std::string path;
  SiteKind kind = SiteKind::kSelf;
  int site = 0;  // AttentionSite::index
  int step = 0;
  int samples = 0, heads = 0, queries = 0, keys = 0;
  std::vector<HeadScalars> values;  // (samples, heads)
};

struct ProbePin {
  std::string layers = "*";  // glob
  int first_step = 0, last_step = 0;
  KeepOptions keep = {};
};

struct ProbeSettings {
  // Rows that scalars are measured on: one of so many queries, at least `rows_at_least` of each
  // head. 0: no scalars.
  int rows_every = 256, rows_at_least = 1;
  std::vector<ProbePin> pins = {};
  size_t byte_budget = size_t{512} << 20;  // of what pins keep; the oldest are dropped above it
};

// Immutable once made.
struct ProbeSnapshot {
  std::vector<std::shared_ptr<const CallScalars>> calls;  // in order of execution
  size_t kept_bytes = 0;
  int dropped = 0;  // pinned calls that the budget had no room for
};

class AttentionProbe final : public AttentionListener {
 public:
  explicit AttentionProbe(ProbeSettings settings);

  void Attended(Context& ctx, const AttentionCall& call) override;
  // Forgets all calls: a new run begins.
  void Clear();
  void SetPins(std::vector<ProbePin> pins) { settings_.pins = std::move(pins); }

  std::shared_ptr<const ProbeSnapshot> Snapshot() const;
  // A pinned call that is still kept, else null.
  std::shared_ptr<const KeptAttention> Find(const std::string& path, int step) const;

 private:
  ProbeSettings settings_;
  std::vector<std::shared_ptr<const CallScalars>> calls_;
  std::deque<std::shared_ptr<const KeptAttention>> kept_;
  size_t kept_bytes_ = 0;
  int dropped_ = 0;
};

// The scalars of every sample and head of a call, from `rows_every` and `rows_at_least` as above.
CallScalars MeasureScalars(Context& ctx, const AttentionCall& call, int rows_every,
                           int rows_at_least);

}  // namespace fovea
