#include "models/files/json_text.h"

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

// Builds the value from the parser's events: the library's own builder knows no depth and lets the
// last of two equal keys win.
class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(nlohmann::json& root, const std::string& where, int depth)
      : root_(root), where_(where), depth_(static_cast<size_t>(depth)) {}

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t&) override { return Put(value); }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // not in text
  bool start_object(size_t) override { return Open(nlohmann::json::object()); }
  bool start_array(size_t) override { return Open(nlohmann::json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& name) override {
    auto& members = open_.back()->get_ref<nlohmann::json::object_t&>();
    const auto [member, added] = members.try_emplace(name);
    if (!added) Fail(Printable(name) + " is given twice");
    member_ = &member->second;
    return true;
  }
  bool parse_error(size_t, const std::string&, const nlohmann::detail::exception& error) override {
    Fail("not valid JSON: " + Reason(error));
  }

 private:
  nlohmann::json& Place(nlohmann::json value) {
    nlohmann::json* place = &root_;
    if (!open_.empty() && open_.back()->is_array()) {
      open_.back()->push_back(nullptr);
      place = &open_.back()->back();
    } else if (!open_.empty()) {
      place = member_;
    }
    *place = std::move(value);
    return *place;
  }
  bool Put(nlohmann::json value) {
    Place(std::move(value));
    return true;
  }
  bool Open(nlohmann::json value) {
    if (open_.size() >= depth_)
      Fail("JSON nested deeper than " + std::to_string(depth_) + " levels");
    open_.push_back(&Place(std::move(value)));
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }
  [[noreturn]] void Fail(const std::string& what) const {
    throw Error(ErrorCode::kBadFile, where_ + ": " + what);
  }

  nlohmann::json& root_;
  const std::string& where_;
  size_t depth_;
  std::vector<nlohmann::json*> open_;  // objects and lists, outermost first; they do not move
  nlohmann::json* member_ = nullptr;   // of the innermost object, whose key was read
};

}  // namespace

nlohmann::json ParseJson(std::string_view text, const std::string& where,
                         const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw Error(ErrorCode::kBadFile, where + ": " + std::to_string(text.size()) +
                                         " bytes of JSON; at most " + std::to_string(limits.bytes) +
                                         " are read");
  }
  nlohmann::json root;
  Builder builder(root, where, limits.depth);
  if (HasPythonWords(text)) {
    nlohmann::json::sax_parse(WithPythonWordsQuoted(text), &builder);
  } else {
    nlohmann::json::sax_parse(text, &builder);
  }
  return root;
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
