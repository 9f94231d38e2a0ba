// What a hunt has learned so far: one record a picture, and the text that a journal keeps of it.
//
// A journal is lines of JSON. The first says what hunt it belongs to; each further line is one
// record. A line that was cut while it was written (no line end) never was.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace fovea {

enum class HuntStage : unsigned char {
  kQuick,   // few steps: which heads are worth a full look
  kSearch,  // one head more than those that were chosen before
  kUnseen   // prompts that chose nothing: what the found heads are worth
};
std::string_view Name(HuntStage stage);  // "quick", "search", "unseen"

// One picture that a hunt wants.
struct HuntTask {
  HuntStage stage = HuntStage::kSearch;
  int round = 0;      // 0-based; 0 of kUnseen
  std::string trial;  // a head as lists name it, "" for none; of kUnseen a contender's name
  int prompt = 0;     // of the search's or the unseen ones
  auto operator<=>(const HuntTask&) const = default;
};

struct HuntScores {
  std::vector<double> scores;  // of each objective, in their order; finite
  double saturation = 0;       // mean of (max - min) / max of the pixels' channels, 0 to 1
};

using HuntRecords = std::map<HuntTask, HuntScores>;

std::string JournalLine(const HuntTask& task, const HuntScores& scores);  // with its line end
// Throws kBadFile naming the line. `objectives`: how many scores a line must have. Pure; fuzzed.
std::pair<HuntTask, HuntScores> ParseJournalLine(std::string_view line, size_t objectives);

struct JournalText {
  std::string head;  // the first line, without its end; empty: there is none
  HuntRecords records;
  size_t bytes = 0;  // of whole lines
};
// `where` names the file in errors; the same record twice counts once and must be equal. Throws
// kBadFile. Pure; fuzzed.
JournalText ParseJournal(std::string_view text, size_t objectives, const std::string& where);

}  // namespace fovea
