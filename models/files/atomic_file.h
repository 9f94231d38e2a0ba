// A file that appears under its name complete or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace fovea {

// Writes to a temporary name in the target's folder; Commit() renames it. Without Commit() the
// destructor removes it and leaves what was there before. All failures throw kBadFile.
class AtomicFile {
 public:
  explicit AtomicFile(
      const std::filesystem::path& target);  // also proves that the folder is writable
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void Write(const void* data, size_t bytes);
  void Write(std::string_view text) { Write(text.data(), text.size()); }
  void Commit();

 private:
  [[noreturn]] void Fail(int error) const;
  std::filesystem::path target_, temporary_;
  int descriptor_ = -1;
};

}  // namespace fovea
