#include "app/cli_commands/grid/grid_picture.h"

#include <algorithm>

#include "app/cli_commands/grid/label_text.h"

namespace fovea {
namespace {

constexpr int kLine = 18, kLines = 3, kGap = 4, kLeft = 150, kFailedCell = 128;

struct Layout {
  int cell_width = 0, cell_height = 0;
  int left = 0, top = 0, title = 0;
  int64_t width = 0, height = 0, page = 0;
};

Layout LayoutOf(const Grid& grid, int cell_width, int cell_height) {
  Layout layout;
  layout.cell_width = std::max(cell_width, 1);
  layout.cell_height = std::max(cell_height, 1);
  layout.left = grid.y.key.empty() ? 0 : kLeft;
  layout.top = grid.x.key.empty() ? 0 : kLine * kLines + kGap;
  layout.title = grid.z.key.empty() ? 0 : kLine + 2 * kGap;
  const auto columns = static_cast<int64_t>(grid.x.values.size());
  const auto rows = static_cast<int64_t>(grid.y.values.size());
  layout.width = layout.left + columns * (layout.cell_width + kGap);
  layout.page = layout.title + layout.top + rows * (layout.cell_height + kGap);
  layout.height = layout.page * static_cast<int64_t>(grid.z.values.size());
  return layout;
}

std::string Label(const GridAxis& axis, size_t index) {
  return axis.key + " " + axis.values[index];
}

void DrawLines(const LabelText& text, const std::string& label, int x, int y, int width, int lines,
               Image* image) {
  for (const std::string& line : text.Wrap(label, width, lines)) {
    text.Draw(line, x, y, image);
    y += text.LineHeight();
  }
}

void Paste(const Image& cell, int x, int y, Image* image) {
  for (int row = 0; row < cell.height; ++row) {
    std::copy_n(cell.rgb.begin() + static_cast<std::ptrdiff_t>(row) * cell.width * 3,
                cell.width * 3,
                image->rgb.begin() + (static_cast<std::ptrdiff_t>(y + row) * image->width + x) * 3);
  }
}

void Hatch(const Layout& layout, int x, int y, Image* image) {
  for (int row = 0; row < layout.cell_height; ++row) {
    for (int column = 0; column < layout.cell_width; ++column) {
      const uint8_t grey = (row + column) % 12 < 2 ? 190 : 235;
      uint8_t* pixel =
          &image->rgb[(static_cast<size_t>(y + row) * static_cast<size_t>(image->width) +
                       static_cast<size_t>(x + column)) *
                      3];
      std::fill_n(pixel, 3, grey);
    }
  }
}

}  // namespace

int64_t GridPixels(const Grid& grid, int cell_width, int cell_height) {
  const Layout layout = LayoutOf(grid, cell_width, cell_height);
  return layout.width * layout.height;
}

Image DrawGrid(const Grid& grid) {
  int width = 0, height = 0;
  for (const GridCell& cell : grid.cells) {
    if (!cell.image) continue;
    width = std::max(width, cell.image->width);
    height = std::max(height, cell.image->height);
  }
  if (width == 0) width = height = kFailedCell;
  const Layout layout = LayoutOf(grid, width, height);
  const LabelText text(kLine);
  Image image{static_cast<int>(layout.width), static_cast<int>(layout.height), {}};
  image.rgb.assign(static_cast<size_t>(layout.width * layout.height) * 3, 255);
  size_t index = 0;
  for (size_t z = 0; z < grid.z.values.size(); ++z) {
    const int page = static_cast<int>(layout.page) * static_cast<int>(z);
    if (layout.title > 0) {
      DrawLines(text, Label(grid.z, z), kGap, page + kGap, image.width - 2 * kGap, 1, &image);
    }
    const int header = page + layout.title;
    for (size_t x = 0; layout.top > 0 && x < grid.x.values.size(); ++x) {
      DrawLines(text, Label(grid.x, x),
                layout.left + static_cast<int>(x) * (layout.cell_width + kGap), header,
                layout.cell_width, kLines, &image);
    }
    for (size_t y = 0; y < grid.y.values.size(); ++y) {
      const int top = header + layout.top + static_cast<int>(y) * (layout.cell_height + kGap);
      if (layout.left > 0) {
        const int lines = std::max(1, layout.cell_height / kLine);
        DrawLines(text, Label(grid.y, y), kGap, top, layout.left - 2 * kGap, lines, &image);
      }
      for (size_t x = 0; x < grid.x.values.size(); ++x) {
        const GridCell& cell = grid.cells[index++];
        const int left = layout.left + static_cast<int>(x) * (layout.cell_width + kGap);
        if (cell.image) {
          Paste(*cell.image, left, top, &image);
          continue;
        }
        Hatch(layout, left, top, &image);
        DrawLines(text, cell.error, left + kGap, top + kGap, layout.cell_width - 2 * kGap,
                  std::max(1, (layout.cell_height - 2 * kGap) / kLine), &image);
      }
    }
  }
  return image;
}

}  // namespace fovea
