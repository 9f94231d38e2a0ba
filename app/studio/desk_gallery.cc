// The desk's gallery and comparisons.
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "app/studio/desk_state.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kDifferenceGain = 4;  // as the window says beside the picture

}  // namespace

void Desk::State::On(const OpenPicture& command) {
  next_.opened = library_.Read(command.id);
  next_.opened_id = command.id;
}

void Desk::State::On(const SetFavourite& command) {
  library_.SetFavourite(command.id, command.favourite);
}

void Desk::State::On(const TrashPicture& command) {
  if (library_.Find(command.id) == nullptr) return;
  library_.SetTrashed(command.id, true);
  Say(false, "Moved to the trash", "Undo", command.id);
}

void Desk::State::On(const RestorePicture& command) {
  library_.SetTrashed(command.id, false);
  std::erase_if(messages_, [&](const Message& each) { return each.undo_picture == command.id; });
}

void Desk::State::On(const EmptyTrash&) {
  library_.EmptyTrash();
  std::erase_if(messages_, [](const Message& each) { return each.undo_picture != 0; });
}

void Desk::State::On(const ShowInFolder& command) {
  const PictureView* picture = library_.Find(command.id);
  if (picture == nullptr) return;
  std::string folder = std::filesystem::path(picture->file).parent_path().string();
  std::string program = "xdg-open";
  char* arguments[] = {program.data(), folder.data(), nullptr};
  pid_t child = 0;
  if (posix_spawnp(&child, program.c_str(), nullptr, nullptr, arguments, environ) != 0) {
    throw Error(ErrorCode::kUnsupported, "no xdg-open is there to show " + folder);
  }
  // It ends by itself; a thread of its own waits for it, for the desk must not.
  std::thread([child] { waitpid(child, nullptr, 0); }).detach();
}

bool Desk::State::Waits(int64_t comparison) const {
  return std::any_of(jobs_.begin(), jobs_.end(),
                     [&](const Job& job) { return job.stored.comparison == comparison; });
}

void Desk::State::On(const ComparePictures& command) {
  StoredComparison comparison;
  comparison.left = command.left;
  comparison.right = command.right;
  comparison.label =
      "picture " + std::to_string(command.left) + "  |  picture " + std::to_string(command.right);
  comparison.id = store_.AddComparison(comparison);
  comparisons_.insert(comparisons_.begin(), comparison);
  ReadComparison(comparison);
  ListComparisons();
}

void Desk::State::On(const ShowComparison& command) {
  for (const StoredComparison& each : comparisons_) {
    if (each.id == command.id) ReadComparison(each);
  }
  ListComparisons();
}

void Desk::State::On(const RemoveComparison& command) {
  store_.RemoveComparison(command.id);
  std::erase_if(comparisons_, [&](const StoredComparison& each) { return each.id == command.id; });
  if (shown_.id == command.id) {
    shown_ = {};
    if (!comparisons_.empty()) ReadComparison(comparisons_.front());
  }
  ListComparisons();
}

void Desk::State::ReadComparison(const StoredComparison& stored) {
  shown_ = {};
  shown_.id = stored.id;
  const auto read = [&](int64_t id) -> ImagePtr {
    if (id == 0 || library_.Find(id) == nullptr) return nullptr;
    try {
      return library_.Read(id);
    } catch (const Error& error) {
      Say(true, error.what());
      return nullptr;
    }
  };
  shown_.left_image = read(stored.left);
  shown_.right_image = read(stored.right);
  if (shown_.left_image == nullptr || shown_.right_image == nullptr) return;
  auto difference = std::make_shared<Image>(Difference(*shown_.left_image, *shown_.right_image,
                                                       kDifferenceGain, &shown_.mean_difference,
                                                       &shown_.max_difference, &shown_.psnr));
  if (difference->width > 0) shown_.difference = std::move(difference);
}

void Desk::State::ListComparisons() {
  auto list = std::make_shared<std::vector<ComparisonView>>();
  for (const StoredComparison& each : comparisons_) {
    ComparisonView view;
    if (each.id == shown_.id) view = shown_;
    view.id = each.id;
    view.left = each.left;
    view.right = each.right;
    view.label = each.label;
    view.waits = Waits(each.id);
    list->push_back(std::move(view));
  }
  next_.comparisons = std::move(list);
}

}  // namespace fovea
