// Undo and redo of settings.
#pragma once

#include <string>
#include <vector>

#include "pipelines/settings/settings.h"

namespace fovea {

// The negative prompt, which some versions of the settings may leave open: "" then.
std::string NegativeOf(const GenerateSettings& settings);
void SetNegative(const std::string& text, GenerateSettings* settings);

bool SameSettings(const GenerateSettings& a, const GenerateSettings& b);
// "steps 25 -> 30, cfg 3 -> 5": what changed, for people; texts are cut.
std::string DescribeChange(const GenerateSettings& from, const GenerateSettings& to);
// The help of a field, as `fovea generate --help` gives it; empty for an unknown one.
std::string FieldHelp(const std::string& field);

class SettingsHistory {
 public:
  void Reset(std::vector<GenerateSettings> entries, int cursor);
  // After `settings` nothing can be redone. Equal ones are not added twice. True if it was added.
  bool Commit(const GenerateSettings& settings);
  bool CanUndo() const { return cursor_ > 0; }
  bool CanRedo() const { return cursor_ + 1 < static_cast<int>(entries_.size()); }
  const GenerateSettings& Undo();  // the settings to go back to
  const GenerateSettings& Redo();
  const GenerateSettings& GoTo(int entry);
  const GenerateSettings& Current() const { return entries_[static_cast<size_t>(cursor_)]; }
  const std::vector<GenerateSettings>& Entries() const { return entries_; }
  int Cursor() const { return cursor_; }

 private:
  std::vector<GenerateSettings> entries_{GenerateSettings()};  // never empty
  int cursor_ = 0;
};

}  // namespace fovea
