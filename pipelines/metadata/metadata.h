// What a picture says about itself: A1111-style `parameters` text and our own JSON under `fovea`.
//
// No times, paths or host names: the same settings give the same bytes.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "pipelines/metadata/attention_report.h"
#include "pipelines/metadata/file_hashes.h"
#include "pipelines/metadata/hires_report.h"
#include "pipelines/metadata/numbers.h"
#include "pipelines/pictures/formats/png_file.h"
#include "pipelines/settings/settings.h"
#include "tensor/error.h"

namespace fovea {

// What the numbers of a picture depend on besides its settings.
struct Provenance {
  std::string version;  // of the program
  std::string device = "cpu";
  std::string instruction_set;  // "avx512_bf16"; as the CPU backend names it
  int threads = 1;
  Numbers numbers;                        // empty in pictures of before they said so
  std::string sampler;                    // that ran, by its name
  std::string schedule;                   // as Scheduler::ScheduleType
  std::vector<AttentionGroup> attention;  // what ran where; empty without a plan
  HiresReport hires;
  FileHashes hashes;
  bool init_latents = false;  // the noise came from a file, which the settings do not hold
};

// A setting of a foreign picture that we cannot take over: an error, unless a flag replaces it.
struct SettingProblem {
  std::string setting;  // of GenerateSettings
  ErrorCode code;
  std::string message;  // names the picture
};

struct PictureSettings {
  GenerateSettings settings;
  Provenance provenance;
  bool foreign = false;  // settings are A1111's text, which knows no provenance
  std::vector<SettingProblem> problems;
  std::vector<std::string> unused;  // "ENSD: 31337": what the text asks for and we do not do
};

// The text chunks of picture `index` of a run with these resolved settings. The picture is
// described alone, with its own seed and a batch of one, so that --from renders exactly it. `model`
// is reduced to the last part of its path.
PngText PictureText(const GenerateSettings& settings, const Provenance& provenance, int index);

// Reads the `fovea` chunk back, else the `parameters` text of A1111 and its kin; `where` names the
// picture in messages. Throws kBadFile when both are missing or hold wrong types, kUnsupported for
// the settings of other programs; values are checked by whoever uses them. Pure; fuzzed.
PictureSettings ReadPictureSettings(const PngText& text, const std::string& where);

// Every field by its name. Absent seeds are null.
nlohmann::ordered_json SettingsToJson(const GenerateSettings& settings);

}  // namespace fovea
