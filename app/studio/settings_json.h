// Settings as JSON text and back: what the studio's store keeps of drafts, jobs and pictures.
#pragma once

#include <string>
#include <vector>

#include "pipelines/settings/settings.h"
#include "ui/snapshot.h"

namespace fovea {

std::string SettingsText(const GenerateSettings& settings);
// Fields that the text lacks, or has of another type, keep their defaults: a store written by
// another version stays readable.
GenerateSettings SettingsFromText(const std::string& text);

std::string HistoryText(const std::vector<GenerateSettings>& history, int cursor);
StartView HistoryFromText(const std::string& text);  // empty history for a broken text

std::string UsesText(const std::vector<SiteUse>& uses);
std::vector<SiteUse> UsesFromText(const std::string& text);

}  // namespace fovea
