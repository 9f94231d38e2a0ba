#include "pipelines/prompts/prompt_windows.h"

#include <algorithm>

#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

struct Token {
  int32_t id;
  double weight;
};

// Fills windows one after the other.
class Filler {
 public:
  Filler(const ClipTokenizer& tokenizer, int length, PromptWindows* out)
      : tokenizer_(tokenizer), out_(*out), room_(static_cast<size_t>(length) - 2) {}

  size_t Left() const { return room_ - tokens_.size(); }
  size_t Size() const { return tokens_.size(); }
  void Add(const Token& token) { tokens_.push_back(token); }
  // Takes the tokens from `first` on away again.
  std::vector<Token> TakeFrom(size_t first) {
    const auto at = tokens_.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<Token> taken(at, tokens_.end());
    tokens_.erase(at, tokens_.end());
    return taken;
  }

  void Finish() {
    out_.ids.push_back(tokenizer_.Start());
    out_.weights.push_back(1);
    for (const Token& token : tokens_) {
      out_.ids.push_back(token.id);
      out_.weights.push_back(token.weight);
    }
    out_.ids.push_back(tokenizer_.End());
    out_.ids.insert(out_.ids.end(), Left(), tokenizer_.Pad());
    out_.weights.resize(out_.ids.size(), 1);
    tokens_.clear();
  }

 private:
  const ClipTokenizer& tokenizer_;
  PromptWindows& out_;
  size_t room_;
  std::vector<Token> tokens_;
};

void FillAsA1111(const ClipTokenizer& tokenizer, const std::vector<WeightedText>& pieces,
                 Filler* window) {
  constexpr size_t kBacktrack = 20;
  const std::vector<int32_t> comma = tokenizer.Encode(",");
  const int32_t comma_id = comma.size() == 1 ? comma[0] : -1;
  int64_t last_comma = -1;
  bool any = false;
  const auto next = [&] {
    window->Finish();
    last_comma = -1;
    any = true;
  };
  for (const WeightedText& piece : pieces) {
    if (piece.breaks) {
      next();
      continue;
    }
    for (const int32_t id : tokenizer.Encode(piece.text)) {
      if (id == comma_id) {
        last_comma = static_cast<int64_t>(window->Size());
      } else if (window->Left() == 0 && last_comma >= 0 &&
                 window->Size() - static_cast<size_t>(last_comma) <= kBacktrack) {
        const auto moved = window->TakeFrom(static_cast<size_t>(last_comma) + 1);
        next();
        for (const Token& token : moved) window->Add(token);
      }
      if (window->Left() == 0) next();
      window->Add({id, piece.weight});
    }
  }
  if (window->Size() > 0 || !any) next();
}

std::vector<std::string> Words(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (end > begin) words.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

void FillAsComfy(const ClipTokenizer& tokenizer, const std::vector<WeightedText>& pieces,
                 Filler* window) {
  constexpr size_t kLongWord = 8;  // tokens; such words may be cut in two
  for (const WeightedText& piece : pieces) {
    for (const std::string& word : Words(piece.text)) {
      const std::vector<int32_t> ids = tokenizer.Encode(word);
      for (size_t done = 0; done < ids.size();) {
        size_t fits = ids.size() - done;
        if (fits > window->Left()) {
          fits = ids.size() >= kLongWord ? window->Left() : 0;
          for (size_t i = 0; i < fits; ++i) window->Add({ids[done + i], piece.weight});
          window->Finish();
        } else {
          for (size_t i = 0; i < fits; ++i) window->Add({ids[done + i], piece.weight});
        }
        done += fits;
      }
    }
  }
  window->Finish();
}

}  // namespace

bool PromptWindows::Weighted() const {
  return std::any_of(weights.begin(), weights.end(), [](double w) { return w != 1; });
}

PromptWindows MakeWindows(const ClipTokenizer& tokenizer, int length, const std::string& prompt,
                          PromptWeights mode, const std::string& which,
                          const std::function<void(const std::string&)>& warn) {
  ENSURE(length > 2, "a text window needs room for its start, a word and its end");
  PromptWindows windows{mode, length, {}, {}, tokenizer.EncodePadded("", length)};
  if (mode == PromptWeights::kOff) {
    std::vector<std::string> cut;
    windows.ids = tokenizer.EncodePadded(prompt, length, &cut);
    windows.weights.assign(windows.ids.size(), 1);
    if (!cut.empty() && warn) {
      std::string text;
      for (const std::string& piece : cut) text += piece;
      warn(which + " is longer than " + std::to_string(length - 2) + " tokens; cut off: \"" +
           Printable(text) + "\"");
    }
    return windows;
  }
  Filler filler(tokenizer, length, &windows);
  const auto pieces = ParsePrompt(prompt, mode);
  (mode == PromptWeights::kA1111 ? FillAsA1111 : FillAsComfy)(tokenizer, pieces, &filler);
  return windows;
}

void PadWindows(int64_t count, PromptWindows* windows) {
  while (windows->Count() < count) {
    windows->ids.insert(windows->ids.end(), windows->empty.begin(), windows->empty.end());
    windows->weights.resize(windows->ids.size(), 1);
  }
}

}  // namespace fovea
