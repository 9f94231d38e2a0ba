#include "models/clip/added_tokens.h"

#include <algorithm>

#include "models/clip/unicode_text.h"

namespace fovea {

void TokenFinder::Add(const AddedToken& token, const std::u32string& pattern) {
  if (pattern.empty()) return;
  std::vector<Entry>& entries = by_first_[pattern[0]];
  const auto shorter = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.pattern.size() < pattern.size();
  });
  entries.insert(shorter, {pattern, token});
}

const TokenFinder::Entry* TokenFinder::Match(std::u32string_view text) const {
  const auto entries = by_first_.find(text[0]);
  if (entries == by_first_.end()) return nullptr;
  for (const Entry& entry : entries->second) {
    if (text.substr(0, entry.pattern.size()) == entry.pattern) return &entry;
  }
  return nullptr;
}

std::vector<TextPart> TokenFinder::Cut(std::u32string_view text) const {
  std::vector<TextPart> parts;
  size_t done = 0;  // everything before it is in `parts`
  for (size_t at = 0; at < text.size();) {
    const Entry* entry = by_first_.empty() ? nullptr : Match(text.substr(at));
    if (entry == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = at + entry->pattern.size();
    at = end;
    const AddedToken& token = entry->token;
    if (token.single_word && ((begin > 0 && unicode::IsWord(text[begin - 1])) ||
                              (end < text.size() && unicode::IsWord(text[end])))) {
      continue;
    }
    while (token.left_strip && begin > done && unicode::IsSpace(text[begin - 1])) --begin;
    while (token.right_strip && end < text.size() && unicode::IsSpace(text[end])) ++end;
    if (begin > done) parts.push_back({text.substr(done, begin - done), std::nullopt});
    parts.push_back({text.substr(begin, end - begin), token.id});
    done = std::max(done, end);
  }
  if (done < text.size()) parts.push_back({text.substr(done), std::nullopt});
  return parts;
}

}  // namespace fovea
