#include "tools/evaluate/sheet.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace fovea::evaluate {
namespace {

constexpr int kPicture = 160, kGap = 8, kFrame = 3, kLine = 12, kLines = 3;
constexpr double kLetter = 0.31;

// Words on lines that fit under a picture.
std::vector<std::string> Wrapped(const std::string& text) {
  std::vector<std::string> lines(1);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    const std::string longer = lines.back().empty() ? word : lines.back() + " " + word;
    int base = 0;
    const int width = cv::getTextSize(longer, cv::FONT_HERSHEY_SIMPLEX, kLetter, 1, &base).width;
    if (width > kPicture && !lines.back().empty())
      lines.push_back(word);
    else
      lines.back() = longer;
    begin = end + 1;
  }
  lines.resize(std::min<size_t>(lines.size(), kLines));
  return lines;
}

}  // namespace

cv::Mat MakeSheet(const std::vector<SheetEntry>& entries, int columns) {
  const int cell = kPicture + 2 * kFrame + kGap, tall = cell + kLines * kLine;
  const int rows = (static_cast<int>(entries.size()) + columns - 1) / columns;
  cv::Mat sheet(rows * tall + kGap, columns * cell + kGap, CV_8UC3, cv::Scalar::all(250));
  for (size_t i = 0; i < entries.size(); ++i) {
    const SheetEntry& entry = entries[i];
    const int x = kGap + static_cast<int>(i) % columns * cell;
    const int y = kGap + static_cast<int>(i) / columns * tall;
    const cv::Scalar color = entry.right ? cv::Scalar(40, 150, 70) : cv::Scalar(205, 60, 50);
    cv::rectangle(sheet, {x, y, kPicture + 2 * kFrame, kPicture + 2 * kFrame}, color, cv::FILLED);
    cv::Mat scaled;
    cv::resize(entry.picture, scaled, {kPicture, kPicture}, 0, 0, cv::INTER_AREA);
    scaled.copyTo(sheet({x + kFrame, y + kFrame, kPicture, kPicture}));
    int line = y + kPicture + 2 * kFrame + kLine - 2;
    for (const std::string& text : Wrapped(entry.prompt)) {
      cv::putText(sheet, text, {x, line}, cv::FONT_HERSHEY_SIMPLEX, kLetter, cv::Scalar::all(40), 1,
                  cv::LINE_AA);
      line += kLine;
    }
  }
  return sheet;
}

}  // namespace fovea::evaluate
