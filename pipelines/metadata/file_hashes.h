// By which A1111 and model sites recognise the files that a picture was made with.
#pragma once

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "models/model_folder.h"

namespace fovea {

struct FileHashes {
  std::string model;  // SHA-256 of a single file; empty for a folder
  // Name and SHA-256 of what follows the header, as kohya's scripts count, each file once.
  std::vector<std::pair<std::string, std::string>> loras;
  std::string overlay;  // SHA-256 of the file; empty: none
};

// Hashes them on a thread of its own, while something else goes on.
class FileHasher {
 public:
  explicit FileHasher(const ModelFolder& model);  // destroyed, it stops
  const FileHashes& Wait();                       // what cannot be read any more is left out

 private:
  FileHashes hashes_;
  std::jthread thread_;
};

}  // namespace fovea
