// Where the picture reads each word of the prompt: DAAM, for cross- and for joint attention.
//
// Tang et al., "What the DAAM: Interpreting Stable Diffusion Using Cross Attention" (2022),
// arXiv:2210.04885. The weight that image tokens give to each of a word's tokens, summed up as
// map_sums.h says, which averages the tokens last; of the prompt's half of a guided batch. Exact
// for every operator.
#pragma once

#include <memory>
#include <vector>

#include "pipelines/maps/map_sums.h"
#include "pipelines/maps/prompt_words.h"

namespace fovea {

// Mean weight of the image's queries on kinds of tokens: what the maps leave out.
struct TextShares {
  double words = 0;     // all tokens of the prompt
  double specials = 0;  // start, end and padding
  double image = 0;     // joint attention: on image tokens
};

class WordMaps final : public AttentionListener {
 public:
  // `prompt`: positions of all the prompt's tokens. `among_words`: each query's weights on these
  // are made to sum to 1 first, which takes out what start and padding soak up.
  WordMaps(std::vector<PromptWord> words, std::vector<int> prompt, bool among_words,
           const MapSelection& selection);

  void Attended(Context& ctx, const AttentionCall& call) override;
  std::vector<AttentionMap> Finish() const { return sums_.Finish(true); }
  bool Empty() const { return sums_.Empty(); }
  TextShares Shares() const;

 private:
  std::vector<PromptWord> words_;
  std::vector<int> prompt_;
  bool among_words_;
  MapSelection selection_;
  MapSums sums_;
  double words_sum_ = 0, text_sum_ = 0;
  int64_t heads_ = 0;
};

}  // namespace fovea
