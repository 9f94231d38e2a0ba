// JSON of unknown origin, parsed within bounds, and strings of unknown origin, made fit for
// messages.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace fovea {

struct JsonLimits {
  size_t bytes = size_t{16} << 20;
  int depth = 64;  // of nested objects and lists
};

// Throws kBadFile with `where` in front: text that is not JSON, a key given twice, text or nesting
// over the limits. Python's bare -Infinity, Infinity and NaN become texts. Needs no stack in
// proportion to the nesting.
nlohmann::json ParseJson(std::string_view text, const std::string& where, const JsonLimits& limits);

// The value as JSON in at most `limit` characters, for messages.
std::string Brief(const nlohmann::json& value, size_t limit = 80);

// `text` in at most `limit` characters, without control characters and broken UTF-8.
std::string Printable(std::string_view text, size_t limit = 200);

}  // namespace fovea
