#include "models/json_text.h"

#include <unordered_set>
#include <vector>

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

// nlohmann prefixes its messages with "[json.exception.parse_error.101] "; people need the rest.
std::string Reason(const std::exception& error) {
  std::string text = error.what();
  if (const size_t end = text.find("] "); text.starts_with("[json.") && end != std::string::npos) {
    text.erase(0, end + 2);
  }
  return Printable(text, 160);
}

// Python's json module writes these bare words, which are not JSON: a scheduler's
// lambda_min_clipped is -Infinity in every file that diffusers saves. They become texts, so that
// only a reader who expects them takes them.
std::string WithPythonWordsQuoted(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    if (in_string && text[i] == '\\' && i + 1 < text.size()) {
      out.append(text.substr(i, 2));
      i += 2;
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    std::string_view word;
    for (const std::string_view w : {"-Infinity", "Infinity", "NaN"}) {
      if (!in_string && word.empty() && text.substr(i).starts_with(w)) word = w;
    }
    if (word.empty()) {
      out += text[i++];
    } else {
      out.append("\"").append(word).append("\"");
      i += word.size();
    }
  }
  return out;
}

bool HasPythonWords(std::string_view text) {
  return text.find("Infinity") != std::string_view::npos ||
         text.find("NaN") != std::string_view::npos;
}

}  // namespace

nlohmann::json ParseJson(std::string_view text, const std::string& where,
                         const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw Error(ErrorCode::kBadFile, where + ": " + std::to_string(text.size()) +
                                         " bytes of JSON; at most " + std::to_string(limits.bytes) +
                                         " are read");
  }
  std::vector<std::unordered_set<std::string>> keys;  // of the objects that are open
  const auto check = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start || event == Event::array_start) {
      if (depth >= limits.depth) {
        throw Error(ErrorCode::kBadFile, where + ": JSON nested deeper than " +
                                             std::to_string(limits.depth) + " levels");
      }
      if (event == Event::object_start) keys.emplace_back();
    } else if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        throw Error(ErrorCode::kBadFile, where + ": " + Printable(key) + " is given twice");
      }
    } else if (event == Event::object_end) {
      keys.pop_back();
    }
    return true;
  };
  try {
    return HasPythonWords(text) ? nlohmann::json::parse(WithPythonWordsQuoted(text), check)
                                : nlohmann::json::parse(text, check);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadFile, where + ": not valid JSON: " + Reason(error));
  }
}

std::string Brief(const nlohmann::json& value, size_t limit) {
  if (value.is_array() && value.size() > limit) return "a list of " + std::to_string(value.size());
  if (value.is_object()) return "an object";
  return Printable(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), limit);
}

std::string Printable(std::string_view text, size_t limit) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    if (out.size() >= limit) return out + "...";
    const auto byte = static_cast<unsigned char>(text[i]);
    const size_t length = byte < 0x80   ? 1
                          : byte < 0xc2 ? 0
                          : byte < 0xe0 ? 2
                          : byte < 0xf0 ? 3
                          : byte < 0xf5 ? 4
                                        : 0;
    bool valid = length > 0 && i + length <= text.size() && byte >= 0x20 && byte != 0x7f;
    for (size_t k = 1; valid && k < length; ++k) {
      valid = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    }
    if (valid) {
      out.append(text.substr(i, length));
      i += length;
    } else {
      out += '?';
      ++i;
    }
  }
  return out;
}

}  // namespace fovea
