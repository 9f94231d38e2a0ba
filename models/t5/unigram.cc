#include "models/t5/unigram.h"

#include <algorithm>
#include <cstdio>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr double kUnknownPenalty = 10;

size_t CharacterBytes(char first) {
  const auto byte = static_cast<uint8_t>(first);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}

}  // namespace

Unigram::Unigram(const std::vector<UnigramPiece>& pieces, const Options& options,
                 const std::string& where)
    : options_(options), node_ids_(1, -1) {
  if (pieces.empty()) throw Error(ErrorCode::kBadFile, where + ": the vocabulary is empty");
  if (options.unknown < 0 || options.unknown >= static_cast<int64_t>(pieces.size())) {
    throw Error(ErrorCode::kBadFile, where + ": unk_id " + std::to_string(options.unknown) +
                                         " is not one of its " + std::to_string(pieces.size()) +
                                         " pieces");
  }
  double least = pieces[0].score;
  for (const UnigramPiece& piece : pieces) {
    const auto id = static_cast<int32_t>(scores_.size());
    scores_.push_back(piece.score);
    ids_[piece.text] = id;
    least = std::min(least, piece.score);
    uint64_t node = 0;
    for (const char c : piece.text) {
      const auto [child, fresh] = children_.try_emplace(node * 256 + static_cast<uint8_t>(c),
                                                        static_cast<uint32_t>(node_ids_.size()));
      if (fresh) node_ids_.push_back(-1);
      node = child->second;
    }
    if (node != 0) node_ids_[node] = id;
  }
  unknown_score_ = least - kUnknownPenalty;
}

void Unigram::Reach(Step& end, double score, size_t begin, int32_t id) const {
  if (end.begin != kNone && !(score > end.score)) return;
  end = {score, begin, id};
}

void Unigram::Encode(std::string_view word, std::vector<int32_t>& ids) const {
  std::vector<Step> ends(word.size() + 1);
  const auto unknown = static_cast<int32_t>(options_.unknown);
  for (size_t begin = 0; begin < word.size();) {
    const double score = ends[begin].score;
    const size_t single = std::min(CharacterBytes(word[begin]), word.size() - begin);
    bool has_single = false;
    uint64_t node = 0;
    for (size_t at = begin; at < word.size(); ++at) {
      const auto child = children_.find(node * 256 + static_cast<uint8_t>(word[at]));
      if (child == children_.end()) break;
      node = child->second;
      const int32_t id = node_ids_[node];
      if (id < 0) continue;
      Reach(ends[at + 1], score + scores_[static_cast<size_t>(id)], begin, id);
      has_single = has_single || at + 1 - begin == single;
    }
    if (!has_single) Reach(ends[begin + single], score + unknown_score_, begin, unknown);
    begin += single;
  }
  // From the end; unknown neighbours are one text.
  std::vector<std::string_view> parts;
  size_t unknown_end = kNone;
  for (size_t end = word.size(); end > 0; end = ends[end].begin) {
    const Step& step = ends[end];
    ENSURE(step.begin < end);
    if (step.id == unknown) {
      if (unknown_end == kNone) unknown_end = end;
      if (step.begin > 0 && ends[step.begin].id == unknown) continue;
      parts.push_back(word.substr(step.begin, unknown_end - step.begin));
      unknown_end = kNone;
    } else {
      parts.push_back(word.substr(step.begin, end - step.begin));
    }
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) Append(*part, ids);
}

void Unigram::Append(std::string_view text, std::vector<int32_t>& ids) const {
  if (const auto found = ids_.find(std::string(text)); found != ids_.end()) {
    ids.push_back(found->second);
    return;
  }
  const size_t count = ids.size();
  for (size_t i = 0; options_.byte_fallback && i < text.size(); ++i) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<uint8_t>(text[i]));
    const auto found = ids_.find(name);
    if (found == ids_.end()) {
      ids.resize(count);
      break;
    }
    ids.push_back(found->second);
  }
  if (ids.size() == count) ids.push_back(static_cast<int32_t>(options_.unknown));
}

}  // namespace fovea
