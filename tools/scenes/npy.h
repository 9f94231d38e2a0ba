// Writes arrays of bytes as NumPy .npy files, piece by piece, visible only when complete.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace fovea::scenes {

// A file that takes its final name in Commit(); without it, nothing is left behind.
// All members throw std::runtime_error with the path and the reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* data, size_t bytes);
  void Commit();

 private:
  std::string path_, temporary_;
  std::FILE* file_ = nullptr;
};

// Header of a version 1.0 .npy file for a C-ordered uint8 array.
std::string NpyHeader(const std::vector<size_t>& shape);

}  // namespace fovea::scenes
