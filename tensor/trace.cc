#include "tensor/trace.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

#include "tensor/error.h"

namespace fovea::trace {
namespace {

struct Event {
  const char* name;
  int64_t begin, end;  // nanoseconds
  int64_t inner;       // of zones inside
  int64_t detail;      // index into Sink::details, or -1
  int thread;
  Work work;
};

struct Sink {
  std::atomic<bool> enabled{false};
  std::mutex mutex;
  int64_t start = 0;
  std::vector<Event> events;
  std::vector<std::string> details;
};

Sink& TheSink() {
  static Sink sink;
  return sink;
}

// The innermost open zone of this thread.
thread_local Zone* innermost = nullptr;

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int ThreadNumber() {
  static std::atomic<int> next{1};
  thread_local const int number = next++;
  return number;
}

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string Microseconds(int64_t nanoseconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", static_cast<double>(nanoseconds) * 1e-3);
  return text;
}

void WriteEvents(const Sink& sink, std::ostream& file) {
  file << "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  const char* separator = "\n";
  for (const Event& event : sink.events) {
    file << separator << "{\"name\":" << Quoted(event.name)
         << ",\"ph\":\"X\",\"pid\":1,\"tid\":" << event.thread
         << ",\"ts\":" << Microseconds(event.begin - sink.start)
         << ",\"dur\":" << Microseconds(event.end - event.begin);
    if (event.detail >= 0) {
      file << ",\"args\":{\"detail\":" << Quoted(sink.details[event.detail]) << "}";
    }
    file << "}";
    separator = ",\n";
  }
  file << "\n]}\n";
}

}  // namespace

void Start() {
  Sink& sink = TheSink();
  const std::lock_guard lock(sink.mutex);
  sink.events.clear();
  sink.details.clear();
  sink.start = Now();
  sink.enabled = true;
}

bool Enabled() {
  return TheSink().enabled.load(std::memory_order_relaxed);
}

void Write(const std::filesystem::path& path) {
  Sink& sink = TheSink();
  const std::lock_guard lock(sink.mutex);
  sink.enabled = false;
  std::filesystem::path partial = path;
  partial += ".part" + std::to_string(getpid());
  std::error_code error;
  {
    std::ofstream file(partial, std::ios::binary);
    WriteEvents(sink, file);
    file.close();
    if (!file) error = std::make_error_code(std::errc::io_error);
  }
  if (!error) std::filesystem::rename(partial, path, error);
  if (error) {
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    throw Error(ErrorCode::kBadFile,
                path.string() +
                    ": cannot write the trace; choose a folder that exists and is "
                    "writable");
  }
}

std::vector<Record> Stop() {
  Sink& sink = TheSink();
  const std::lock_guard lock(sink.mutex);
  sink.enabled = false;
  std::vector<Record> records;
  for (const Event& event : sink.events) {
    records.push_back({event.name, event.detail < 0 ? "" : sink.details[event.detail],
                       static_cast<double>(event.end - event.begin) * 1e-9,
                       static_cast<double>(event.inner) * 1e-9, event.work});
  }
  return records;
}

void Count(const Work& work) {
  if (innermost == nullptr) return;
  innermost->work_.flops += work.flops;
  innermost->work_.bytes += work.bytes;
}

Zone::Zone(const char* name, std::string_view detail) : name_(name) {
  if (!Enabled()) return;
  if (!detail.empty()) {
    Sink& sink = TheSink();
    const std::lock_guard lock(sink.mutex);
    detail_ = static_cast<int64_t>(sink.details.size());
    sink.details.emplace_back(detail);
  }
  outer_ = innermost;
  innermost = this;
  begin_ = Now();
}

Zone::~Zone() {
  if (begin_ < 0) return;
  const int64_t end = Now();
  innermost = outer_;
  if (outer_ != nullptr) outer_->inner_ += end - begin_;
  if (!Enabled()) return;
  Sink& sink = TheSink();
  const std::lock_guard lock(sink.mutex);
  if (begin_ < sink.start) return;  // opened in an earlier recording
  sink.events.push_back({name_, begin_, end, inner_, detail_, ThreadNumber(), work_});
}

}  // namespace fovea::trace
