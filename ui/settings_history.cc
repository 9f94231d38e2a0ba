#include "ui/settings_history.h"

#include <algorithm>
#include <cstdio>
#include <type_traits>

namespace fovea {
namespace {

constexpr size_t kMostEntries = 200;
constexpr size_t kMostShown = 28;

template <class T>
std::string TextOf(const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    return value;
  } else if constexpr (std::is_same_v<T, bool>) {
    return value ? "on" : "off";
  } else if constexpr (std::is_same_v<T, double>) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
  } else if constexpr (std::is_same_v<T, int>) {
    return std::to_string(value);
  } else if constexpr (std::is_same_v<T, std::optional<std::string>>) {
    return value.value_or("");
  } else {
    return value ? std::to_string(*value) : "random";
  }
}

struct FieldText {
  std::string name, text;
};

std::vector<FieldText> AllFields(GenerateSettings settings) {
  std::vector<FieldText> fields;
  settings.ForEachField([&](const char* name, auto& value, const char*) {
    fields.push_back({name, TextOf(value)});
  });
  return fields;
}

std::string Cut(const std::string& text) {
  if (text.empty()) return "none";
  if (text.size() <= kMostShown) return text;
  size_t end = kMostShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

}  // namespace

std::string NegativeOf(const GenerateSettings& settings) {
  return TextOf(settings.negative);
}

void SetNegative(const std::string& text, GenerateSettings* settings) {
  settings->negative = text;
}

bool SameSettings(const GenerateSettings& a, const GenerateSettings& b) {
  const auto x = AllFields(a), y = AllFields(b);
  return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                    [](const FieldText& p, const FieldText& q) { return p.text == q.text; });
}

std::string DescribeChange(const GenerateSettings& from, const GenerateSettings& to) {
  const auto before = AllFields(from), after = AllFields(to);
  std::string text;
  for (size_t i = 0; i < before.size(); ++i) {
    if (before[i].text == after[i].text) continue;
    text += (text.empty() ? "" : ", ") + after[i].name + ": " + Cut(after[i].text);
  }
  return text;
}

std::string FieldHelp(const std::string& field) {
  std::string found;
  GenerateSettings settings;
  settings.ForEachField([&](const char* name, auto&, const char* help) {
    if (field == name) found = help;
  });
  return found;
}

void SettingsHistory::Reset(std::vector<GenerateSettings> entries, int cursor) {
  if (entries.empty()) entries.emplace_back();
  entries_ = std::move(entries);
  cursor_ = std::clamp(cursor, 0, static_cast<int>(entries_.size()) - 1);
}

bool SettingsHistory::Commit(const GenerateSettings& settings) {
  if (SameSettings(settings, Current())) return false;
  entries_.resize(static_cast<size_t>(cursor_) + 1);
  entries_.push_back(settings);
  if (entries_.size() > kMostEntries) entries_.erase(entries_.begin());
  cursor_ = static_cast<int>(entries_.size()) - 1;
  return true;
}

const GenerateSettings& SettingsHistory::Undo() {
  cursor_ = std::max(0, cursor_ - 1);
  return Current();
}

const GenerateSettings& SettingsHistory::Redo() {
  cursor_ = std::min(static_cast<int>(entries_.size()) - 1, cursor_ + 1);
  return Current();
}

const GenerateSettings& SettingsHistory::GoTo(int entry) {
  cursor_ = std::clamp(entry, 0, static_cast<int>(entries_.size()) - 1);
  return Current();
}

}  // namespace fovea
