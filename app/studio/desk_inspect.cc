// The desk's part of looking into pictures: finds what is asked for, and tells what came of it.
#include "app/studio/desk_state.h"
#include "pipelines/pictures/picture_file.h"
#include "tensor/error.h"

namespace fovea {

void Desk::State::On(const InspectPicture& command) {
  const PictureView* picture = library_.Find(command.id);
  if (picture == nullptr) throw Error(ErrorCode::kUsage, "this picture is not in the gallery");
  InspectTask task;
  task.picture = command.id;
  task.name = picture->settings.prompt;
  task.settings = picture->settings;
  task.given = InputsOf(picture->settings);
  task.image = library_.Read(command.id);
  task.step = command.step;
  if (inspector_ == nullptr) inspector_ = std::make_unique<Inspector>(access_, inspected_);
  inspector_->Post(std::move(task));
}

void Desk::State::On(const InspectByVit& command) {
  InspectTask task;
  task.vit = true;
  task.picture = command.id;
  task.model = command.model;
  if (command.path.empty()) {
    task.image = library_.Read(command.id);
    task.name = "picture " + std::to_string(command.id);
  } else {
    const std::string path = PathOf(command.path);
    task.image = std::make_shared<Image>(ReadPicture(path));
    task.name = std::filesystem::path(path).filename().string();
  }
  if (inspector_ == nullptr) inspector_ = std::make_unique<Inspector>(access_, inspected_);
  inspector_->Post(std::move(task));
}

void Desk::State::Handle(std::shared_ptr<const InspectView> view) {
  next_.inspect = std::move(view);
  changed_ = true;
}

}  // namespace fovea
