#include "models/lora/lora_choice.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <utility>

#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr std::string_view kBlanks = " \t\r\n\f\v";

std::string_view Trim(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// A finite number and nothing else, as Python's float() reads it.
std::optional<double> ParseScale(std::string_view text) {
  text = Trim(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (!whole || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::string Number(double value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof text, value);
  return {text, written.ptr};
}

std::string ScalesText(const LoraScales& scales) {
  const bool two = scales.text_scale && *scales.text_scale != scales.scale;
  return (two ? Number(*scales.text_scale) + ":" : "") + Number(scales.scale);
}

}  // namespace

bool LeadsElsewhere(std::string_view name) {
  if (name.starts_with('/') || name.starts_with('~')) return true;
  while (!name.empty()) {
    const size_t end = std::min(name.find_first_of("/\\"), name.size());
    const std::string_view part = name.substr(0, end);
    if (part == ".." || part == ".") return true;
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return false;
}

namespace {

// One tag, "<KIND:ARGUMENT:...>".
class TagReader {
 public:
  TagReader(std::string_view tag, std::vector<std::string>* notes) : tag_(tag), notes_(notes) {}

  NamedLora Read() {
    std::string_view rest = tag_.substr(1, tag_.size() - 2);
    const std::string_view kind = Next(rest);
    if (!IsLora(kind)) {
      throw Error(ErrorCode::kUnsupported,
                  "prompt: " + Printable(tag_, 80) + " asks for a network of the kind " +
                      Printable(kind, 40) + ", which is not read; take it out");
    }
    NamedLora lora{std::string(Next(rest)), {}};
    if (lora.name.empty()) Bad("names no LoRA; it is <lora:NAME> or <lora:NAME:SCALE>");
    // Prompts come from other people's pictures, too.
    if (LeadsElsewhere(lora.name)) {
      Bad("names a path; a prompt may only name a LoRA among the models, --lora any file");
    }
    // In order: text encoder, U-Net, which is as the text encoder where it is missing; the third,
    // a cut of the rank, has no meaning here.
    std::optional<double> text, unet, text_named, unet_named;
    for (int position = 0; !rest.empty();) {
      const std::string_view argument = Next(rest);
      const size_t equals = argument.find('=');
      if (equals != std::string_view::npos) {
        const std::string_view name = Trim(argument.substr(0, equals));
        const std::string_view value = argument.substr(equals + 1);
        if (name == "te") {
          text_named = Scale(value);
        } else if (name == "unet") {
          unet_named = Scale(value);
        } else {
          Note(argument);
        }
        continue;
      }
      if (position == 2) {
        Note(argument);
        continue;
      }
      (position++ == 0 ? text : unet) = Scale(argument);
    }
    if (tag_.ends_with(":>")) Scale("");
    const double te = text_named.value_or(text.value_or(1));
    lora.scales.scale = unet_named.value_or(unet.value_or(te));
    if (te != lora.scales.scale) lora.scales.text_scale = te;
    return lora;
  }

 private:
  static bool IsLora(std::string_view kind) {
    std::string small(kind);
    for (char& c : small) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return small == "lora" || small == "lyco";
  }
  static std::string_view Next(std::string_view& rest) {
    const size_t end = std::min(rest.find(':'), rest.size());
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return part;
  }
  double Scale(std::string_view text) const {
    const auto scale = ParseScale(text);
    if (!scale) {
      Bad("has a scale that is no number; it is <lora:NAME:SCALE> or <lora:NAME:TEXT_SCALE:SCALE>");
    }
    return *scale;
  }
  void Note(std::string_view argument) const {
    if (notes_ == nullptr) return;
    notes_->push_back("prompt: of " + Printable(tag_, 80) + " the part " + Printable(argument, 40) +
                      " has no meaning here and is left out");
  }
  [[noreturn]] void Bad(const std::string& what) const {
    throw Error(ErrorCode::kUsage, "prompt: " + Printable(tag_, 80) + " " + what);
  }

  std::string_view tag_;
  std::vector<std::string>* notes_;
};

// Where the next tag begins and how long it is, as the web UI finds them: <, a word, a colon,
// something, >. A length of 0: there is none.
std::pair<size_t, size_t> FindTag(std::string_view text) {
  for (size_t begin = 0; (begin = text.find('<', begin)) != std::string_view::npos; ++begin) {
    size_t at = begin + 1;
    while (at < text.size() && (std::isalnum(static_cast<unsigned char>(text[at])) != 0 ||
                                text[at] == '_' || (text[at] & 0x80) != 0)) {
      ++at;
    }
    if (at == begin + 1 || at == text.size() || text[at] != ':') continue;
    const size_t end = text.find('>', at);
    if (end == std::string_view::npos) break;  // nothing closes behind this, either
    return {begin, end + 1 - begin};
  }
  return {text.size(), 0};
}

}  // namespace

NamedLora ParseLoraFlag(const std::string& text) {
  NamedLora lora{text, {}};
  const auto take = [&lora]() -> std::optional<double> {
    const size_t colon = lora.name.rfind(':');
    if (colon == std::string::npos) return std::nullopt;
    const auto scale = ParseScale(std::string_view(lora.name).substr(colon + 1));
    if (scale) lora.name.resize(colon);
    return scale;
  };
  if (const auto scale = take()) {
    lora.scales.scale = *scale;
    if (const auto before = take(); before && *before != *scale) lora.scales.text_scale = before;
  }
  if (lora.name.empty()) {
    throw Error(ErrorCode::kUsage, "--lora '" + Printable(text, 80) + "': names no file");
  }
  return lora;
}

std::string LoraText(const std::vector<NamedLora>& loras) {
  std::string text;
  for (const NamedLora& lora : loras) {
    if (lora.name.find(';') != std::string::npos) {
      throw Error(ErrorCode::kUsage, "--lora '" + Printable(lora.name, 80) +
                                         "': a name with a semicolon is not supported; rename it");
    }
    text += (text.empty() ? "" : ";") + lora.name + ":" + ScalesText(lora.scales);
  }
  return text;
}

std::vector<NamedLora> ParseLoraText(std::string_view text) {
  std::vector<NamedLora> loras;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    loras.push_back(ParseLoraFlag(std::string(text.substr(0, end))));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return loras;
}

std::string TakeLoraTags(std::string_view prompt, std::vector<NamedLora>& loras,
                         std::vector<std::string>* notes) {
  std::string out;
  while (true) {
    const auto [begin, length] = FindTag(prompt);
    if (length == 0) return out += prompt;
    loras.push_back(TagReader(prompt.substr(begin, length), notes).Read());
    out += prompt.substr(0, begin);
    prompt.remove_prefix(begin + length);
    const bool after_blank = out.empty() || out.back() == ' ';
    if (after_blank && prompt.starts_with(' ')) prompt.remove_prefix(1);
    if (prompt.empty() && out.ends_with(' ')) out.pop_back();
  }
}

std::string LoraTag(const NamedLora& lora) {
  return "<lora:" + lora.name + ":" + ScalesText(lora.scales) + ">";
}

}  // namespace fovea
