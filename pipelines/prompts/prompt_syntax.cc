#include "pipelines/prompts/prompt_syntax.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "models/files/json_text.h"

namespace fovea {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";
constexpr size_t kShown = 60;  // characters of a part

bool IsWordByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
}

bool IsNumber(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size();
}

class SyntaxFinder {
 public:
  explicit SyntaxFinder(std::string_view prompt) : prompt_(prompt) {}

  // Square brackets with a bar, or with a number behind their last colon.
  void FindBrackets() {
    struct Open {
      char bracket;
      size_t at;
      bool bar = false;
      size_t colon = std::string_view::npos;  // the last one
    };
    std::vector<Open> open;
    for (size_t i = 0; i < prompt_.size(); ++i) {
      const char c = prompt_[i];
      if (c == '\\') {
        ++i;  // escapes what follows
      } else if (c == '(' || c == '[') {
        open.push_back({c, i});
      } else if (!open.empty() && c == '|') {
        open.back().bar = true;
      } else if (!open.empty() && c == ':') {
        open.back().colon = i;
      } else if (!open.empty() && (c == ')' || c == ']')) {
        const Open last = open.back();
        if (last.bracket != (c == ')' ? '(' : '[')) continue;
        open.pop_back();
        if (c == ')') continue;
        if (last.bar) {
          Add(last.at, i + 1, "alternating words");
        } else if (last.colon != std::string_view::npos &&
                   IsNumber(prompt_.substr(last.colon + 1, i - last.colon - 1))) {
          Add(last.at, i + 1, "prompt editing");
        }
      }
    }
  }

  void FindAnd() {
    constexpr std::string_view kAnd = "AND";
    for (size_t at = 0; (at = prompt_.find(kAnd, at)) != std::string_view::npos; ++at) {
      const size_t end = at + kAnd.size();
      if ((at > 0 && IsWordByte(prompt_[at - 1])) ||
          (end < prompt_.size() && IsWordByte(prompt_[end]))) {
        continue;
      }
      Add(at, end, "several prompts at once");
      return;
    }
  }

  // What begins as a tag, closed or not.
  void FindTags() {
    for (size_t at = 0; (at = prompt_.find('<', at)) != std::string_view::npos; ++at) {
      size_t end = at + 1;
      while (end < prompt_.size() && IsWordByte(prompt_[end])) ++end;
      if (end == at + 1 || end == prompt_.size() || prompt_[end] != ':') continue;
      end = std::min(prompt_.find_first_of("> \t\r\n", end), prompt_.size());
      Add(at, std::min(end + 1, prompt_.size()), "a tag");
      at = end - 1;
    }
  }

  void FindEmbeddings() {
    constexpr std::string_view kName = "embedding:";
    for (size_t at = 0; (at = prompt_.find(kName, at)) != std::string_view::npos; ++at) {
      if (at > 0 && IsWordByte(prompt_[at - 1])) continue;
      const size_t end =
          std::min(prompt_.find_first_of(" \t\r\n,():", at + kName.size()), prompt_.size());
      if (end > at + kName.size()) Add(at, end, "an embedding");
    }
  }

  std::vector<std::string> Take() { return std::move(found_); }

 private:
  void Add(size_t begin, size_t end, const char* what) {
    const std::string text =
        Printable(prompt_.substr(begin, end - begin), kShown) + " (" + what + ")";
    if (std::find(found_.begin(), found_.end(), text) == found_.end()) found_.push_back(text);
  }

  std::string_view prompt_;
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> UnreadSyntax(std::string_view prompt, PromptWeights mode, bool negative) {
  if (mode == PromptWeights::kOff) return {};
  SyntaxFinder finder(prompt);
  if (mode == PromptWeights::kA1111) finder.FindBrackets();
  if (mode == PromptWeights::kA1111 && !negative) finder.FindAnd();
  finder.FindTags();
  finder.FindEmbeddings();
  return finder.Take();
}

}  // namespace fovea
