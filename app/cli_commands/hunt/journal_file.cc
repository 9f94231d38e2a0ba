#include "app/cli_commands/hunt/journal_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include <nlohmann/json.hpp>

#include "app/flags/cli_args.h"
#include "models/files/text_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr size_t kMostBytes = size_t{1} << 30;

// The first name of the heads' that differs, for a message.
std::string Difference(const std::string& a, const std::string& b) {
  const auto left = nlohmann::json::parse(a, nullptr, false);
  const auto right = nlohmann::json::parse(b, nullptr, false);
  if (!left.is_object() || !right.is_object()) return "its first line";
  for (const auto& [key, value] : right.items()) {
    if (left.contains(key) && left.at(key) == value) continue;
    if (key != "settings" || !left.contains(key) || !left.at(key).is_object()) return key;
    for (const auto& [name, setting] : value.items()) {
      if (!left.at(key).contains(name) || left.at(key).at(name) != setting) return name;
    }
  }
  return "settings";
}

}  // namespace

Shard Shard::Parse(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos) {
    throw Error(ErrorCode::kUsage, "--shard: \"" + text + "\" is not I/N, as 1/4");
  }
  Shard shard;
  shard.count = static_cast<int>(ParseWhole("--shard", text.substr(slash + 1), 1, 10'000));
  shard.index = static_cast<int>(ParseWhole("--shard", text.substr(0, slash), 1, shard.count));
  return shard;
}

bool Shard::Has(const HuntTask& task) const {
  uint32_t hash = 2166136261U;  // FNV-1a: the same share whatever is done already
  for (const char c : task.trial + "/" + std::to_string(task.prompt)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  }
  return static_cast<int>((hash >> 8U) % static_cast<uint32_t>(count)) == index - 1;
}

JournalFile::JournalFile(const std::filesystem::path& path, std::string head, size_t objectives,
                         const Shard& shard)
    : path_(path), own_(path), head_(std::move(head)), objectives_(objectives) {
  if (shard.count > 1) {
    own_ += "." + std::to_string(shard.index) + "-of-" + std::to_string(shard.count);
  }
  const auto fail = [&](const std::string& what) {
    const std::string reason = std::strerror(errno);
    if (descriptor_ >= 0) close(descriptor_);
    throw Error(ErrorCode::kBadFile, own_.string() + ": " + what + ": " + reason);
  };
  descriptor_ = open(own_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail("cannot be opened");
  if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) fail("another hunt writes it");
  try {
    const size_t whole = Read(own_);
    if (ftruncate(descriptor_, static_cast<off_t>(whole)) != 0) fail("cannot be cut");
    if (whole == 0) Write(head_ + "\n");
    ReadOthers();
  } catch (...) {
    close(descriptor_);
    throw;
  }
}

JournalFile::~JournalFile() {
  close(descriptor_);
}

size_t JournalFile::Read(const std::filesystem::path& file) {
  JournalText text = ParseJournal(ReadTextFile(file, kMostBytes), objectives_, file.string());
  if (text.bytes == 0) return 0;
  if (text.head != head_) {
    throw Error(ErrorCode::kBadFile, file.string() + ": belongs to a hunt with other " +
                                         Difference(text.head, head_) +
                                         "; name another file with --journal");
  }
  for (auto& [task, scores] : text.records) records_.emplace(task, std::move(scores));
  return text.bytes;
}

void JournalFile::ReadOthers() {
  const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : ".";
  const std::string begin = path_.filename().string();
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool shard = name.starts_with(begin + ".") && name.find("-of-") != std::string::npos;
    if (name != own_.filename() && (shard || name == begin)) Read(entry.path());
  }
}

void JournalFile::Write(const std::string& line) {
  // One call: a line is there whole, or its end is missing and it is taken away at the next start.
  if (write(descriptor_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    throw Error(ErrorCode::kBadFile, own_.string() + ": " + std::strerror(errno));
  }
}

void JournalFile::Append(const HuntTask& task, const HuntScores& scores) {
  Write(JournalLine(task, scores));
  records_.emplace(task, scores);
}

}  // namespace fovea
