#include "app/studio/inputs.h"

#include <algorithm>
#include <utility>

#include "pipelines/pictures/formats/png_file.h"
#include "pipelines/pictures/picture_file.h"
#include "tensor/error.h"

namespace fovea {

namespace fs = std::filesystem;

Inputs::Inputs(fs::path folder) : folder_(std::move(folder)) {}

fs::path Inputs::FileOf(const std::string& digest) const {
  return folder_ / (digest + ".png");
}

void Inputs::Remember(const std::string& digest, ImagePtr image) {
  std::move_backward(std::begin(cached_), std::end(cached_) - 1, std::end(cached_));
  cached_[0] = {digest, std::move(image)};
}

std::string Inputs::Keep(const Image& image) {
  const std::string digest = PictureDigest(image);
  fs::create_directories(folder_);
  if (!fs::exists(FileOf(digest))) WritePng(FileOf(digest), image, {});
  return digest;
}

ImagePtr Inputs::Read(const std::string& digest, const std::string& field) {
  if (digest.empty()) return nullptr;
  for (const Cached& each : cached_) {
    if (each.digest == digest) return each.image;
  }
  SizeOfDigest(digest, field);  // what is none names no file
  const fs::path file = FileOf(digest);
  std::error_code error;
  if (digest.find('/') != std::string::npos || !fs::is_regular_file(file, error)) {
    throw Error(ErrorCode::kBadFile, field + ": " + digest +
                                         " is not among the pictures that were given to this " +
                                         "studio; drop the file onto the window");
  }
  auto image = std::make_shared<Image>(ReadPng(file));
  if (PictureDigest(*image) != digest) {
    throw Error(ErrorCode::kBadFile, field + ": " + file.string() +
                                         " was changed; drop the picture onto the window again");
  }
  Remember(digest, image);
  return image;
}

void Inputs::ForgetOthers(const std::set<std::string>& kept) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".png" && !kept.contains(path.stem().string())) {
      fs::remove(path, error);
    }
  }
}

}  // namespace fovea
