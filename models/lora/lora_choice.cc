#include "models/lora/lora_choice.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

std::optional<double> ParseScale(std::string_view text) {
  double value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = parsed.ec == std::errc() && parsed.ptr == text.data() + text.size();
  if (!whole || !std::isfinite(value)) return std::nullopt;
  return value;
}

NamedLora ParseTag(std::string_view inside, std::string_view tag) {
  const size_t colon = inside.find(':');
  NamedLora lora{std::string(inside.substr(0, colon)), 1};
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kUsage, "prompt: " + Printable(tag, 80) + " " + what);
  };
  if (lora.name.empty()) bad("names no LoRA; it is <lora:NAME> or <lora:NAME:SCALE>");
  if (colon == std::string_view::npos) return lora;
  const auto scale = ParseScale(inside.substr(colon + 1));
  if (!scale) bad("has a scale that is not one number; it is <lora:NAME:SCALE>");
  lora.scale = *scale;
  return lora;
}

}  // namespace

NamedLora ParseLoraFlag(const std::string& text) {
  NamedLora lora{text, 1};
  if (const size_t colon = text.rfind(':'); colon != std::string::npos) {
    if (const auto scale = ParseScale(std::string_view(text).substr(colon + 1))) {
      lora = {text.substr(0, colon), *scale};
    }
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
    char scale[32];
    const auto written = std::to_chars(scale, scale + sizeof scale, lora.scale);
    text += (text.empty() ? "" : ";") + lora.name + ":" + std::string(scale, written.ptr);
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

std::string TakeLoraTags(std::string_view prompt, std::vector<NamedLora>& loras) {
  constexpr std::string_view kBegin = "<lora:";
  std::string out;
  while (true) {
    const size_t begin = prompt.find(kBegin);
    const size_t end = begin == std::string_view::npos ? begin : prompt.find('>', begin);
    if (end == std::string_view::npos) return out += prompt;
    const std::string_view tag = prompt.substr(begin, end + 1 - begin);
    loras.push_back(ParseTag(tag.substr(kBegin.size(), tag.size() - kBegin.size() - 1), tag));
    out += prompt.substr(0, begin);
    prompt.remove_prefix(end + 1);
    const bool after_blank = out.empty() || out.back() == ' ';
    if (after_blank && prompt.starts_with(' ')) prompt.remove_prefix(1);
    if (prompt.empty() && out.ends_with(' ')) out.pop_back();
  }
}

}  // namespace fovea
