#include "models/clip/byte_pairs.h"

#include <queue>

#include "models/clip/unicode_text.h"
#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

uint64_t Key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

bool Prints(int byte) {
  return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr size_t kSymbols = 256 + 68;  // 68 bytes do not print

struct SymbolTables {
  std::array<char32_t, 256> symbol{};
  std::array<int16_t, kSymbols> byte{};
  SymbolTables() {
    byte.fill(-1);
    char32_t next = 256;
    for (int b = 0; b < 256; ++b) {
      symbol[b] = Prints(b) ? static_cast<char32_t>(b) : next++;
      byte[symbol[b]] = static_cast<int16_t>(b);
    }
  }
};

const SymbolTables& Tables() {
  static const SymbolTables tables;
  return tables;
}

// A doubly linked list in an array; id < 0: merged into its left neighbour.
struct Symbol {
  int32_t id, previous, next;
};

struct Candidate {
  int32_t rank, position, result;
  // Lowest rank first, then leftmost.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : position > other.position;
  }
};

}  // namespace

char32_t ByteSymbol(uint8_t byte) {
  return Tables().symbol[byte];
}

int SymbolByte(char32_t symbol) {
  return symbol < kSymbols ? Tables().byte[symbol] : -1;
}

BytePairs::BytePairs(const Vocabulary& vocabulary,
                     const std::vector<std::pair<std::string, std::string>>& merges,
                     const Options& options, const std::string& where)
    : fuse_unknown_(options.fuse_unknown) {
  const auto find = [&vocabulary](const std::string& token) {
    const auto found = vocabulary.find(token);
    return found == vocabulary.end() ? -1 : found->second;
  };
  const auto need = [&](const std::string& token, const char* what) {
    const int32_t id = find(token);
    if (id < 0) {
      throw Error(ErrorCode::kBadFile,
                  where + ": " + what + " " + Printable(token, 60) + " is not in the vocabulary");
    }
    return id;
  };
  bool complete = true;
  for (int byte = 0; byte < 256; ++byte) {
    std::string symbol;
    unicode::AppendUtf8(ByteSymbol(static_cast<uint8_t>(byte)), symbol);
    inner_[byte] = find(symbol);
    last_[byte] = find(symbol + options.end_of_word);
    complete = complete && inner_[byte] >= 0 && last_[byte] >= 0;
  }
  if (!complete && !options.unknown_token.empty()) {
    unknown_ = need(options.unknown_token, "the unknown token");
  }
  merges_.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    const uint64_t key = Key(need(left, "merge of"), need(right, "merge of"));
    merges_[key] = {static_cast<int32_t>(rank), need(left + right, "merge into")};
  }
  if (!options.whole_words) return;
  for (const auto& [token, id] : vocabulary) {
    std::string bytes;
    bool spelled = true;
    for (const char32_t symbol : unicode::Decode(token)) {
      const int byte = SymbolByte(symbol);
      spelled = spelled && byte >= 0;
      bytes.push_back(static_cast<char>(byte));
    }
    if (spelled) words_[bytes] = id;
  }
}

void BytePairs::Encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.empty()) return;
  if (const auto whole = words_.find(std::string(word)); whole != words_.end()) {
    ids.push_back(whole->second);
    return;
  }
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  bool unknown_before = false;
  for (size_t i = 0; i < word.size(); ++i) {
    const auto byte = static_cast<uint8_t>(word[i]);
    const int32_t id = i + 1 == word.size() ? last_[byte] : inner_[byte];
    const bool unknown = id < 0;
    if (unknown && (unknown_ < 0 || (fuse_unknown_ && unknown_before))) continue;
    const auto index = static_cast<int32_t>(symbols.size());
    symbols.push_back({unknown ? unknown_ : id, index - 1, index + 1});
    unknown_before = unknown;
  }
  const auto size = static_cast<int32_t>(symbols.size());

  std::vector<Candidate> initial;
  const auto candidate = [&](int32_t left, int32_t right, auto&& add) {
    const auto found = merges_.find(Key(symbols[left].id, symbols[right].id));
    if (found != merges_.end()) add(Candidate{found->second.rank, left, found->second.result});
  };
  for (int32_t i = 0; i + 1 < size; ++i) {
    candidate(i, i + 1, [&](const Candidate& c) { initial.push_back(c); });
  }
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(initial));
  const auto push = [&](const Candidate& c) { queue.push(c); };
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.position];
    if (left.id < 0 || left.next >= size) continue;
    const int32_t next = left.next;
    // The pair may have changed since it was queued; what counts is that it still gives this
    // result.
    const auto found = merges_.find(Key(left.id, symbols[next].id));
    if (found == merges_.end() || found->second.result != best.result) continue;
    left.id = best.result;
    left.next = symbols[next].next;
    symbols[next].id = -1;
    if (left.next < size) symbols[left.next].previous = best.position;
    if (left.previous >= 0) candidate(left.previous, best.position, push);
    if (left.next < size) candidate(best.position, left.next, push);
  }
  for (int32_t i = 0; i < size; i = symbols[i].next) ids.push_back(symbols[i].id);
}

}  // namespace fovea
