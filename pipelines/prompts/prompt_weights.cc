#include "pipelines/prompts/prompt_weights.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

#include "tensor/error.h"

namespace fovea {
namespace {

constexpr double kStep = 1.1;

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\f\v";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// A finite number and nothing else, blanks around it allowed.
std::optional<double> Number(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return std::nullopt;
  }
  return value;
}

bool IsWordByte(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || (c & 0x80) != 0;
}

class A1111Reader {
 public:
  std::vector<WeightedText> Read(std::string_view prompt) {
    for (size_t i = 0; i < prompt.size();) i += Token(prompt.substr(i));
    FlushText();
    // Brackets that stay open hold for the rest.
    while (!round_.empty()) Close(round_, kStep);
    while (!square_.empty()) Close(square_, 1 / kStep);
    if (pieces_.empty()) pieces_.push_back({});
    return Merged();
  }

 private:
  // Handles what stands first; returns its length.
  size_t Token(std::string_view rest) {
    const char c = rest[0];
    if (c == '\\') {
      FlushText();
      const bool escapes =
          rest.size() > 1 && std::string_view("()[]\\").find(rest[1]) != std::string_view::npos;
      if (escapes) pieces_.push_back({std::string(1, rest[1])});
      return escapes ? 2 : 1;  // a lone backslash vanishes
    }
    if (c == '(' || c == '[') {
      FlushText();
      (c == '(' ? round_ : square_).push_back(pieces_.size());
      return 1;
    }
    if (c == ')' && !round_.empty()) {
      Close(round_, kStep);
      return 1;
    }
    if (c == ']' && !square_.empty()) {
      Close(square_, 1 / kStep);
      return 1;
    }
    if (c == ':' && !round_.empty()) {
      // A number and the bracket that closes.
      const size_t end = rest.find_first_not_of("+-.0123456789 \t\r\n\f\v", 1);
      if (end != std::string_view::npos && rest[end] == ')') {
        if (const auto weight = Number(rest.substr(1, end - 1))) {
          Close(round_, *weight);
          return end + 1;
        }
      }
    }
    text_ += c;
    return 1;
  }

  void Close(std::vector<size_t>& open, double factor) {
    FlushText();
    for (size_t i = open.back(); i < pieces_.size(); ++i) pieces_[i].weight *= factor;
    open.pop_back();
  }

  void FlushText() {
    constexpr std::string_view kBreak = "BREAK";
    std::string_view rest = text_;
    for (size_t from = 0; !text_.empty();) {
      const size_t at = rest.find(kBreak, from);
      if (at == std::string_view::npos) break;
      const size_t end = at + kBreak.size();
      const bool word =
          (at == 0 || !IsWordByte(rest[at - 1])) && (end == rest.size() || !IsWordByte(rest[end]));
      if (!word) {
        from = at + 1;
        continue;
      }
      const std::string_view before = rest.substr(0, at);
      pieces_.push_back(
          {std::string(before.substr(0, before.find_last_not_of(" \t\r\n\f\v") + 1))});
      pieces_.push_back({"", 1, true});
      rest.remove_prefix(end);
      rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n\f\v"), rest.size()));
      from = 0;
    }
    if (!rest.empty()) pieces_.push_back({std::string(rest)});
    text_.clear();
  }

  std::vector<WeightedText> Merged() {
    std::vector<WeightedText> merged;
    for (WeightedText& piece : pieces_) {
      if (!merged.empty() && !merged.back().breaks && !piece.breaks &&
          merged.back().weight == piece.weight) {
        merged.back().text += piece.text;
      } else {
        merged.push_back(std::move(piece));
      }
    }
    return merged;
  }

  std::vector<WeightedText> pieces_;
  std::vector<size_t> round_, square_;  // pieces at which open brackets began
  std::string text_;                    // not yet a piece
};

// The top-level parts of `text`: "(...)" with what is in it, and what stands between.
std::vector<std::string_view> SplitParentheses(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  int64_t depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') {
      if (depth == 0 && i > begin) parts.push_back(text.substr(begin, i - begin));
      if (depth == 0) begin = i;
      ++depth;
    } else if (text[i] == ')') {
      if (--depth == 0) {
        parts.push_back(text.substr(begin, i + 1 - begin));
        begin = i + 1;
      }
    }
  }
  if (begin < text.size()) parts.push_back(text.substr(begin));
  return parts;
}

void ReplaceAll(std::string* text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += to.size()) {
    text->replace(at, from.size(), to);
  }
}

std::vector<WeightedText> ReadComfy(std::string_view prompt) {
  // Bytes that no prompt holds stand for escaped parentheses meanwhile.
  std::string escaped(prompt);
  ReplaceAll(&escaped, "\\)", "\x01");
  ReplaceAll(&escaped, "\\(", "\x02");
  struct Part {
    std::string_view text;
    double weight;
    bool whole;  // to be split
  };
  std::vector<WeightedText> pieces;
  std::vector<Part> stack{{escaped, 1, true}};
  while (!stack.empty()) {
    Part part = stack.back();
    stack.pop_back();
    if (part.whole) {
      const auto parts = SplitParentheses(part.text);
      for (size_t i = parts.size(); i-- > 0;) stack.push_back({parts[i], part.weight, false});
      continue;
    }
    if (part.text.size() < 2 || part.text.front() != '(' || part.text.back() != ')') {
      std::string text(part.text);
      ReplaceAll(&text, "\x01", ")");
      ReplaceAll(&text, "\x02", "(");
      pieces.push_back({std::move(text), part.weight});
      continue;
    }
    std::string_view inside = part.text.substr(1, part.text.size() - 2);
    double weight = part.weight * kStep;
    const size_t colon = inside.rfind(':');
    if (colon != std::string_view::npos && colon > 0) {
      if (const auto given = Number(inside.substr(colon + 1))) {
        weight = *given;
        inside = inside.substr(0, colon);
      }
    }
    stack.push_back({inside, weight, true});
  }
  return pieces;
}

}  // namespace

std::vector<WeightedText> ParsePrompt(std::string_view prompt, PromptWeights mode) {
  switch (mode) {
    case PromptWeights::kA1111:
      return A1111Reader().Read(prompt);
    case PromptWeights::kComfy:
      return ReadComfy(prompt);
    case PromptWeights::kOff:
      break;
  }
  return {{std::string(prompt)}};
}

}  // namespace fovea
