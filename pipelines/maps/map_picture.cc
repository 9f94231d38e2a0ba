#include "pipelines/maps/map_picture.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include <opencv2/imgproc.hpp>

#include "models/clip/unicode_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kTitle = 34, kBar = 92, kMargin = 10;  // pixels around the picture
constexpr int kLeast = 256;                          // of the shown picture's longer side
const cv::Scalar kGround(24, 24, 28), kInk(232, 232, 236), kDim(150, 150, 158);
constexpr double kFont = 0.5;

// ColorBrewer's RdBu of eleven classes, from blue to red.
constexpr std::array<std::array<uint8_t, 3>, 11> kRedBlue = {{{5, 48, 97},
                                                              {33, 102, 172},
                                                              {67, 147, 195},
                                                              {146, 197, 222},
                                                              {209, 229, 240},
                                                              {247, 247, 247},
                                                              {253, 219, 199},
                                                              {244, 165, 130},
                                                              {214, 96, 77},
                                                              {178, 24, 43},
                                                              {103, 0, 31}}};

// Twelve colours far from each other, for segments.
constexpr std::array<std::array<uint8_t, 3>, 12> kLabels = {{{78, 121, 167},
                                                             {242, 142, 43},
                                                             {89, 161, 79},
                                                             {225, 87, 89},
                                                             {118, 183, 178},
                                                             {237, 201, 72},
                                                             {176, 122, 161},
                                                             {255, 157, 167},
                                                             {156, 117, 95},
                                                             {186, 176, 172},
                                                             {40, 90, 60},
                                                             {120, 60, 120}}};

const cv::Mat& Table(ColorScale scale) {
  const auto make = [](int map) {
    cv::Mat ramp(1, 256, CV_8U), colors;
    for (int i = 0; i < 256; ++i) ramp.at<uint8_t>(0, i) = static_cast<uint8_t>(i);
    cv::applyColorMap(ramp, colors, map);
    cv::cvtColor(colors, colors, cv::COLOR_BGR2RGB);
    return colors;
  };
  static const cv::Mat inferno = make(cv::COLORMAP_INFERNO), viridis = make(cv::COLORMAP_VIRIDIS);
  return scale == ColorScale::kViridis ? viridis : inferno;
}

// What the font has no letters for.
std::string Ascii(const std::string& text) {
  std::string out;
  for (const char32_t c : unicode::Normalize(unicode::Decode(text), unicode::Form::kNfkd)) {
    if (c < 0x80) {
      out += c < 0x20 ? ' ' : static_cast<char>(c);
    } else if (c < 0x300 || c > 0x36f) {  // accents go
      char number[16];
      std::snprintf(number, sizeof number, "U+%X", static_cast<unsigned>(c));
      out += number;
    }
  }
  return out;
}

int TextWidth(const std::string& text, double size) {
  return cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, size, 1, nullptr).width;
}

// Cut from the left, where paths are all alike, until it fits.
std::string Fit(const std::string& text, int width, double size) {
  std::string fit = Ascii(text);
  if (TextWidth(fit, size) <= width) return fit;
  while (fit.size() > 1 && TextWidth(".." + fit, size) > width) fit.erase(0, 1);
  return ".." + fit;
}

void Write(cv::Mat& canvas, const std::string& text, int x, int y, double size,
           const cv::Scalar& color) {
  cv::putText(canvas, text, {x, y}, cv::FONT_HERSHEY_SIMPLEX, size, color, 1, cv::LINE_AA);
}

cv::Mat View(const Image& image) {
  // Only read from.
  return {image.height, image.width, CV_8UC3, const_cast<uint8_t*>(image.rgb.data())};
}

Image ToImage(const cv::Mat& rgb) {
  Image image{rgb.cols, rgb.rows, {}};
  for (int y = 0; y < rgb.rows; ++y) {
    const auto* row = rgb.ptr<uint8_t>(y);
    image.rgb.insert(image.rgb.end(), row, row + 3 * static_cast<std::ptrdiff_t>(rgb.cols));
  }
  return image;
}

