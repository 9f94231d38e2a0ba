#include "pipelines/bench/attention_plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include <opencv2/imgproc.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

// Everything is drawn twice as large and then shrunk: OpenCV's letters become smooth.
constexpr int kZoom = 2;
constexpr int kPanelWidth = 860, kPanelHeight = 560;
constexpr int kLeft = 76, kTop = 60, kBottom = 64, kLegend = 250;

const cv::Scalar kInk(40, 40, 40), kPale(225, 225, 225), kGrey(130, 130, 130);
// Dark enough on white, and told apart by most eyes (after Okabe and Ito); RGB.
const cv::Scalar kColours[] = {{30, 30, 30},   {0, 114, 178}, {213, 94, 0},   {0, 158, 115},
                               {204, 80, 167}, {230, 159, 0}, {86, 180, 233}, {120, 94, 240},
                               {140, 100, 50}, {110, 130, 0}};

enum class Anchor { kLeft, kCentre, kRight };

class Canvas {
 public:
  Canvas(int width, int height)
      : pixels_(height * kZoom, width * kZoom, CV_8UC3, cv::Scalar(255, 255, 255)) {}

  void Line(double x0, double y0, double x1, double y1, const cv::Scalar& colour,
            double width = 1) {
    cv::line(pixels_, At(x0, y0), At(x1, y1), colour, Width(width), cv::LINE_AA);
  }
  void Dashes(double x0, double y0, double x1, double y1, const cv::Scalar& colour) {
    const double length = std::hypot(x1 - x0, y1 - y0);
    for (double at = 0; at < length; at += 7) {
      const double a = at / length, b = std::min(1.0, (at + 3) / length);
      Line(x0 + a * (x1 - x0), y0 + a * (y1 - y0), x0 + b * (x1 - x0), y0 + b * (y1 - y0), colour,
           1);
    }
  }
  void Disk(double x, double y, double radius, const cv::Scalar& colour) {
    cv::circle(pixels_, At(x, y), Width(radius), colour, cv::FILLED, cv::LINE_AA);
  }
  void Box(double x0, double y0, double x1, double y1, const cv::Scalar& colour) {
    cv::rectangle(pixels_, At(x0, y0), At(x1, y1), colour, cv::FILLED, cv::LINE_AA);
  }
  // Letters about 11 points high at size 1, centred on y.
  void Text(double x, double y, const std::string& text, Anchor anchor = Anchor::kLeft,
            double size = 1, const cv::Scalar& colour = kInk) {
    const double scale = 0.45 * size * kZoom;
    const int width = size > 1 ? 2 * kZoom - 1 : kZoom;
    int baseline = 0;
    const cv::Size box = cv::getTextSize(text, cv::FONT_HERSHEY_SIMPLEX, scale, width, &baseline);
    cv::Point at = At(x, y);
    at.y += box.height / 2;
    if (anchor == Anchor::kCentre) at.x -= box.width / 2;
    if (anchor == Anchor::kRight) at.x -= box.width;
    cv::putText(pixels_, text, at, cv::FONT_HERSHEY_SIMPLEX, scale, colour, width, cv::LINE_AA);
  }
  Image Finish() const {
    cv::Mat small;
    cv::resize(pixels_, small, {}, 1.0 / kZoom, 1.0 / kZoom, cv::INTER_AREA);
    Image image{small.cols, small.rows, {}};
    image.rgb.assign(small.datastart, small.dataend);
    return image;
  }

 private:
  static cv::Point At(double x, double y) {
    return {static_cast<int>(std::lround(x * kZoom)), static_cast<int>(std::lround(y * kZoom))};
  }
  static int Width(double width) { return std::max(1, static_cast<int>(width * kZoom)); }
  cv::Mat pixels_;
};

