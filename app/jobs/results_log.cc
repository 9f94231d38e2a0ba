#include "app/jobs/results_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <nlohmann/json.hpp>

#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr size_t kMostBytes = size_t{4} << 30;

[[noreturn]] void CannotWrite(const fs::path& path, int error) {
  throw Error(ErrorCode::kBadFile, path.string() + ": cannot be written: " + std::strerror(error));
}

}  // namespace

void ReadLogText(std::string_view text, const std::function<void(Json)>& each) {
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return;  // torn
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (line.empty()) continue;
    const Json json = Json::parse(line, nullptr, false);
    if (json.is_object()) each(json);
  }
}

void ReadLog(const fs::path& path, const std::function<void(Json)>& each) {
  std::error_code error;
  if (!fs::exists(path, error)) return;
  ReadLogText(ReadTextFile(path, kMostBytes), each);
}

std::map<std::string, LoggedJob> SummarizeLog(const fs::path& path) {
  std::map<std::string, LoggedJob> jobs;
  ReadLog(path, [&](const Json& line) {
    if (!line.contains("id") || !line["id"].is_string()) return;
    if (!line.contains("status") || !line["status"].is_string()) return;
    LoggedJob& job = jobs[line["id"].get<std::string>()];
    const std::string status = line["status"].get<std::string>();
    if (status == "duplicate") return;  // says nothing of the picture itself
    job.status = status;
    ++job.attempts;
  });
  return jobs;
}

LogWriter::LogWriter(const fs::path& path) : path_(path) {
  descriptor_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
  if (descriptor_ < 0) CannotWrite(path, errno);
  struct stat status {};
  char last = '\n';
  const bool regular = fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  if (!regular) {
    close(descriptor_);
    throw Error(ErrorCode::kBadFile, path.string() + ": is not a regular file");
  }
  if (status.st_size > 0 && pread(descriptor_, &last, 1, status.st_size - 1) == 1 && last != '\n' &&
      write(descriptor_, "\n", 1) != 1) {
    const int error = errno;
    close(descriptor_);
    CannotWrite(path, error);
  }
}

LogWriter::~LogWriter() {
  close(descriptor_);
}

void LogWriter::Append(const Json& line) {
  const std::string text = line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  ssize_t written = -1;
  do {
    written = write(descriptor_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written < 0) CannotWrite(path_, errno);
  if (static_cast<size_t>(written) != text.size()) {
    // A torn line must not swallow the next one. A full disk takes not even this byte.
    const ssize_t ended = write(descriptor_, "\n", 1);
    (void)ended;
    CannotWrite(path_, ENOSPC);
  }
}

}  // namespace fovea
