// Scoped timing zones, written as a Chrome trace (chrome://tracing, Perfetto).
//
// Off by default: a zone then costs one relaxed load. The sink is the only process-wide state here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace fovea::trace {

void Start();                                      // begins to record
bool Enabled();
void Write(const std::filesystem::path& path);     // stops and writes; throws kBadFile

class Zone {
 public:
  // `name` must outlive the recording (a literal). `detail` is copied when recording is on.
  explicit Zone(const char* name, std::string_view detail = {});
  ~Zone();
  Zone(const Zone&) = delete;
  Zone& operator=(const Zone&) = delete;

 private:
  const char* name_;
  int64_t begin_ = -1;
  int64_t detail_ = -1;
};

}  // namespace fovea::trace

#define TRACE_CONCAT_(a, b) a##b
#define TRACE_CONCAT(a, b) TRACE_CONCAT_(a, b)
#define TRACE_ZONE(...) ::fovea::trace::Zone TRACE_CONCAT(trace_zone_, __LINE__)(__VA_ARGS__)
