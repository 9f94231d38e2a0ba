// Heads switched off: what a head put out is replaced before the output projection.
//
//   zero     nothing. Far from what the next layers ever saw, so it overstates what a head does
//   mean     its mean over many pictures, token by token
//   shuffle  what it put out for another picture
// Self- and joint-attention sites only.
#pragma once

#include <compare>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "attention/attention_listener.h"

namespace fovea {

enum class Ablation : uint8_t { kZero, kMean, kShuffle };
std::string_view Name(Ablation ablation);

struct HeadId {
  int site = 0;  // AttentionSite::index
  int head = 0;
  auto operator<=>(const HeadId&) const = default;
};

// Listens to one pass after another of a batch of one, and keeps what every head puts out.
class HeadOutputs final : public AttentionListener {
 public:
  void Attended(Context& ctx, const AttentionCall& call) override;

  struct Site {
    std::string path;
    int64_t tokens = 0, heads = 0, dim = 0;
    std::vector<std::vector<float>> passes;  // (tokens, heads, dim) each
    // Throws kUnsupported where passes have different numbers of tokens.
    std::vector<float> Mean() const;
  };
  const std::map<int, Site>& Sites() const { return sites_; }  // by AttentionSite::index
  std::vector<HeadId> Heads() const;

 private:
  std::map<int, Site> sites_;
};

// Replaces what `heads` put out in every pass that it listens to.
class HeadAblator final : public AttentionListener {
 public:
  // `outputs` must outlive it; `other`: the pass whose outputs kShuffle takes.
  HeadAblator(const HeadOutputs& outputs, Ablation ablation, std::vector<HeadId> heads);
  void SetOther(size_t pass) { other_ = pass; }
  void Attended(Context& ctx, const AttentionCall& call) override;

 private:
  const HeadOutputs& outputs_;
  Ablation ablation_;
  std::vector<HeadId> heads_;
  size_t other_ = 0;
  std::map<int, std::vector<float>> means_;  // of the sites of `heads_`
};

}  // namespace fovea
