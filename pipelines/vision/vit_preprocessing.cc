#include "pipelines/vision/vit_preprocessing.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

#include "models/layers.h"
#include "models/vit/timm_config.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using Fit = VitPreprocessing::Fit;

constexpr int64_t kMostSide = 1 << 14;
constexpr std::array<double, 3> kClipMean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kClipStd = {0.26862954, 0.26130258, 0.27577711};
constexpr std::array<double, 3> kHalf = {0.5, 0.5, 0.5};
constexpr std::array<double, 3> kImageNetMean = {0.485, 0.456, 0.406};
constexpr std::array<double, 3> kImageNetStd = {0.229, 0.224, 0.225};

// The image processors of transformers, by what their names begin with: fields that a file leaves
// out, and whether one number for `size` means a square.
struct Processor {
  const char* name;
  const char* model;  // classes that begin so use it
  ResampleFilter filter;
  std::array<double, 3> mean, std;
  bool square;
  int64_t size;
  bool crop;
};

constexpr std::array<Processor, 4> kProcessors = {{
    {"ViT", "ViT", ResampleFilter::kBilinear, kHalf, kHalf, true, 224, false},
    {"DeiT", "DeiT", ResampleFilter::kBicubic, kHalf, kHalf, true, 256, true},
    {"CLIP", "CLIP", ResampleFilter::kBicubic, kClipMean, kClipStd, false, 224, true},
    {"Bit", "Dinov2", ResampleFilter::kBicubic, kClipMean, kClipStd, false, 224, true},
}};

const Processor& FindProcessor(const Config& config, const std::string& class_name) {
  const char* field =
      config.Has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  const auto named = config.OptionalString(field);
  config.Ignore({"image_processor_type", "feature_extractor_type"});
  for (const Processor& each : kProcessors) {
    const std::string& text = named ? *named : class_name;
    if (text.starts_with(named ? each.name : each.model)) return each;
  }
  if (!named) return kProcessors[0];
  ThrowUnsupportedField(config, field,
                        "\"" + *named +
                            "\" is not one that we have: ViT, DeiT, CLIP and Bit "
                            "image processors");
}

int ReadSide(const Config& config, std::string_view field, int64_t otherwise) {
  return static_cast<int>(config.Int(field, 1, kMostSide, otherwise));
}

bool IsNumber(const Config& config, const char* field) {
  return config.Has(field) && config.Json().at(field).is_number();
}

void ReadSize(const Config& config, const Processor& processor, VitPreprocessing& out) {
  out.height = out.width = out.shortest = static_cast<int>(processor.size);
  out.fit = processor.square ? Fit::kExact : Fit::kShortestEdge;
  if (IsNumber(config, "size")) {
    out.height = out.width = out.shortest = ReadSide(config, "size", processor.size);
  } else if (config.Has("size")) {
    const Config size = config.Object("size");
    if (size.Has("shortest_edge")) {
      out.fit = Fit::kShortestEdge;
      out.shortest = ReadSide(size, "shortest_edge", 0);
      if (size.Has("longest_edge")) out.longest = ReadSide(size, "longest_edge", 0);
    } else {
      out.fit = Fit::kExact;
      out.height = static_cast<int>(size.Int("height", 1, kMostSide));
      out.width = static_cast<int>(size.Int("width", 1, kMostSide));
    }
    size.CheckAllRead();
  }
  if (!config.Bool("do_resize", true)) out.fit = Fit::kNone;
}

void ReadCrop(const Config& config, const Processor& processor, VitPreprocessing& out) {
  out.crop = config.Bool("do_center_crop", processor.crop);
  if (IsNumber(config, "crop_size")) {
    out.crop_height = out.crop_width = ReadSide(config, "crop_size", 224);
  } else if (config.Has("crop_size")) {
    const Config size = config.Object("crop_size");
    out.crop_height = static_cast<int>(size.Int("height", 1, kMostSide));
    out.crop_width = static_cast<int>(size.Int("width", 1, kMostSide));
    size.CheckAllRead();
  }
}

