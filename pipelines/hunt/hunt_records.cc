#include "pipelines/hunt/hunt_records.h"

#include <array>
#include <cmath>

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kStages = {"quick", "search", "unseen"};
constexpr int kMostIndex = 1'000'000;
constexpr size_t kLongestName = 400;

[[noreturn]] void Bad(const std::string& what) {
  throw Error(ErrorCode::kBadFile, what + "; a journal that was not edited has no such line");
}

int Index(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number_integer()) {
    Bad(std::string("\"") + key + "\" is no whole number");
  }
  const auto value = found->get<int64_t>();
  if (value < 0 || value > kMostIndex) Bad(std::string("\"") + key + "\" is out of bounds");
  return static_cast<int>(value);
}

double Real(const json& value, const char* key) {
  const double number = value.is_number() ? value.get<double>() : NAN;
  if (!std::isfinite(number)) Bad(std::string("\"") + key + "\" is no finite number");
  return number;
}

std::string Text(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) {
    Bad(std::string("\"") + key + "\" is no text");
  }
  auto text = found->get<std::string>();
  if (text.size() > kLongestName) Bad(std::string("\"") + key + "\" is too long");
  return text;
}

}  // namespace

std::string_view Name(HuntStage stage) {
  return kStages.at(static_cast<size_t>(stage));
}

std::string JournalLine(const HuntTask& task, const HuntScores& scores) {
  const nlohmann::ordered_json line = {
      {"stage", Name(task.stage)}, {"round", task.round},     {"trial", task.trial},
      {"prompt", task.prompt},     {"scores", scores.scores}, {"saturation", scores.saturation}};
  return line.dump() + "\n";
}

std::pair<HuntTask, HuntScores> ParseJournalLine(std::string_view line, size_t objectives) {
  const json object = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) Bad("not one JSON object");
  std::pair<HuntTask, HuntScores> record;
  const std::string stage = Text(object, "stage");
  size_t index = 0;
  while (index < kStages.size() && kStages.at(index) != stage) ++index;
  if (index == kStages.size()) Bad("\"stage\" is not quick, search or unseen");
  record.first = {static_cast<HuntStage>(index), Index(object, "round"), Text(object, "trial"),
                  Index(object, "prompt")};
  const auto scores = object.find("scores");
  if (scores == object.end() || !scores->is_array() || scores->size() != objectives) {
    Bad("\"scores\" does not hold " + std::to_string(objectives) + " numbers");
  }
  for (const json& each : *scores) record.second.scores.push_back(Real(each, "scores"));
  const auto saturation = object.find("saturation");
  if (saturation == object.end()) Bad("\"saturation\" is missing");
  record.second.saturation = Real(*saturation, "saturation");
  return record;
}

JournalText ParseJournal(std::string_view text, size_t objectives, const std::string& where) {
  JournalText journal;
  for (int number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    journal.bytes += end + 1;
    if (number == 1) {
      journal.head = line;
      continue;
    }
    try {
      const auto [task, scores] = ParseJournalLine(line, objectives);
      const auto [found, is_new] = journal.records.emplace(task, scores);
      if (!is_new && found->second.scores != scores.scores) {
        Bad("the same picture as an earlier line has other scores");
      }
    } catch (const Error& error) {
      throw Error(error.code, where + ": line " + std::to_string(number) + ": " + error.what());
    }
  }
  return journal;
}

}  // namespace fovea
