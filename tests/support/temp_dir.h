// A folder that is removed, with all that is in it, at the end of a test.
#pragma once

#include <filesystem>

namespace fovea {

class TempDir {
 public:
  TempDir();   // under the system's temporary folder, empty, of a name that nobody else uses
  ~TempDir();  // restores write permission inside it where a test took it away
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::filesystem::path& Path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace fovea