cv::Mat Enlarged(const Image& picture) {
  const int longer = std::max(picture.width, picture.height);
  const int factor = std::max(1, (kLeast + longer - 1) / longer);
  cv::Mat large;
  cv::resize(View(picture), large, {}, factor, factor,
             factor > 1 ? cv::INTER_CUBIC : cv::INTER_NEAREST);
  return large;
}

double Share(const MapPicture& how, double value) {
  return how.high > how.low ? std::clamp((value - how.low) / (how.high - how.low), 0.0, 1.0) : 0.5;
}

// The picture `under` the map, in place.
void Paint(cv::Mat& under, const HeatMap& map, const MapPicture& how) {
  const HeatMap large = how.smooth && !how.labels ? ResizeBicubic(map, under.rows, under.cols)
                                                  : ResizeNearest(map, under.rows, under.cols);
  for (int y = 0; y < under.rows; ++y) {
    auto* row = under.ptr<uint8_t>(y);
    for (int x = 0; x < under.cols; ++x) {
      uint8_t* pixel = row + 3 * static_cast<std::ptrdiff_t>(x);
      const double value =
          static_cast<double>(large.values[static_cast<size_t>(y) * under.cols + x]);
      const double grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
      std::array<uint8_t, 3> color;
      double cover = 0.6;
      if (how.labels) {
        color = kLabels[static_cast<size_t>(std::lround(value)) % kLabels.size()];
      } else {
        const double share = Share(how, value);
        color = ColorOf(how.scale, share);
        cover = how.scale == ColorScale::kRedBlue ? 0.35 + 1.1 * std::abs(share - 0.5)
                                                  : 0.35 + 0.5 * share;
      }
      for (size_t c = 0; c < 3; ++c) {
        const double base = 0.8 * (0.6 * grey + 0.4 * pixel[c]);
        const double dimmed = how.labels ? 0.4 * grey + 0.6 * pixel[c] : base;
        pixel[c] = static_cast<uint8_t>(std::lround((1 - cover) * dimmed + cover * color[c]));
      }
    }
  }
}

// A ring with a dark rim, so that it shows on any ground.
void Mark(cv::Mat& picture, const std::array<double, 2>& at) {
  if (at[0] < 0) return;
  const cv::Point center(static_cast<int>(at[1] * picture.cols),
                         static_cast<int>(at[0] * picture.rows));
  cv::circle(picture, center, 9, cv::Scalar(0, 0, 0), 4, cv::LINE_AA);
  cv::circle(picture, center, 9, cv::Scalar(255, 255, 255), 2, cv::LINE_AA);
}

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

cv::Mat Canvas(const cv::Mat& picture, const MapPicture& how) {
  cv::Mat canvas(picture.rows + kTitle + 2 * kMargin, picture.cols + kBar + 2 * kMargin, CV_8UC3,
                 kGround);
  picture.copyTo(canvas(cv::Rect(kMargin, kMargin + kTitle, picture.cols, picture.rows)));
  const int note = how.note.empty() ? 0 : TextWidth(Ascii(how.note), 0.4) + 12;
  const int width = canvas.cols - 2 * kMargin - note;
  Write(canvas, Fit(how.title, width, kFont), kMargin, kMargin + 18, kFont, kInk);
  if (note > 0) {
    Write(canvas, Ascii(how.note), canvas.cols - kMargin - note + 12, kMargin + 17, 0.4, kDim);
  }
  return canvas;
}

}  // namespace

std::array<uint8_t, 3> ColorOf(ColorScale scale, double value) {
  value = std::clamp(value, 0.0, 1.0);
  if (scale != ColorScale::kRedBlue) {
    const auto& color = Table(scale).at<cv::Vec3b>(0, static_cast<int>(std::lround(value * 255)));
    return {color[0], color[1], color[2]};
  }
  const double at = value * (kRedBlue.size() - 1);
  const size_t low = std::min(static_cast<size_t>(at), kRedBlue.size() - 2);
  std::array<uint8_t, 3> color;
  for (size_t c = 0; c < 3; ++c) {
    const double part = at - static_cast<double>(low);
    color[c] = static_cast<uint8_t>(
        std::lround((1 - part) * kRedBlue[low][c] + part * kRedBlue[low + 1][c]));
  }
  return color;
}

