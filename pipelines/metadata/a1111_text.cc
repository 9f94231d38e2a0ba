#include "pipelines/metadata/a1111_text.h"

#include <cctype>
#include <optional>

#include <nlohmann/json.hpp>

namespace fovea {
namespace {

constexpr std::string_view kNegative = "Negative prompt:";
constexpr size_t kFewestFields = 3;
constexpr std::string_view kBlanks = " \t\r\n\v\f";

bool IsBlank(char c) {
  return kBlanks.find(c) != std::string_view::npos;
}

// Bytes over 127 belong to letters, as good as always.
bool IsWord(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x80 || std::isalnum(byte) != 0 || c == '_';
}

bool IsInKey(char c) {
  return IsWord(c) || c == ' ' || c == '-' || c == '/';
}

std::string_view Stripped(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin);
}

// What a JSON string in quotes says; other texts as they are.
std::string Unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string(value);
  const auto parsed = nlohmann::json::parse(value, nullptr, /*allow_exceptions=*/false);
  return parsed.is_string() ? parsed.get<std::string>() : std::string(value);
}

// The end of the quoted value that begins at `begin`, behind its closing quote, if a comma or the
// end of the line follows it.
std::optional<size_t> QuotedEnd(std::string_view line, size_t begin) {
  if (begin >= line.size() || line[begin] != '"') return std::nullopt;
  for (size_t i = begin + 1; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      const bool ends = i + 1 == line.size() || line[i + 1] == ',';
      if (!ends || i == begin + 1) return std::nullopt;
      return i + 1;
    }
  }
  return std::nullopt;
}

// "key: value" pairs, with commas between them; what is no pair is passed over.
std::vector<std::pair<std::string, std::string>> ParseFields(std::string_view line) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (size_t at = 0; at < line.size();) {
    const size_t begin = at;
    if (!IsWord(line[at])) {
      ++at;
      continue;
    }
    while (at < line.size() && IsInKey(line[at])) ++at;
    const bool key = at - begin >= 2 && at < line.size() && line[at] == ':';
    // No later byte of this run begins a key either.
    if (!key) continue;
    const std::string_view name = line.substr(begin, at - begin);
    ++at;
    while (at < line.size() && IsBlank(line[at])) ++at;
    const size_t end = QuotedEnd(line, at).value_or(std::min(line.find(',', at), line.size()));
    fields.emplace_back(name, Unquoted(line.substr(at, end - at)));
    at = end + 1;
  }
  return fields;
}

// Appends a line that is not the first, even if it is empty.
void AddLine(std::string_view line, std::string& text) {
  if (!text.empty()) text += '\n';
  text += line;
}

// A1111 takes any line that begins so for the negative prompt, ComfyUI the last one.
std::string WithoutMarks(std::string_view prompt) {
  std::string out;
  while (true) {
    const size_t end = std::min(prompt.find('\n'), prompt.size());
    const std::string_view line = prompt.substr(0, end);
    const std::string_view content = Stripped(line);
    if (content.starts_with(kNegative)) {
      const size_t gap = static_cast<size_t>(content.data() - line.data()) + kNegative.find(' ');
      out.append(line.substr(0, gap)).append(1, ' ').append(line.substr(gap));
    } else {
      out += line;
    }
    if (end == prompt.size()) return out;
    out += '\n';
    prompt.remove_prefix(end + 1);
  }
}

// A1111 wants JSON strings where a value holds a separator; ComfyUI ends a value at any quote that
// a comma follows, its versions of 2023 at any comma, and fails where no colon follows. So both are
// escapes without themselves, but for lists of hashes, which model sites look for as they are.
std::string Quoted(const std::string& value, bool commas) {
  bool plain = value.front() != '{' && value.front() != '"' && !IsBlank(value.front()) &&
               !IsBlank(value.back());
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    plain = plain && byte >= 0x20 && byte != 0x7f && c != ',' && c != ':';
  }
  if (plain) return value;
  const std::string json = nlohmann::json(value).dump(-1, ' ', /*ensure_ascii=*/true,
                                                      nlohmann::json::error_handler_t::replace);
  std::string out = "\"";
  for (size_t i = 1; i + 1 < json.size(); ++i) {
    if (json[i] == '\\' && json[i + 1] == '"') {
      out += "\\u0022";
      ++i;
    } else if (json[i] == ',' && !commas) {
      out += "\\u002c";
    } else if (json[i] == '\\') {
      out += json[i++];
      out += json[i];
    } else {
      out += json[i];
    }
  }
  return out + '"';
}

}  // namespace

A1111Text ParseA1111Text(std::string_view text) {
  A1111Text parts;
  text = Stripped(text);
  const size_t last = text.rfind('\n');  // npos + 1 is 0
  parts.fields = ParseFields(text.substr(last + 1));
  if (parts.fields.size() < kFewestFields) {
    parts.fields.clear();
  } else {
    text = last == std::string_view::npos ? std::string_view() : text.substr(0, last);
  }
  std::string* into = &parts.prompt;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = Stripped(text.substr(0, end));
    if (line.starts_with(kNegative)) {
      into = &parts.negative;
      line = Stripped(line.substr(kNegative.size()));
    }
    AddLine(line, *into);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string WriteA1111Text(const A1111Text& parts) {
  std::string text = WithoutMarks(parts.prompt) + "\n" + std::string(kNegative) + " " +
                     WithoutMarks(parts.negative) + "\n";
  bool first = true;
  for (const auto& [name, value] : parts.fields) {
    if (value.empty()) continue;
    text += (first ? "" : ", ") + name + ": " + Quoted(value, name.ends_with("hashes"));
    first = false;
  }
  return text;
}

}  // namespace fovea
