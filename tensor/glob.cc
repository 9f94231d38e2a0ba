#include "tensor/glob.h"

#include <charconv>
#include <cstdint>
#include <optional>

#include "tensor/error.h"

namespace fovea {
namespace {

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

struct NumberRange {
  int64_t low = 0, high = 0;
  size_t length = 0;  // of its text, brackets included
};

// "[4-20]" or "[7]" at the start of `text`.
std::optional<NumberRange> ParseRange(std::string_view text) {
  const size_t close = text.find(']');
  if (text.empty() || text[0] != '[' || close == std::string_view::npos) return std::nullopt;
  NumberRange range;
  range.length = close + 1;
  const char *at = text.data() + 1, *end = text.data() + close;
  auto parsed = std::from_chars(at, end, range.low);
  if (parsed.ec != std::errc()) return std::nullopt;
  range.high = range.low;
  if (parsed.ptr != end) {
    if (*parsed.ptr != '-') return std::nullopt;
    parsed = std::from_chars(parsed.ptr + 1, end, range.high);
    if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  }
  return range;
}

// Matches one element of the glob that is not "*" at both positions, and moves them on.
bool MatchOne(std::string_view glob, size_t* g, std::string_view path, size_t* p) {
  if (const auto range = ParseRange(glob.substr(*g))) {
    size_t end = *p;
    while (end < path.size() && IsDigit(path[end])) ++end;
    const bool whole = end > *p && (*p == 0 || !IsDigit(path[*p - 1]));
    int64_t value = 0;
    if (!whole || std::from_chars(path.data() + *p, path.data() + end, value).ec != std::errc() ||
        value < range->low || value > range->high) {
      return false;
    }
    *g += range->length;
    *p = end;
    return true;
  }
  if (*p >= path.size() || glob[*g] != path[*p]) return false;
  ++*g, ++*p;
  return true;
}

}  // namespace

bool MatchGlob(std::string_view glob, std::string_view path) {
  size_t g = 0, p = 0, star = std::string_view::npos, star_path = 0;
  while (p < path.size() || g < glob.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_path = p;
      continue;
    }
    if (g < glob.size() && MatchOne(glob, &g, path, &p)) continue;
    if (star == std::string_view::npos || star_path >= path.size()) return false;
    g = star + 1;  // the last star takes one character more
    p = ++star_path;
  }
  return true;
}

std::vector<std::string> ExpandBraces(std::string_view glob) {
  constexpr size_t kMost = 256;
  std::vector<std::string> all{""};
  while (!glob.empty()) {
    const size_t open = glob.find_first_of("{}");
    for (std::string& text : all) text += glob.substr(0, open);
    if (open == std::string_view::npos) break;
    const size_t close = glob.find('}', open);
    if (glob[open] == '}' || close == std::string_view::npos ||
        glob.substr(open + 1, close - open - 1).find('{') != std::string_view::npos) {
      throw Error(ErrorCode::kUsage, "plan: braces do not pair in \"" + std::string(glob) + "\"");
    }
    std::vector<std::string> next;
    std::string_view rest = glob.substr(open + 1, close - open - 1);
    for (bool more = true; more;) {
      const size_t comma = rest.find(',');
      for (const std::string& text : all) next.push_back(text + std::string(rest.substr(0, comma)));
      if (next.size() > kMost) {
        throw Error(ErrorCode::kUsage,
                    "plan: more than " + std::to_string(kMost) + " alternatives in braces");
      }
      more = comma != std::string_view::npos;
      if (more) rest.remove_prefix(comma + 1);
    }
    all = std::move(next);
    glob.remove_prefix(close + 1);
  }
  return all;
}

}  // namespace fovea
