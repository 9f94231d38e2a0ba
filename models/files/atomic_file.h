// A file that appears under its name complete or not at all.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>

namespace fovea {

// Where an output named `path` is written. Links are followed, so that a link stays and the file
// behind it is replaced; a link to nothing gives the file that it names. Throws kBadFile for
// folders, devices and pipes, for rings of links, and for links to the open files of a process
// (/dev/stdout): a rename would replace something else than what was meant.
std::filesystem::path OutputTarget(const std::filesystem::path& path);

// Gives `temporary` the name `target`, which a file of the same folder may have: that one's
// permission bits stay. Returns false with errno set where it cannot.
bool RenameOver(const std::filesystem::path& temporary, const std::filesystem::path& target);

// Writes to a temporary name in the target's folder; Commit() renames it once it is on the disk.
// Without Commit() the destructor removes it and leaves what was there before. All failures throw
// kBadFile.
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
