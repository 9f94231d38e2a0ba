// One picture, or a line of them, that a job file asks for: settings as text, not yet checked.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea {

// Names are those of GenerateSettings and of kJobInputs, values what the flag of that name would be
// given. "seed" may be "-1": none. "lora" holds one --lora a line. Later settings win.
using JobSettings = std::vector<std::pair<std::string, std::string>>;

struct JobLine {
  int64_t line = 0;  // from 1, in its file
  JobSettings settings;
  std::string name;   // a label for file names
  std::string error;  // why it is broken; empty: it is not
  int code = 2;       // of a broken one: the exit code that generate would have
};

// What a job names beside settings: files, and where they come from.
inline constexpr std::string_view kJobInputs[] = {"image", "mask",      "init-latents", "overlay",
                                                  "lora",  "tokenizer", "config",       "from",
                                                  "model", "dtype"};

enum class SettingType : uint8_t { kNone, kText, kWhole, kReal, kSeed };
// Of a setting or an input by its name; kNone: there is none.
SettingType TypeOfSetting(std::string_view name);

// What is wrong with a line; the file and the line are added by whoever knows them.
struct BrokenLine : std::runtime_error {
  explicit BrokenLine(const std::string& what, int exit_code = 2)
      : std::runtime_error(what), code(exit_code) {}
  int code;
};

// More jobs than may be: the whole run is refused.
class JobLimit {
 public:
  explicit JobLimit(int64_t most) : left_(most), most_(most) {}
  void Take(int64_t jobs);  // throws kUsage
  int64_t Left() const { return left_; }

 private:
  int64_t left_, most_;
};

struct ParseOptions {
  JobLimit* limit = nullptr;    // not null
  bool comfy_count_up = false;  // a batch of ComfyUI's means seeds that count up
  int64_t first_line = 1;
};

// The formats, from text. They throw nothing but JobLimit's error: a line that is broken says so.
// Pure; fuzzed.
std::vector<JobLine> ParseJsonLines(std::string_view text, const ParseOptions& options);
std::vector<JobLine> ParsePromptLines(std::string_view text, const ParseOptions& options);
std::vector<JobLine> ParseComfyJobs(std::string_view text, const ParseOptions& options);
std::vector<JobLine> ParseCsvJobs(std::string_view text, const ParseOptions& options);

// The text of a JSON file: an array of job objects, whose lines are their places in it, or graphs
// of ComfyUI's.
std::vector<JobLine> ParseJsonFile(std::string_view text, const ParseOptions& options);

}  // namespace fovea
