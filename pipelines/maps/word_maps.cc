#include "pipelines/maps/word_maps.h"

#include <algorithm>

#include "attention/probe/call_matrix.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

std::vector<std::string> Texts(const std::vector<PromptWord>& words) {
  std::vector<std::string> texts;
  for (const PromptWord& word : words) texts.push_back(word.text);
  return texts;
}

// Keys of the text tokens, in order.
std::vector<int32_t> TextKeys(const TokenLayout& layout) {
  std::vector<int32_t> keys;
  for (const Segment& segment : layout) {
    if (segment.kind != SegmentKind::kText) continue;
    for (int i = 0; i < segment.length; ++i) keys.push_back(segment.begin + i);
  }
  return keys;
}

}  // namespace

WordMaps::WordMaps(std::vector<PromptWord> words, std::vector<int> prompt, bool among_words,
                   const MapSelection& selection)
    : words_(std::move(words)),
      prompt_(std::move(prompt)),
      among_words_(among_words),
      selection_(selection),
      sums_("words", Texts(words_), selection) {}

void WordMaps::Attended(Context& ctx, const AttentionCall& call) {
  const Segment* grid = GridOfLayout(call.spec.q);
  if (call.site.kind == SiteKind::kSelf || grid == nullptr || !selection_.Has(call)) return;
  const std::vector<int32_t> keys = TextKeys(call.spec.kv);
  if (keys.empty()) return;
  const std::vector<int> heads = selection_.HeadsOf(call);
  const auto matrix = MatrixOf(ctx, call);
  const auto tokens = static_cast<size_t>(grid->length);
  std::vector<std::vector<float>> columns(heads.size());  // (queries, keys) each
  ParallelFor(static_cast<int64_t>(heads.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      auto& own = columns[static_cast<size_t>(i)];
      own.resize(static_cast<size_t>(matrix->Queries()) * keys.size());
      matrix->Columns(PromptRow(call), heads[static_cast<size_t>(i)], keys, own.data());
    }
  });
  std::vector<float> map(tokens), divisor(tokens, 1.0f);
  for (size_t i = 0; i < heads.size(); ++i) {
    const float* rows = columns[i].data() + static_cast<size_t>(grid->begin) * keys.size();
    double in_words = 0, in_text = 0;
    for (size_t t = 0; t < tokens; ++t) {
      const float* row = rows + t * keys.size();
      double of_prompt = 0;
      for (const int position : prompt_) {
        if (static_cast<size_t>(position) < keys.size()) {
          of_prompt += static_cast<double>(row[position]);
        }
      }
      for (size_t j = 0; j < keys.size(); ++j) in_text += static_cast<double>(row[j]);
      in_words += of_prompt;
      if (among_words_) divisor[t] = static_cast<float>(std::max(of_prompt, 1e-12));
    }
    words_sum_ += in_words / static_cast<double>(tokens);
    text_sum_ += in_text / static_cast<double>(tokens);
    ++heads_;
    for (size_t w = 0; w < words_.size(); ++w) {
      const std::vector<int>& positions = words_[w].positions;
      for (size_t part = 0; part < positions.size(); ++part) {
        const auto position = static_cast<size_t>(positions[part]);
        ENSURE(position < keys.size(), call.site.path);
        for (size_t t = 0; t < tokens; ++t) map[t] = rows[t * keys.size() + position] / divisor[t];
        sums_.Add(w, call, heads[i], grid->grid[1], grid->grid[2], map, static_cast<int>(part));
      }
    }
  }
}

TextShares WordMaps::Shares() const {
  if (heads_ == 0) return {};
  const auto count = static_cast<double>(heads_);
  return {words_sum_ / count, (text_sum_ - words_sum_) / count, 1 - text_sum_ / count};
}

}  // namespace fovea