std::array<double, 3> ReadThree(const Config& config, const char* field,
                                const std::array<double, 3>& otherwise) {
  if (!config.Has(field)) return otherwise;
  if (IsNumber(config, field)) {
    const double value = config.Number(field, 0);
    return {value, value, value};
  }
  const std::vector<double> values = config.Numbers(field);
  if (values.size() != 3) ThrowBadField(config, field, "must be three numbers, one a colour");
  return {values[0], values[1], values[2]};
}

void CheckDeviations(const Config& config, const char* field, const std::array<double, 3>& std) {
  for (const double value : std) {
    if (!(std::abs(value) > 0)) ThrowBadField(config, field, "must not hold 0");
  }
}

ResampleFilter ReadFilterName(const Config& config) {
  const std::string name = config.String("interpolation", "bicubic");
  if (name == "bicubic") return ResampleFilter::kBicubic;
  if (name == "bilinear") return ResampleFilter::kBilinear;
  if (name == "nearest") return ResampleFilter::kNearest;
  if (name == "lanczos") return ResampleFilter::kLanczos;
  if (name == "box") return ResampleFilter::kBox;
  if (name == "hamming") return ResampleFilter::kHamming;
  ThrowUnsupportedField(config, "interpolation", "\"" + name + "\" is not a filter that we have");
}

Image Resized(const VitPreprocessing& how, const Image& image) {
  if (how.fit == Fit::kNone) return image;
  if (how.fit == Fit::kExact) return Resize(image, how.width, how.height, how.filter);
  const double low = std::min(image.width, image.height),
               high = std::max(image.width, image.height);
  double shorter = how.shortest, longer = std::floor(shorter * high / low);
  if (how.longest > 0 && high / low * shorter > how.longest) {
    const double exact = how.longest * low / high;
    shorter = std::nearbyint(exact);
    longer = std::floor(exact * high / low);
  }
  if (shorter < 1 || longer > kMostSide) {
    throw Error(ErrorCode::kBadFile, "a picture of " + std::to_string(image.width) + " x " +
                                         std::to_string(image.height) +
                                         " is too long and thin for this model");
  }
  const bool upright = image.height >= image.width;
  return Resize(image, static_cast<int>(upright ? shorter : longer),
                static_cast<int>(upright ? longer : shorter), how.filter);
}

// The first row or column of the middle `wanted` of `have`; negative where black comes first.
int CropStart(int have, int wanted, bool to_even) {
  const int rest = have - wanted;
  if (rest < 0) return -((1 - rest) / 2);
  return to_even ? static_cast<int>(std::nearbyint(rest / 2.0)) : rest / 2;
}

}  // namespace

HostTensor VitPreprocessing::Apply(const Image& image) const {
  const Image resized = Resized(*this, image);
  const int out_h = crop ? crop_height : resized.height, out_w = crop ? crop_width : resized.width;
  const int top = crop ? CropStart(resized.height, out_h, crop_rounds_to_even) : 0;
  const int left = crop ? CropStart(resized.width, out_w, crop_rounds_to_even) : 0;
  HostTensor out({1, 3, out_h, out_w}, DType::kF32);
  float* to = out.Data<float>();
  for (size_t c = 0; c < 3; ++c) {
    const auto center = static_cast<float>(mean[c]), spread = static_cast<float>(std[c]);
    for (int y = top; y < top + out_h; ++y) {
      for (int x = left; x < left + out_w; ++x) {
        const bool inside = y >= 0 && y < resized.height && x >= 0 && x < resized.width;
        const size_t at = inside
                              ? 3 * (static_cast<size_t>(y) * static_cast<size_t>(resized.width) +
                                     static_cast<size_t>(x)) +
                                    c
                              : 0;
        const double value = inside ? resized.rgb[at] : 0;
        *to++ = (static_cast<float>(value * scale) - center) / spread;
      }
    }
  }
  return out;
}

