#include "app/jobs/picture_names.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "models/files/json_text.h"
#include "models/lora/lora_choice.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kSlugLength = 40;

[[noreturn]] void Bad(const std::string& what) {
  throw Error(ErrorCode::kUsage, "--name: " + what);
}

// "{number:05}" as its name and its digits.
struct Field {
  std::string_view name, width;
};

Field FieldAt(std::string_view text, size_t open) {
  const size_t close = text.find('}', open);
  if (close == std::string_view::npos) Bad("a brace is not closed; {{ is a brace itself");
  const std::string_view inside = text.substr(open + 1, close - open - 1);
  const size_t colon = inside.find(':');
  if (colon == std::string_view::npos) return {inside, {}};
  const std::string_view width = inside.substr(colon + 1);
  if (width.empty() || width.size() > 3 ||
      width.find_first_not_of("0123456789") != std::string_view::npos) {
    Bad("{" + std::string(inside.substr(0, 40)) + "}: a length has up to three digits");
  }
  return {inside.substr(0, colon), width};
}

std::string Number(int64_t value, std::string_view width) {
  std::string digits = std::to_string(value);
  size_t wanted = 0;
  std::from_chars(width.data(), width.data() + width.size(), wanted);
  wanted = std::min<size_t>(wanted, 20);
  return std::string(wanted > digits.size() ? wanted - digits.size() : 0, '0') + digits;
}

std::string Fill(const Field& field, const PictureFacts& facts) {
  size_t limit = kSlugLength;
  if (!field.width.empty()) {
    std::from_chars(field.width.data(), field.width.data() + field.width.size(), limit);
    limit = std::clamp<size_t>(limit, 1, 200);
  }
  const GenerateSettings& settings = *facts.settings;
  if (field.name == "id") return facts.id;
  if (field.name == "number") return Number(facts.number, field.width);
  if (field.name == "line") return Number(facts.line, field.width);
  if (field.name == "seed") return std::to_string(settings.seed.value_or(0));
  if (field.name == "width") return Number(settings.width, field.width);
  if (field.name == "height") return Number(settings.height, field.width);
  if (field.name == "steps") return Number(settings.steps, field.width);
  if (field.name == "model") {
    return Slug(std::filesystem::path(settings.model).filename().string(), limit);
  }
  if (field.name == "sampler") return Slug(settings.sampler, limit);
  if (field.name == "prompt") return Slug(settings.prompt, limit);
  if (field.name == "name") return Slug(facts.name, limit);
  if (field.name == "shard") return Slug(facts.shard, limit);
  Bad("{" + Printable(field.name, 40) +
      "} is none of {id} {number} {line} {seed} {model} {width} {height} {steps} {sampler} "
      "{prompt} {name} {shard}");
}

}  // namespace

std::string Slug(std::string_view text, size_t limit) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= limit) break;
    const bool upper = c >= 'A' && c <= 'Z';
    if (upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      out += upper ? static_cast<char>(c - 'A' + 'a') : c;
    } else if (!out.empty() && out.back() != '-') {
      out += '-';
    }
  }
  while (out.ends_with('-')) out.pop_back();
  return out.empty() ? "x" : out;
}

NameTemplate::NameTemplate(const std::string& text) : text_(text) {
  if (std::any_of(text.begin(), text.end(),
                  [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    Bad("'" + Printable(text, 80) + "' holds control characters");
  }
  const GenerateSettings settings;
  PictureFacts facts;
  facts.id = "\x01";
  facts.settings = &settings;
  const std::string path = Of(facts);
  if (path.find('\x01') == std::string::npos) {
    Bad("'" + Printable(text, 80) + "' has no {id}, by which pictures are found again");
  }
  if (path.starts_with('/') || LeadsElsewhere(path) || path.starts_with('.') ||
      path.find("/.") != std::string::npos || path.find("//") != std::string::npos ||
      path.find('\0') != std::string::npos) {
    Bad("'" + Printable(text, 80) + "' is no path of visible names within the folder");
  }
}

std::string NameTemplate::Of(const PictureFacts& facts) const {
  std::string out;
  for (size_t i = 0; i < text_.size(); ++i) {
    const char c = text_[i];
    if ((c == '{' || c == '}') && i + 1 < text_.size() && text_[i + 1] == c) {
      out += text_[i++];
    } else if (c == '{') {
      out += Fill(FieldAt(text_, i), facts);
      i = text_.find('}', i);
    } else if (c == '}') {
      Bad("a closing brace stands alone; }} is a brace itself");
    } else {
      out += c;
    }
  }
  return out + ".png";
}

}  // namespace fovea
