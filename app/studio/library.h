// The gallery's pictures: PNG files in one folder, and the store's index of them.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "app/studio/store.h"
#include "ui/snapshot.h"

namespace fovea {

class Library {
 public:
  // Takes in pictures that lie in the folder but not in the index: those that were finished when
  // the program died, and what a person put there. Forgets those whose file is gone.
  Library(Store& store, std::filesystem::path folder);

  const std::filesystem::path& Folder() const { return folder_; }
  std::shared_ptr<const PictureList> List() const { return list_; }
  const PictureView* Find(int64_t id) const;  // or null

  int64_t Add(PictureView picture, const ImagePtr& image);  // returns its id
  void SetFavourite(int64_t id, bool favourite);
  void SetTrashed(int64_t id, bool trashed);
  void EmptyTrash();  // removes the files
  // Reads one thumbnail that is missing; false: none is.
  bool ReadNextThumbnail();
  // The whole picture. Throws kBadFile.
  ImagePtr Read(int64_t id) const;

 private:
  template <class Change>
  void Update(int64_t id, const Change& change);
  Store& store_;
  std::filesystem::path folder_;
  std::shared_ptr<const PictureList> list_;
};

// Each pixel the mean of those that it stands for; the longer side at most `side`.
Image Shrink(const Image& image, int side);
// |a - b| of two pictures of one size, times `gain`, clamped; also the mean, the largest difference
// and the signal-to-noise ratio in dB.
Image Difference(const Image& a, const Image& b, int gain, double* mean, double* most,
                 double* psnr);

}  // namespace fovea