VitPreprocessing ParseVitPreprocessing(const Config& config, const std::string& class_name) {
  const Processor& processor = FindProcessor(config, class_name);
  VitPreprocessing out;
  ReadSize(config, processor, out);
  ReadCrop(config, processor, out);
  out.filter = static_cast<ResampleFilter>(
      config.Int("resample", 0, 5, static_cast<int64_t>(processor.filter)));
  const double factor = config.Number("rescale_factor", 1.0 / 255);
  out.scale = config.Bool("do_rescale", true) ? factor : 1;
  const auto mean = ReadThree(config, "image_mean", processor.mean);
  const auto std = ReadThree(config, "image_std", processor.std);
  CheckDeviations(config, "image_std", std);
  if (config.Bool("do_normalize", true)) {
    out.mean = mean;
    out.std = std;
  }
  config.Only("do_pad", false);
  config.Ignore({"do_convert_rgb", "processor_class", "data_format", "input_data_format",
                 "return_tensors", "device", "disable_grouping", "default_to_square",
                 "image_seq_length", "use_square_size", "auto_map", "model_input_names", "pad_size",
                 "antialias", "size_divisor"});
  config.CheckAllRead();
  return out;
}

VitPreprocessing ParseTimmPreprocessing(const Config& config) {
  VitPreprocessing out;
  if (!config.Has("pretrained_cfg")) {
    ThrowBadField(config, "pretrained_cfg",
                  "is missing; it says how pictures are resized and normalised");
  }
  const Config how = config.Object("pretrained_cfg");
  const std::vector<int64_t> input = how.Ints("input_size", 3, 1, kMostSide);
  const double share = how.Number("crop_pct", 0.875);
  if (!(share > 0) || share > 16) ThrowBadField(how, "crop_pct", "must be above 0, at most 16");
  const std::string mode = how.String("crop_mode", "center");
  if (mode != "center" && mode != "squash") {
    ThrowUnsupportedField(how, "crop_mode",
                          "\"" + mode + "\" is not one that we have: center, squash");
  }
  const auto scaled = [share](int64_t side) {
    return static_cast<int>(std::clamp(std::floor(static_cast<double>(side) / share), 1.0,
                                       static_cast<double>(kMostSide)));
  };
  if (mode == "center" && input[1] != input[2]) {
    ThrowUnsupportedField(how, "input_size",
                          "is not square, which only crop_mode \"squash\" takes");
  }
  out.fit = mode == "center" ? Fit::kShortestEdge : Fit::kExact;
  out.shortest = out.height = scaled(input[1]);
  out.width = scaled(input[2]);
  out.filter = ReadFilterName(how);
  out.crop = true;
  out.crop_rounds_to_even = true;
  out.crop_height = static_cast<int>(input[1]);
  out.crop_width = static_cast<int>(input[2]);
  out.mean = ReadThree(how, "mean", kImageNetMean);
  out.std = ReadThree(how, "std", kImageNetStd);
  CheckDeviations(how, "std", out.std);
  return out;
}

VitPreprocessing ReadVitPreprocessing(const ComponentFolder& component) {
  if (component.class_name == kTimmClass) {
    return ParseTimmPreprocessing(Config::ReadFile(component.folder / "config.json"));
  }
  constexpr const char* kName = "preprocessor_config.json";
  const fs::path folder = component.folder;
  std::error_code error;
  std::vector<fs::path> places = {folder / kName};
  if (const fs::path pipeline = folder / ".."; fs::exists(pipeline / "model_index.json", error)) {
    places.insert(places.end(), {pipeline / kName, pipeline / "feature_extractor" / kName});
  }
  for (const fs::path& path : places) {
    if (!fs::is_regular_file(path, error)) continue;
    return ParseVitPreprocessing(Config::ReadFile(path), component.class_name);
  }
  throw Error(ErrorCode::kBadFile,
              folder.string() + ": has no " + kName +
                  ", which says how pictures are resized and normalised; put the model's there");
}

}  // namespace fovea
