#include "pipelines/prompts/class_labels.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>

#include <nlohmann/json.hpp>

#include "models/config.h"
#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

std::string Folded(std::string_view text) {
  const size_t begin = std::min(text.find_first_not_of(" \t\n"), text.size());
  const size_t end = text.find_last_not_of(" \t\n") + 1;
  std::string out(text.substr(begin, end > begin ? end - begin : 0));
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::optional<int64_t> Number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

ClassLabels::ClassLabels(const std::filesystem::path& folder, int num_classes)
    : count_(num_classes) {
  const std::filesystem::path file = folder / "model_index.json";
  if (!std::filesystem::is_regular_file(file)) return;  // a single file has no names
  const Config index = Config::ReadFile(file);
  const auto bad = [&](const std::string& what) {
    throw Error(ErrorCode::kBadFile, file.string() + ": id2label: " + what);
  };
  const auto found = index.Json().find("id2label");
  if (found == index.Json().end() || found->is_null()) return;
  if (!found->is_object()) bad("is not an object of names by number");
  for (const auto& [key, value] : found->items()) {
    const auto id = Number(key);
    if (!id || *id < 0 || *id >= count_) {
      bad(Printable(key) + " is not a number from 0 to " + std::to_string(count_ - 1));
    }
    if (!value.is_string()) bad(Printable(key) + " has a name that is not a text");
    names_[*id] = value.get<std::string>();
  }
  IndexNames();
}

ClassLabels::ClassLabels(std::map<int64_t, std::string> names, int num_classes)
    : count_(num_classes), names_(std::move(names)) {
  IndexNames();
}

void ClassLabels::IndexNames() {
  // Some names stand for two classes; the later one counts, as in diffusers.
  for (const auto& [id, names] : names_) {
    by_name_[Folded(names)] = id;
    for (size_t begin = 0; begin <= names.size();) {
      const size_t end = std::min(names.find(',', begin), names.size());
      const std::string name = Folded(std::string_view(names).substr(begin, end - begin));
      if (!name.empty()) by_name_[name] = id;
      begin = end + 1;
    }
  }
}

int64_t ClassLabels::Find(const std::string& text, const std::string& where) const {
  const std::string folded = Folded(text);
  if (const auto id = Number(folded); id && *id >= 0 && *id < count_) return *id;
  if (const auto found = by_name_.find(folded); found != by_name_.end()) return found->second;
  std::string like = "a number from 0 to " + std::to_string(count_ - 1);
  if (!by_name_.empty()) {
    like += ", or a name as " + Name(by_name_.begin()->second);
    // What begins alike is likely meant.
    const auto near = by_name_.lower_bound(folded);
    if (near != by_name_.end() && !folded.empty() && near->first.front() == folded.front()) {
      like += "; next in the alphabet is " + near->first;
    }
  }
  throw Error(ErrorCode::kUsage,
              where + ": \"" + Printable(text, 80) + "\" is no class of this model; give " + like);
}

std::string ClassLabels::Name(int64_t id) const {
  const auto found = names_.find(id);
  return found == names_.end() ? std::string() : found->second;
}

}  // namespace fovea
