#include "app/studio/library.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "app/studio/site_uses.h"
#include "pipelines/metadata/metadata.h"
#include "pipelines/pictures/formats/png_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr int kThumbnailSide = 192;

int64_t TimeOf(const fs::path& file) {
  std::error_code error;
  const auto written = fs::last_write_time(file, error);
  if (error) return 0;
  const auto time = std::chrono::file_clock::to_sys(written);
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

Image Shrink(const Image& image, int side) {
  const int longer = std::max(image.width, image.height);
  if (longer <= side) return image;
  Image small;
  small.width = std::max(1, image.width * side / longer);
  small.height = std::max(1, image.height * side / longer);
  small.rgb.resize(static_cast<size_t>(small.width) * static_cast<size_t>(small.height) * 3);
  for (int y = 0; y < small.height; ++y) {
    const int y0 = static_cast<int>(int64_t{y} * image.height / small.height);
    const int y1 = std::max(y0 + 1, static_cast<int>(int64_t{y + 1} * image.height / small.height));
    for (int x = 0; x < small.width; ++x) {
      const int x0 = static_cast<int>(int64_t{x} * image.width / small.width);
      const int x1 = std::max(x0 + 1, static_cast<int>(int64_t{x + 1} * image.width / small.width));
      int sum[3] = {0, 0, 0};
      for (int py = y0; py < y1; ++py) {
        const uint8_t* pixel =
            image.rgb.data() +
            (static_cast<size_t>(py) * static_cast<size_t>(image.width) + static_cast<size_t>(x0)) *
                3;
        for (int px = x0; px < x1; ++px) {
          for (int c = 0; c < 3; ++c) sum[c] += *pixel++;
        }
      }
      const int count = (y1 - y0) * (x1 - x0);
      for (int c = 0; c < 3; ++c) {
        small.rgb[(static_cast<size_t>(y) * static_cast<size_t>(small.width) +
                   static_cast<size_t>(x)) *
                      3 +
                  static_cast<size_t>(c)] = static_cast<uint8_t>((sum[c] + count / 2) / count);
      }
    }
  }
  return small;
}

Image Difference(const Image& a, const Image& b, int gain, double* mean, double* most,
                 double* psnr) {
  Image out;
  *mean = *most = *psnr = 0;
  if (a.width != b.width || a.height != b.height || a.rgb.empty()) return out;
  out.width = a.width;
  out.height = a.height;
  out.rgb.resize(a.rgb.size());
  double sum = 0, squares = 0;
  int largest = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const int difference = std::abs(int{a.rgb[i]} - int{b.rgb[i]});
    sum += difference;
    squares += static_cast<double>(difference) * difference;
    largest = std::max(largest, difference);
    out.rgb[i] = static_cast<uint8_t>(std::min(255, difference * gain));
  }
  const auto count = static_cast<double>(a.rgb.size());
  *mean = sum / count;
  *most = largest;
  *psnr = squares == 0 ? 0 : 10 * std::log10(255.0 * 255.0 * count / squares);
  return out;
}

Library::Library(Store& store, fs::path folder) : store_(store), folder_(std::move(folder)) {
  fs::create_directories(folder_);
  auto list = std::make_shared<PictureList>();
  std::set<std::string> known;
  for (PictureView& picture : store_.Pictures()) {
    std::error_code error;
    if (!fs::is_regular_file(picture.file, error)) {
      store_.RemovePicture(picture.id);
      continue;
    }
    known.insert(picture.file);
    list->push_back(std::make_shared<PictureView>(std::move(picture)));
  }
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder_, error)) {
    const fs::path& path = entry.path();
    if (path.extension() == ".png" && path.filename().string().front() != '.' &&
        !known.contains(path.string())) {
      found.push_back(path);
    }
  }
  std::sort(found.begin(), found.end(),
            [](const fs::path& a, const fs::path& b) { return TimeOf(a) < TimeOf(b); });
  for (const fs::path& path : found) {
    PictureView picture;
    picture.file = path.string();
    try {
      const PictureSettings read = ReadPictureSettings(ReadPngText(path), picture.file);
      picture.settings = read.settings;
      picture.uses = UsesOf(read.provenance.attention);
    } catch (const Error&) {
      continue;  // not one of ours
    }
    store_.AddPicture(&picture, TimeOf(path));
    list->insert(list->begin(), std::make_shared<PictureView>(std::move(picture)));
  }
  list_ = std::move(list);
}

const PictureView* Library::Find(int64_t id) const {
  for (const auto& picture : *list_) {
    if (picture->id == id) return picture.get();
  }
  return nullptr;
}

int64_t Library::Add(PictureView picture, const ImagePtr& image) {
  if (image != nullptr) {
    picture.thumbnail = std::make_shared<Image>(Shrink(*image, kThumbnailSide));
  }
  store_.AddPicture(&picture, 0);
  const int64_t id = picture.id;
  auto list = std::make_shared<PictureList>(*list_);
  list->insert(list->begin(), std::make_shared<PictureView>(std::move(picture)));
  list_ = std::move(list);
  return id;
}

template <class Change>
void Library::Update(int64_t id, const Change& change) {
  auto list = std::make_shared<PictureList>(*list_);
  for (auto& each : *list) {
    if (each->id != id) continue;
    auto changed = std::make_shared<PictureView>(*each);
    change(*changed);
    each = std::move(changed);
  }
  list_ = std::move(list);
}

void Library::SetFavourite(int64_t id, bool favourite) {
  store_.SetFavourite(id, favourite);
  Update(id, [&](PictureView& picture) { picture.favourite = favourite; });
}

void Library::SetTrashed(int64_t id, bool trashed) {
  store_.SetTrashed(id, trashed);
  Update(id, [&](PictureView& picture) { picture.trashed = trashed; });
}

void Library::EmptyTrash() {
  auto list = std::make_shared<PictureList>();
  for (const auto& each : *list_) {
    if (!each->trashed) {
      list->push_back(each);
      continue;
    }
    std::error_code error;
    fs::remove(each->file, error);
    store_.RemovePicture(each->id);
  }
  list_ = std::move(list);
}

bool Library::ReadNextThumbnail() {
  for (const auto& each : *list_) {
    if (each->thumbnail != nullptr) continue;
    Image image;
    try {
      image = ReadPng(each->file);
    } catch (const Error&) {
      image = {1, 1, {64, 64, 64}};  // unreadable: grey, and asked no second time
    }
    auto small = std::make_shared<Image>(Shrink(image, kThumbnailSide));
    Update(each->id, [&](PictureView& picture) { picture.thumbnail = std::move(small); });
    return true;
  }
  return false;
}

ImagePtr Library::Read(int64_t id) const {
  const PictureView* picture = Find(id);
  if (picture == nullptr) throw Error(ErrorCode::kBadFile, "the picture is no longer there");
  return std::make_shared<Image>(ReadPng(picture->file));
}

}  // namespace fovea
