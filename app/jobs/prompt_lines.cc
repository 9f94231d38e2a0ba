// Job files of A1111's script "Prompts from file": a line is a prompt, or flags.

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "app/jobs/job.h"
#include "models/files/json_text.h"
#include "pipelines/metadata/a1111_names.h"

namespace fovea {
namespace {

constexpr size_t kLineBytes = size_t{1} << 20;

// Words as a POSIX shell splits them: quotes, backslashes, nothing else.
std::vector<std::string> ShellWords(std::string_view line) {
  std::vector<std::string> words;
  bool open = false;  // a word has begun, perhaps an empty one
  std::string word;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (c == ' ' || c == '\t') {
      if (open) words.push_back(std::move(word));
      word.clear();
      open = false;
      continue;
    }
    open = true;
    if (c == '\\') {
      if (++i == line.size()) throw BrokenLine("ends with a backslash");
      word += line[i];
    } else if (c == '\'') {
      const size_t end = line.find('\'', i + 1);
      if (end == std::string_view::npos) throw BrokenLine("a quote is not closed");
      word += line.substr(i + 1, end - i - 1);
      i = end;
    } else if (c == '"') {
      for (++i; i < line.size() && line[i] != '"'; ++i) {
        const bool escape =
            line[i] == '\\' && i + 1 < line.size() && (line[i + 1] == '"' || line[i + 1] == '\\');
        word += escape ? line[++i] : line[i];
      }
      if (i >= line.size()) throw BrokenLine("a quote is not closed");
    } else {
      word += c;
    }
  }
  if (open) words.push_back(std::move(word));
  return words;
}

// Flags whose other values would change the picture; these leave it alone.
bool IsNeutral(const std::string& flag, const std::string& value) {
  static const std::map<std::string, std::vector<std::string>> kNeutral = {
      {"subseed", {"-1", "0"}},
      {"subseed_strength", {"0", "0.0"}},
      {"seed_resize_from_h", {"-1", "0"}},
      {"seed_resize_from_w", {"-1", "0"}},
      {"restore_faces", {"false", "0"}},
      {"tiling", {"false", "0"}},
      {"styles", {"", "None", "none"}},
  };
  if (flag.starts_with("do_not_save_")) return true;
  const auto found = kNeutral.find(flag);
  if (found == kNeutral.end()) return false;
  std::string small = value;
  if (flag != "styles") {
    std::transform(small.begin(), small.end(), small.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  }
  return std::find(found->second.begin(), found->second.end(), small) != found->second.end();
}

bool IsKnownNeutral(const std::string& flag) {
  return IsNeutral(flag, "0") || flag == "styles" || flag.starts_with("do_not_save_");
}

int Count(const std::string& flag, const std::string& text) {
  int value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size() || value < 1 ||
      value > 4096) {
    throw BrokenLine("--" + flag + ": '" + Printable(text, 40) + "' is not from 1 to 4096");
  }
  return value;
}

JobSettings ReadFlags(std::string_view line) {
  static const std::map<std::string, std::string> kSettings = {
      {"prompt", "prompt"},  {"negative_prompt", "negative"},
      {"sd_model", "model"}, {"seed", "seed"},
      {"steps", "steps"},    {"cfg_scale", "cfg"},
      {"width", "width"},    {"height", "height"}};
  const std::vector<std::string> words = ShellWords(line);
  JobSettings settings;
  int batch_size = 1, iterations = 1;
  for (size_t i = 0; i < words.size();) {
    if (!words[i].starts_with("--")) {
      throw BrokenLine("'" + Printable(words[i], 40) + "' belongs to no flag");
    }
    const std::string flag = words[i++].substr(2);
    std::string value;
    if (flag == "prompt" || flag == "negative_prompt") {
      if (i == words.size()) throw BrokenLine("--" + flag + " needs a value");
      for (size_t first = i; i < words.size() && !words[i].starts_with("--"); ++i) {
        value += (i == first ? "" : " ") + words[i];
      }
    } else {
      if (i == words.size()) throw BrokenLine("--" + flag + " needs a value");
      value = words[i++];
    }
    if (const auto found = kSettings.find(flag); found != kSettings.end()) {
      settings.emplace_back(found->second, value);
    } else if (flag == "batch_size") {
      batch_size = Count(flag, value);
    } else if (flag == "n_iter") {
      iterations = Count(flag, value);
    } else if (flag == "sampler_name") {
      const OurSampler ours = ReadA1111Sampler(value, "", true);
      if (!ours.sampler || !ours.schedule) {
        throw BrokenLine("--sampler_name: '" + Printable(value, 60) + "' is not known here", 4);
      }
      settings.emplace_back("sampler", *ours.sampler);
      settings.emplace_back("schedule", *ours.schedule);
    } else if (!IsKnownNeutral(flag)) {
      throw BrokenLine("--" + Printable(flag, 40) + " is not known");
    } else if (!IsNeutral(flag, value)) {
      throw BrokenLine("--" + flag + " " + Printable(value, 40) + " is not done here", 4);
    }
  }
  const int64_t pictures = int64_t{batch_size} * iterations;
  if (pictures > 4096) throw BrokenLine("asks for more than 4096 pictures");
  settings.emplace_back("batch", std::to_string(pictures));
  return settings;
}

}  // namespace

std::vector<JobLine> ParsePromptLines(std::string_view text, const ParseOptions& options) {
  std::vector<JobLine> jobs;
  for (int64_t line = options.first_line; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.ends_with('\r')) one.remove_suffix(1);
    const size_t first = one.find_first_not_of(" \t");
    if (first == std::string_view::npos) continue;
    JobLine job;
    job.line = line;
    try {
      if (one.size() > kLineBytes) throw BrokenLine("a line has at most 1 MiB");
      if (one.substr(first).starts_with("--")) {
        job.settings = ReadFlags(one);
      } else {
        job.settings.emplace_back("prompt", one);
      }
      job.settings.emplace(job.settings.begin(), "prompt-weights", "a1111");
    } catch (const BrokenLine& broken) {
      job.error = broken.what();
      job.code = broken.code;
    }
    options.limit->Take(1);
    jobs.push_back(std::move(job));
  }
  return jobs;
}

}  // namespace fovea
