// The pictures and masks that others start from: kept as PNG files named by their digests, so that
// settings that name one can be run again.
#pragma once

#include <filesystem>
#include <set>
#include <string>

#include "ui/snapshot.h"

namespace fovea {

class Inputs {
 public:
  explicit Inputs(std::filesystem::path folder);  // made when something is kept

  // Its PictureDigest. Throws kBadFile when it cannot be written.
  std::string Keep(const Image& image);
  // Throws kBadFile, naming `field`, when it is not there or not the same any more.
  ImagePtr Read(const std::string& digest, const std::string& field);
  void ForgetOthers(const std::set<std::string>& kept);

 private:
  struct Cached {
    std::string digest;
    ImagePtr image;
  };
  std::filesystem::path FileOf(const std::string& digest) const;
  void Remember(const std::string& digest, ImagePtr image);

  std::filesystem::path folder_;
  Cached cached_[4];  // newest first
};

}  // namespace fovea
