// Job files in CSV (RFC 4180): a header of settings' names, a row a job.

#include <algorithm>

#include "app/jobs/job.h"
#include "models/files/json_text.h"

namespace fovea {
namespace {

constexpr size_t kRowBytes = size_t{1} << 20;

struct Row {
  int64_t line = 0;
  std::vector<std::string> cells;
  std::string error;
  bool IsBlank() const { return error.empty() && cells.size() == 1 && cells[0].empty(); }
};

// One row from the front of the text, which may span lines within quotes.
Row TakeRow(std::string_view& text, int64_t& line) {
  Row row;
  row.line = line;
  std::string cell;
  bool quoted = false, was_quoted = false;
  size_t i = 0;
  for (; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\n') ++line;
      if (c != '"') {
        cell += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        cell += text[++i];
      } else {
        quoted = false;
      }
      continue;
    }
    if (c == '\n') break;
    if (c == '\r' && (i + 1 == text.size() || text[i + 1] == '\n')) continue;
    if (c == ',') {
      row.cells.push_back(std::move(cell));
      cell.clear();
      was_quoted = false;
    } else if (c == '"' && cell.empty() && !was_quoted) {
      quoted = was_quoted = true;
    } else if (was_quoted || c == '"') {
      row.error = "a quote stands inside of a cell; double it and quote the cell";
    } else {
      cell += c;
    }
  }
  if (quoted) row.error = "a quote is not closed";
  if (i > kRowBytes) row.error = "a row has at most 1 MiB";
  row.cells.push_back(std::move(cell));
  text.remove_prefix(std::min(i + 1, text.size()));
  ++line;
  return row;
}

std::vector<std::string> HeaderOf(const Row& row) {
  if (!row.error.empty()) throw BrokenLine("header: " + row.error);
  std::vector<std::string> keys = row.cells;
  for (size_t i = 0; i < keys.size(); ++i) {
    std::replace(keys[i].begin(), keys[i].end(), '_', '-');
    if (keys[i] != "name" && keys[i] != "comment" && TypeOfSetting(keys[i]) == SettingType::kNone) {
      throw BrokenLine("header: " + Printable(keys[i], 80) + ": no setting is called so");
    }
    if (std::find(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(i), keys[i]) !=
        keys.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw BrokenLine("header: " + keys[i] + " is given twice");
    }
  }
  return keys;
}

JobLine JobOf(const Row& row, const std::vector<std::string>& keys) {
  if (!row.error.empty()) throw BrokenLine(row.error);
  if (row.cells.size() != keys.size()) {
    throw BrokenLine("has " + std::to_string(row.cells.size()) + " cells, the header has " +
                     std::to_string(keys.size()));
  }
  JobLine job;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (row.cells[i].empty() || keys[i] == "comment") continue;
    if (keys[i] == "name") {
      job.name = row.cells[i];
    } else {
      job.settings.emplace_back(keys[i], row.cells[i]);
    }
  }
  return job;
}

}  // namespace

std::vector<JobLine> ParseCsvJobs(std::string_view text, const ParseOptions& options) {
  std::vector<JobLine> jobs;
  std::vector<std::string> keys;
  int64_t line = options.first_line;
  while (!text.empty()) {
    const Row row = TakeRow(text, line);
    if (row.IsBlank()) continue;
    JobLine job;
    bool header = keys.empty();
    try {
      if (header) {
        keys = HeaderOf(row);
        continue;
      }
      job = JobOf(row, keys);
    } catch (const BrokenLine& broken) {
      job.error = broken.what();
      job.code = broken.code;
    }
    job.line = row.line;
    options.limit->Take(1);
    jobs.push_back(std::move(job));
    if (header) break;  // nothing below can be read without one
  }
  return jobs;
}

}  // namespace fovea