std::string Format(const char* format, double value) {
  char text[48];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string Milliseconds(double seconds) {
  const double ms = seconds * 1e3;
  return Format(ms >= 100 ? "%.0f ms" : ms >= 10 ? "%.1f ms" : ms >= 1 ? "%.2f ms" : "%.3f ms", ms);
}

int64_t Tokens(const AttentionTiming& timing) {
  return int64_t{timing.grid[0]} * timing.grid[1] * timing.grid[2];
}

std::string Title(const AttentionTiming& any) {
  return "head size " + std::to_string(any.dim) + ", " + std::to_string(any.heads) +
         (any.heads == 1 ? " head, " : " heads, ") + std::string(Name(any.dtype)) + ", " +
         std::to_string(any.threads) + (any.threads == 1 ? " thread" : " threads");
}

// One curve: an operator's timings over the grids, fewest tokens first.
struct Curve {
  std::string op;
  std::vector<AttentionTiming> points;
};

std::vector<Curve> Curves(std::span<const AttentionTiming> timings, int dim) {
  std::vector<Curve> curves;
  for (const AttentionTiming& timing : timings) {
    if (timing.dim != dim) continue;
    auto curve = std::find_if(curves.begin(), curves.end(),
                              [&timing](const Curve& each) { return each.op == timing.op; });
    if (curve == curves.end()) curve = curves.insert(curve, Curve{timing.op, {}});
    curve->points.push_back(timing);
  }
  for (Curve& curve : curves) {
    std::stable_sort(curve.points.begin(), curve.points.end(),
                     [](const auto& a, const auto& b) { return Tokens(a) < Tokens(b); });
  }
  return curves;
}

// The operator's name without its arguments on one line, these on the next.
void Legend(Canvas& canvas, double x, double y, const std::string& op, const std::string& note,
            const cv::Scalar& colour) {
  const size_t open = op.find('(');
  canvas.Line(x, y, x + 22, y, colour, 2);
  canvas.Disk(x + 11, y, 3, colour);
  canvas.Text(x + 30, y, op.substr(0, open) + note);
  if (open != std::string::npos) {
    canvas.Text(x + 30, y + 15, op.substr(open + 1, op.size() - open - 2), Anchor::kLeft, 0.85,
                kGrey);
  }
}

// Measured milliseconds (lines) and bounds (dashes) over tokens.
void DrawLines(Canvas& canvas, double left, const std::vector<Curve>& curves) {
  const double x0 = left + kLeft, x1 = left + kPanelWidth - kLegend, y0 = kTop,
               y1 = kPanelHeight - kBottom;
  double low = 1e300, high = 0, few = 1e300, many = 0;
  std::set<std::pair<int64_t, std::array<int, 3>>> grids;
  for (const Curve& curve : curves) {
    for (const AttentionTiming& point : curve.points) {
      low = std::min({low, point.seconds, point.bound_seconds});
      high = std::max(high, point.seconds);
      grids.insert({Tokens(point), point.grid});
    }
  }
  few = static_cast<double>(grids.begin()->first) / 1.3;
  many = static_cast<double>(grids.rbegin()->first) * 1.3;
  low = std::log10(low * 1e3 / 1.4), high = std::log10(high * 1e3 * 1.4);
  const auto x_of = [&](double tokens) {
    return x0 + (x1 - x0) * std::log(tokens / few) / std::log(many / few);
  };
  const auto y_of = [&](double ms) {
    return y1 - (y1 - y0) * (std::log10(ms) - low) / (high - low);
  };
  for (int decade = static_cast<int>(std::floor(low)); decade <= high; ++decade) {
    for (int digit = 1; digit < 10; ++digit) {
      const double ms = digit * std::pow(10.0, decade);
      if (std::log10(ms) < low || std::log10(ms) > high) continue;
      const bool labelled = digit == 1 || ((digit == 2 || digit == 5) && high - low < 2.5);
      canvas.Line(x0, y_of(ms), x1, y_of(ms), labelled ? kPale : cv::Scalar(242, 242, 242));
      if (labelled) canvas.Text(x0 - 8, y_of(ms), Format("%g", ms), Anchor::kRight);
    }
  }
  for (const auto& [tokens, grid] : grids) {
    const double x = x_of(static_cast<double>(tokens));
    canvas.Line(x, y0, x, y1, kPale);
    canvas.Text(x, y1 + 14, GridText(grid), Anchor::kCentre);
    canvas.Text(x, y1 + 30, Format("%.0f", static_cast<double>(tokens)), Anchor::kCentre, 0.85,
                kGrey);
  }
  canvas.Line(x0, y0, x0, y1, kGrey);
  canvas.Line(x0, y1, x1, y1, kGrey);
  canvas.Text(x0 - 60, y0 - 16, "milliseconds");
  canvas.Text((x0 + x1) / 2, y1 + 48, "grid, tokens", Anchor::kCentre);
  double row = y0 + 8;
  for (size_t i = 0; i < curves.size(); ++i) {
    const cv::Scalar& colour = kColours[i % std::size(kColours)];
    const auto& points = curves[i].points;
    for (size_t j = 0; j < points.size(); ++j) {
      const double x = x_of(static_cast<double>(Tokens(points[j])));
      const double y = y_of(points[j].seconds * 1e3), b = y_of(points[j].bound_seconds * 1e3);
      canvas.Disk(x, y, 3.5, colour);
      if (j == 0) continue;
      const double before = x_of(static_cast<double>(Tokens(points[j - 1])));
      canvas.Line(before, y_of(points[j - 1].seconds * 1e3), x, y, colour, 2);
      canvas.Dashes(before, y_of(points[j - 1].bound_seconds * 1e3), x, b, colour);
    }
    Legend(canvas, x1 + 18, row, curves[i].op, ", " + Milliseconds(points.back().seconds), colour);
    row += curves[i].op.find('(') == std::string::npos ? 24 : 38;
  }
  canvas.Dashes(x1 + 18, row + 8, x1 + 40, row + 8, kGrey);
  canvas.Text(x1 + 48, row + 8, "bound of the same colour", Anchor::kLeft, 0.9, kGrey);
}

// Bars of milliseconds with a mark at the bound.
void DrawBars(Canvas& canvas, double left, const std::vector<Curve>& curves) {
  const double x0 = left + kLegend, x1 = left + kPanelWidth - 215, y0 = kTop,
               y1 = kPanelHeight - kBottom;
  std::vector<size_t> order;
  double longest = 0;
  for (size_t i = 0; i < curves.size(); ++i) {
    order.push_back(i);
    longest = std::max(longest, curves[i].points[0].seconds);
  }
  std::stable_sort(order.begin(), order.end(), [&curves](size_t a, size_t b) {
    return curves[a].points[0].seconds > curves[b].points[0].seconds;
  });
  const double pitch = std::min(56.0, (y1 - y0) / static_cast<double>(order.size()));
  for (size_t i = 0; i < order.size(); ++i) {
    const AttentionTiming& timing = curves[order[i]].points[0];
    const double y = y0 + (static_cast<double>(i) + 0.5) * pitch, half = pitch * 0.32;
    const auto x_of = [&](double seconds) { return x0 + (x1 - x0) * seconds / longest; };
    canvas.Box(x0, y - half, x_of(timing.seconds), y + half,
               kColours[order[i] % std::size(kColours)]);
    const double bound = x_of(timing.bound_seconds);
    canvas.Line(bound, y - half - 3, bound, y + half + 3, cv::Scalar(255, 255, 255), 3);
    canvas.Line(bound, y - half - 3, bound, y + half + 3, cv::Scalar(220, 20, 20), 1.5);
    const size_t open = timing.op.find('(');
    canvas.Text(x0 - 10, open == std::string::npos ? y : y - 7, timing.op.substr(0, open),
                Anchor::kRight);
    if (open != std::string::npos) {
      canvas.Text(x0 - 10, y + 8, timing.op.substr(open + 1, timing.op.size() - open - 2),
                  Anchor::kRight, 0.8, kGrey);
    }
    canvas.Text(
        x_of(timing.seconds) + 8, y,
        Milliseconds(timing.seconds) + Format(", %.0f %% of bound", 100 * timing.share_of_bound));
  }
  canvas.Line(x0, y0, x0, y0 + pitch * static_cast<double>(order.size()), kGrey);
  canvas.Line(x0, y1 + 28, x0, y1 + 42, cv::Scalar(220, 20, 20), 1.5);
  canvas.Text(x0 + 8, y1 + 35, "bound: the least time that it could take", Anchor::kLeft, 0.9,
              kGrey);
}

}  // namespace

Image PlotAttentionTimings(std::span<const AttentionTiming> timings) {
  if (timings.empty()) throw Error(ErrorCode::kUsage, "nothing was measured: no plot to draw");
  std::vector<int> dims;
  std::set<std::array<int, 3>> grids;
  for (const AttentionTiming& timing : timings) {
    if (std::find(dims.begin(), dims.end(), timing.dim) == dims.end()) dims.push_back(timing.dim);
    grids.insert(timing.grid);
  }
  Canvas canvas(kPanelWidth * static_cast<int>(dims.size()), kPanelHeight);
  for (size_t i = 0; i < dims.size(); ++i) {
    const double left = kPanelWidth * static_cast<double>(i);
    const std::vector<Curve> curves = Curves(timings, dims[i]);
    const AttentionTiming& first = curves[0].points[0];
    const std::string where = grids.size() == 1 ? "grid " + GridText(first.grid) + ", " : "";
    canvas.Text(left + 20, 20, "Attention: " + where + Title(first), Anchor::kLeft, 1.15);
    if (grids.size() == 1)
      DrawBars(canvas, left, curves);
    else
      DrawLines(canvas, left, curves);
  }
  return canvas.Finish();
}

}  // namespace fovea
