// The desk's pictures to start from, and masks.
#include <algorithm>
#include <set>

#include "app/studio/desk_state.h"
#include "pipelines/metadata/metadata.h"
#include "pipelines/pictures/formats/png_file.h"
#include "pipelines/pictures/picture_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kShownSide = 1024;  // of the copies that the window draws

}  // namespace

// What people paste as a path: with blanks around it, in quotes, or as a file manager's link.
std::string PathOf(std::string text) {
  const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!text.empty() && blank(text.back())) text.pop_back();
  while (!text.empty() && blank(text.front())) text.erase(text.begin());
  if (text.size() > 1 && (text.front() == '"' || text.front() == '\'') &&
      text.back() == text.front()) {
    text = text.substr(1, text.size() - 2);
  }
  constexpr std::string_view kLink = "file://";
  if (!text.starts_with(kLink)) return text;
  std::string path;
  for (size_t i = kLink.size(); i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      path += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      path += text[i];
    }
  }
  return path;
}

void Desk::State::Give(const Image& image, bool mask, uint64_t request) {
  auto given = std::make_shared<GivenView>();
  given->number = next_.given == nullptr ? 1 : next_.given->number + 1;
  given->digest = inputs_.Keep(image);
  given->is_mask = mask;
  given->request = request;
  given->width = image.width;
  given->height = image.height;
  next_.given = std::move(given);
}

void Desk::State::On(const UsePictureFile& command) {
  const std::string path = PathOf(command.path);
  Give(ReadPicture(path), false, 0);
  if (!command.dropped) return;
  try {
    auto settings =
        std::make_shared<GenerateSettings>(ReadPictureSettings(ReadPngText(path), path).settings);
    Say(false, "The picture says how it was made", "Use its settings");
    messages_.back().settings = std::move(settings);
  } catch (const Error&) {
    // A photo, or of another program: there is nothing to offer.
  }
}

void Desk::State::On(const UseKeptPicture& command) {
  Give(*library_.Read(command.id), false, 0);
}

void Desk::State::On(const KeepMask& command) {
  if (command.mask != nullptr) Give(*command.mask, true, command.request);
}

ShownInputs Desk::State::Show(const GivenInputs& given) {
  const auto shown = [](const ImagePtr& image, ShownCopy* copy) {
    if (copy->of != image) {
      copy->of = image;
      copy->shown =
          image == nullptr ? nullptr : std::make_shared<Image>(Shrink(*image, kShownSide));
    }
    return copy->shown;
  };
  return {shown(given.image, &shown_image_), shown(given.mask, &shown_mask_)};
}

GivenInputs Desk::State::InputsOf(const GenerateSettings& settings) {
  return {inputs_.Read(settings.image, "image"), inputs_.Read(settings.mask, "mask")};
}

void Desk::State::ForgetInputs(const std::vector<GenerateSettings>& history) {
  std::set<std::string> kept;
  const auto keep = [&](const GenerateSettings& settings) {
    kept.insert({settings.image, settings.mask});
  };
  for (const GenerateSettings& each : history) keep(each);
  for (const Job& each : jobs_) keep(each.stored.settings);
  for (const auto& each : *library_.List()) keep(each->settings);
  inputs_.ForgetOthers(kept);
}

}  // namespace fovea