MapPicture ChoosePicture(const AttentionMap& map) {
  MapPicture how;
  how.low = static_cast<double>(map.map.Min());
  how.high = static_cast<double>(map.map.Max());
  how.labels = map.kind == "segments";
  how.smooth = map.kind == "words" || map.kind == "concepts" || map.kind == "chefer";
  if (map.is_signed) {
    how.scale = ColorScale::kRedBlue;
    how.high = std::max(std::abs(how.low), std::abs(how.high));
    how.low = -how.high;
  } else if (how.low > 0 && how.high < 1.2 * how.low) {
    how.low = 0;
  }
  if (map.kind == "entropy") {
    how.scale = ColorScale::kViridis;
  }
  how.title = map.kind;
  how.mark = map.mark;
  if (!map.word.empty()) how.title = map.kind == "rows" ? "from " + map.word : map.word;
  if (!map.layer.empty()) how.title += "  " + map.layer;
  if (map.head >= 0) how.title += " #" + std::to_string(map.head);
  if (map.step >= 0) how.note = "step " + std::to_string(map.step);
  return how;
}

Image DrawOverlay(const Image& picture, const HeatMap& map, const MapPicture& how) {
  cv::Mat large = Enlarged(picture);
  Paint(large, map, how);
  Mark(large, how.mark);
  return ToImage(large);
}

Image DrawMap(const Image& picture, const HeatMap& map, const MapPicture& how) {
  cv::Mat large = Enlarged(picture);
  Paint(large, map, how);
  Mark(large, how.mark);
  cv::Mat canvas = Canvas(large, how);
  const int left = kMargin + large.cols + 14, top = kMargin + kTitle;
  if (how.labels) {
    const int count = static_cast<int>(std::lround(how.high)) + 1;
    for (int i = 0; i < std::min(count, 16); ++i) {
      const auto& color = kLabels[static_cast<size_t>(i) % kLabels.size()];
      cv::rectangle(canvas, cv::Rect(left, top + i * 22, 14, 14),
                    cv::Scalar(color[0], color[1], color[2]), cv::FILLED);
      Write(canvas, std::to_string(i), left + 22, top + i * 22 + 12, 0.42, kInk);
    }
    return ToImage(canvas);
  }
  for (int y = 0; y < large.rows; ++y) {
    const auto color = ColorOf(how.scale, 1 - y / std::max(1.0, large.rows - 1.0));
    cv::line(canvas, {left, top + y}, {left + 14, top + y},
             cv::Scalar(color[0], color[1], color[2]));
  }
  const auto tick = [&](double share) {
    const int y = top + static_cast<int>(std::lround((1 - share) * (large.rows - 1)));
    cv::line(canvas, {left + 15, y}, {left + 18, y}, kDim);
    const int base = std::clamp(y + 4, top + 9, top + large.rows - 1);
    Write(canvas, Number(how.low + share * (how.high - how.low)), left + 21, base, 0.38, kInk);
  };
  for (const double share : {0.0, 0.5, 1.0}) tick(share);
  return ToImage(canvas);
}

Image DrawPlain(const Image& picture, const std::string& title) {
  MapPicture how;
  how.title = title;
  return ToImage(Canvas(Enlarged(picture), how));
}

Image Sheet(const std::vector<Image>& pictures, int columns) {
  ENSURE(!pictures.empty() && columns > 0);
  int width = 0, height = 0;
  for (const Image& each : pictures) {
    width = std::max(width, each.width);
    height = std::max(height, each.height);
  }
  const int count = static_cast<int>(pictures.size());
  columns = std::min(columns, count);
  cv::Mat canvas((count + columns - 1) / columns * height, columns * width, CV_8UC3, kGround);
  for (int i = 0; i < count; ++i) {
    const Image& each = pictures[static_cast<size_t>(i)];
    View(each).copyTo(
        canvas(cv::Rect(i % columns * width, i / columns * height, each.width, each.height)));
  }
  return ToImage(canvas);
}

}  // namespace fovea
