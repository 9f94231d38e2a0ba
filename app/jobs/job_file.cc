#include "app/jobs/job_file.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostBytes = size_t{1} << 30;

std::string ReadStandardInput() {
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      throw Error(ErrorCode::kBadFile, std::string("standard input: ") + std::strerror(errno));
    }
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kMostBytes) throw Error(ErrorCode::kBadFile, "standard input: too long");
  }
}

std::string FormatOf(const std::string& name, std::string_view text) {
  if (name == "-") {
    const size_t first = text.find_first_not_of(" \t\r\n");
    return first != std::string_view::npos && text[first] == '{' ? "jsonl" : "lines";
  }
  std::string suffix = fs::path(name).extension().string();
  std::transform(suffix.begin(), suffix.end(), suffix.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (suffix == ".jsonl" || suffix == ".ndjson") return "jsonl";
  if (suffix == ".txt") return "lines";
  if (suffix == ".json") return "json";
  if (suffix == ".csv") return "csv";
  throw Error(ErrorCode::kUsage,
              name + ": its suffix is none of .jsonl .ndjson .txt .json .csv; give --format");
}

}  // namespace

JobFile ReadJobFile(const std::string& name, const std::string& format,
                    const ParseOptions& options) {
  const std::string bytes = name == "-" ? ReadStandardInput() : ReadTextFile(name, kMostBytes);
  std::string_view text = bytes;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::string kind = format.empty() ? FormatOf(name, text) : format;
  JobFile file{name, name == "-" ? fs::path() : fs::path(name).parent_path(), {}};
  file.lines = kind == "jsonl"   ? ParseJsonLines(text, options)
               : kind == "lines" ? ParsePromptLines(text, options)
               : kind == "csv"   ? ParseCsvJobs(text, options)
               : kind == "comfy" ? ParseComfyJobs(text, options)
                                 : ParseJsonFile(text, options);
  return file;
}

}  // namespace fovea
