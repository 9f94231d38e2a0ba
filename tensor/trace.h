// Scoped timing zones, written as a Chrome trace (chrome://tracing, Perfetto).
//
// Off by default: a zone then costs one relaxed load. The sink is the only process-wide state here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace fovea::trace {

// What a zone did, as counted by those who know; 0 where nobody counted.
struct Work {
  double flops = 0;  // multiply and add count two
  double bytes = 0;  // of operands, each once: what memory must move at the least
};

struct Record {
  std::string name, detail;
  double seconds = 0;
  double inner_seconds = 0;  // of the zones opened inside this one
  Work work;                 // its own, without that of zones inside
};

void Start();  // begins to record
bool Enabled();
void Write(const std::filesystem::path& path);  // stops and writes; throws kBadFile
std::vector<Record> Stop();                     // stops; zones in the order of their ends

// Adds to the innermost zone that is open in this thread; nothing happens if there is none.
void Count(const Work& work);

class Zone {
 public:
  // `name` must outlive the recording (a literal). `detail` is copied when recording is on.
  explicit Zone(const char* name, std::string_view detail = {});
  ~Zone();
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  friend void Count(const Work& work);

  const char* name_;
  Zone* outer_ = nullptr;
  int64_t begin_ = -1;
  int64_t detail_ = -1;
  int64_t inner_ = 0;  // nanoseconds
  Work work_;
};

}  // namespace fovea::trace

#define TRACE_CONCAT_(a, b) a##b
#define TRACE_CONCAT(a, b) TRACE_CONCAT_(a, b)
#define TRACE_ZONE(...) ::fovea::trace::Zone TRACE_CONCAT(trace_zone_, __LINE__)(__VA_ARGS__)
