// Builds noun phrases with optional attributes and joins them by count, list or relation.
#include "tools/scenes/caption.h"

#include <algorithm>

#include "tools/scenes/rng.h"

namespace fovea::scenes {
namespace {

constexpr uint64_t kCaptionStream = 0x63617074696F6Eull;  // apart from the scene's own stream
constexpr size_t kMinCaptions = 4, kMaxCaptions = 8;

// Which optional words a phrase says.
struct Detail {
  bool size = false, material = false;
};

std::string Plural(Shape shape) {
  return shape == Shape::kTorus ? "tori" : std::string(Name(shape)) + "s";
}

// "small red metal sphere" without the article.
std::string Attributes(const Object& object, Detail detail, bool full, Rng* rng) {
  std::string text;
  if (detail.size) text += std::string(Name(object.size)) + " ";
  const bool metal = object.material == Material::kMetal;
  const bool shiny = metal && detail.material && !full && rng->Chance(0.3f);
  if (shiny) text += "shiny ";
  text += std::string(Name(object.color)) + " ";
  if (metal && detail.material && !shiny) text += "metal ";
  // Matte is the default one does not mention, but the word should mean something.
  if (!metal && detail.material && !full && rng->Chance(0.2f)) text += "matte ";
  if (!metal && full) text += "matte ";
  return text;
}

std::string One(const Object& object, Detail detail, bool full, Rng* rng, bool numeral = false) {
  const std::string text = Attributes(object, detail, full, rng) + Name(object.shape);
  if (numeral) return "one " + text;
  return (text.starts_with("orange") ? "an " : "a ") + text;
}

std::string Many(const Scene& scene, Detail detail, bool full, Rng* rng) {
  const char* number = scene.objects.size() == 2 ? "two " : "three ";
  return number + Attributes(scene.objects[0], detail, full, rng) + Plural(scene.objects[0].shape);
}

Relation Opposite(Relation relation) {
  switch (relation) {
    case Relation::kLeft:
      return Relation::kRight;
    case Relation::kRight:
      return Relation::kLeft;
    case Relation::kFront:
      return Relation::kBehind;
    case Relation::kBehind:
      return Relation::kFront;
    default:
      return Relation::kNone;
  }
}

const char* Words(Relation relation) {
  switch (relation) {
    case Relation::kLeft:
      return " to the left of ";
    case Relation::kRight:
      return " to the right of ";
    case Relation::kFront:
      return " in front of ";
    case Relation::kBehind:
      return " behind ";
    default:
      return " and ";
  }
}

Detail AnyDetail(Rng* rng) {
  return {rng->Chance(0.5f), rng->Chance(0.7f)};
}

std::string Related(const Scene& scene, bool reversed, bool full, Rng* rng) {
  const Object& a = scene.objects[reversed ? 1 : 0];
  const Object& b = scene.objects[reversed ? 0 : 1];
  const Relation relation = reversed ? Opposite(scene.relation) : scene.relation;
  // Size and material are said of either object on its own, as people do.
  const Detail all{true, true};
  const std::string first = One(a, full ? all : AnyDetail(rng), full, rng);
  const std::string second = One(b, full ? all : AnyDetail(rng), full, rng);
  const bool sideways = relation == Relation::kLeft || relation == Relation::kRight;
  if (sideways && !full && rng->Chance(0.2f)) {
    const bool left = relation == Relation::kLeft;
    return first + (left ? " on the left and " : " on the right and ") + second +
           (left ? " on the right" : " on the left");
  }
  return first + Words(relation) + second;
}

std::string Listed(const Scene& scene, bool full, Rng* rng) {
  std::vector<size_t> order(scene.objects.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  for (size_t i = order.size(); !full && i > 1; --i) {
    std::swap(order[i - 1], order[rng->Below(static_cast<int>(i))]);
  }
  const bool numeral = order.size() == 1 && !full && rng->Chance(0.2f);
  const Detail detail = full ? Detail{true, true} : AnyDetail(rng);
  std::string text;
  for (const size_t i : order) {
    if (!text.empty()) text += " and ";
    text += One(scene.objects[i], detail, full, rng, numeral);
  }
  return text;
}

std::string Statement(const Scene& scene, bool full, Rng* rng) {
  if (scene.identical) return Many(scene, full ? Detail{true, true} : AnyDetail(rng), full, rng);
  if (scene.relation != Relation::kNone && (full || rng->Chance(0.75f))) {
    return Related(scene, !full && rng->Chance(0.5f), full, rng);
  }
  return Listed(scene, full, rng);
}

std::string Framed(std::string text, Rng* rng) {
  const float pick = rng->Uniform();
  if (pick < 0.10f) return "a picture of " + text;
  if (pick < 0.16f) return "a photo of " + text;
  // "on a table" after "... on the right" would read oddly.
  if (pick < 0.26f && text.find(" on the ") == std::string::npos) return text + " on a table";
  return text;
}

}  // namespace

std::vector<std::string> MakeCaptions(const Scene& scene) {
  Rng rng(scene.seed ^ kCaptionStream, scene.index);
  std::vector<std::string> captions{Statement(scene, true, &rng)};
  const auto add = [&](const std::string& text) {
    if (std::find(captions.begin(), captions.end(), text) == captions.end()) {
      captions.push_back(text);
    }
  };
  const size_t wanted = kMinCaptions + 1 + rng.Below(kMaxCaptions - kMinCaptions);
  for (int i = 0; i < 60 && captions.size() < wanted; ++i) {
    add(Framed(Statement(scene, false, &rng), &rng));
  }
  return captions;
}

const std::vector<std::string>& Vocabulary() {
  static const std::vector<std::string> words = [] {
    std::vector<std::string> all{"a",     "an",    "and",     "behind", "front", "in",
                                 "large", "left",  "matte",   "metal",  "of",    "on",
                                 "one",   "photo", "picture", "right",  "shiny", "small",
                                 "table", "the",   "three",   "to",     "two"};
    for (int i = 0; i < kColors; ++i) all.push_back(Name(static_cast<Color>(i)));
    for (int i = 0; i < kShapes; ++i) {
      all.push_back(Name(static_cast<Shape>(i)));
      all.push_back(Plural(static_cast<Shape>(i)));
    }
    std::sort(all.begin(), all.end());
    return all;
  }();
  return words;
}

}  // namespace fovea::scenes
