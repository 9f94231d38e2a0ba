// A desk in a folder of its own, and waiting for what it publishes.
#pragma once

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "app/studio/desk.h"

namespace fovea {

namespace fs = std::filesystem;

struct DataFolder {
  fs::path path;
  explicit DataFolder(const std::string& name)
      : path(fs::temp_directory_path() / ("fovea-desk-" + name + "-" + std::to_string(getpid()))) {
    fs::remove_all(path);
  }
  ~DataFolder() { fs::remove_all(path); }
};

// The first snapshot that is ready and satisfies `done`; null after so many seconds.
template <class Done>
SnapshotPtr WaitFor(const Desk& desk, const Done& done, int seconds = 120) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  for (;;) {
    SnapshotPtr snapshot = desk.Current();
    if (snapshot->ready && done(*snapshot)) return snapshot;
    if (std::chrono::steady_clock::now() > end) return nullptr;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

inline GenerateSettings Small(uint64_t seed) {
  GenerateSettings settings;
  settings.prompt = "a red cube";
  settings.width = settings.height = 64;
  settings.steps = 2;
  settings.seed = seed;
  return settings;
}

inline size_t Count(const Snapshot& s) {
  return s.pictures->size();
}

}  // namespace fovea
