#include "app/cli_commands/batch/merge_logs.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "app/flags/common_flags.h"
#include "app/jobs/results_log.h"
#include "models/files/atomic_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

std::vector<fs::path> LogsOf(const std::string& name) {
  std::error_code error;
  if (!fs::is_directory(name, error)) {
    if (!fs::exists(name, error)) throw Error(ErrorCode::kBadFile, name + ": does not exist");
    return {name};
  }
  std::vector<fs::path> logs;
  for (const fs::directory_entry& entry : fs::directory_iterator(name)) {
    const std::string file = entry.path().filename().string();
    if (file.starts_with("results") && file.ends_with(".jsonl")) logs.push_back(entry.path());
  }
  if (logs.empty()) throw Error(ErrorCode::kBadFile, name + ": holds no results*.jsonl");
  std::sort(logs.begin(), logs.end());
  return logs;
}

std::string Text(const Json& line, const char* member) {
  const auto found = line.find(member);
  return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool IsDone(const std::string& status) {
  return status == "done" || status == "recovered";
}

int64_t NumberOf(const Json& line) {
  const auto found = line.find("number");
  return found != line.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

// One job of all logs.
struct Merged {
  Json line;
  std::set<std::string> pixels;
};

// Done beats the rest, later beats earlier; of two done ones the one that tells more.
bool Beats(const Json& next, const Json& now) {
  const bool next_done = IsDone(Text(next, "status")), now_done = IsDone(Text(now, "status"));
  if (next_done != now_done) return next_done;
  if (next_done && Text(next, "status") != Text(now, "status"))
    return Text(next, "status") == "done";
  return Text(next, "finished") >= Text(now, "finished");
}

}  // namespace

ExitCode MergeLogs(const MergeRequest& request) {
  std::map<std::string, Merged> jobs;  // by id; lines that broke by their number
  for (const std::string& name : request.logs) {
    for (const fs::path& log : LogsOf(name)) {
      ReadLog(log, [&](const Json& line) {
        const std::string status = Text(line, "status");
        if (status.empty() || status == "duplicate") return;
        std::string key = Text(line, "id");
        if (key.empty()) key = "line " + std::to_string(NumberOf(line));
        Merged& job = jobs[key];
        if (const std::string pixels = Text(line, "pixels"); !pixels.empty()) {
          job.pixels.insert(pixels);
        }
        if (job.line.is_null() || Beats(line, job.line)) job.line = line;
      });
    }
  }
  std::vector<const Json*> lines;
  int64_t done = 0, conflicts = 0;
  for (const auto& [key, job] : jobs) {
    lines.push_back(&job.line);
    done += IsDone(Text(job.line, "status")) ? 1 : 0;
    conflicts += job.pixels.size() > 1 ? 1 : 0;
  }
  const std::set<std::string> wanted(request.wanted.begin(), request.wanted.end());
  const auto missing = std::count_if(wanted.begin(), wanted.end(),
                                     [&](const std::string& id) { return !jobs.contains(id); });
  std::stable_sort(lines.begin(), lines.end(),
                   [](const Json* a, const Json* b) { return NumberOf(*a) < NumberOf(*b); });
  std::string text;
  for (const Json* line : lines) {
    text += line->dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  if (request.output) {
    AtomicFile file(*request.output);
    file.Write(text);
    file.Commit();
  } else if (!request.json) {
    std::fputs(text.c_str(), stdout);
  }
  const auto all = static_cast<int64_t>(jobs.size());
  Json report;
  report["jobs"] = all + missing;
  report["done"] = done;
  report["failed"] = all - done;
  report["missing"] = missing;
  report["conflicts"] = conflicts;
  if (request.json) {
    PrintJson(report);
  } else {
    PrintNote(std::to_string(all + missing) + " jobs: " + std::to_string(done) + " done, " +
              std::to_string(all - done) + " failed, " + std::to_string(missing) + " missing, " +
              std::to_string(conflicts) + " conflicts");
  }
  return done == all && missing == 0 && conflicts == 0 ? kExitDone : kExitSomeFailed;
}

}  // namespace fovea
