#include "ui/window/draw_damage.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace fovea {
namespace {

constexpr size_t kMostRects = 8;

uint64_t Mix(uint64_t hash, const void* data, size_t bytes) {
  const auto* at = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i + 4 <= bytes; i += 4) {
    uint32_t word = 0;
    std::memcpy(&word, at + i, 4);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  return hash;
}

PixelRect Union(const PixelRect& a, const PixelRect& b) {
  return {std::min(a.left, b.left), std::min(a.top, b.top), std::max(a.right, b.right),
          std::max(a.bottom, b.bottom)};
}

bool Overlap(const PixelRect& a, const PixelRect& b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

// Joined with the rectangle that grows least, if there are too many or it hardly grows.
void Add(const PixelRect& rect, std::vector<PixelRect>* rects) {
  size_t best = rects->size();
  int64_t growth = std::numeric_limits<int64_t>::max();
  for (size_t i = 0; i < rects->size(); ++i) {
    const PixelRect& each = (*rects)[i];
    const int64_t more = Union(each, rect).Area() - each.Area();
    if (more < growth) {
      growth = more;
      best = i;
    }
  }
  if (best < rects->size() && (growth <= 2 * rect.Area() || rects->size() >= kMostRects)) {
    (*rects)[best] = Union((*rects)[best], rect);
  } else {
    rects->push_back(rect);
  }
}

// What overlaps would be drawn twice, and blended twice.
void MakeDisjoint(std::vector<PixelRect>* rects) {
  for (size_t i = 0; i < rects->size(); ++i) {
    for (size_t j = i + 1; j < rects->size(); ++j) {
      if (!Overlap((*rects)[i], (*rects)[j])) continue;
      (*rects)[i] = Union((*rects)[i], (*rects)[j]);
      rects->erase(rects->begin() + static_cast<std::ptrdiff_t>(j));
      i = static_cast<size_t>(-1);  // from the beginning
      break;
    }
  }
}

}  // namespace

std::vector<PixelRect> DrawDamage::Update(const ImDrawData& data, int width, int height) {
  now_.clear();
  for (int l = 0; l < data.CmdListsCount; ++l) {
    const ImDrawList& list = *data.CmdLists[l];
    for (const ImDrawCmd& cmd : list.CmdBuffer) {
      uint64_t base = Mix(static_cast<uint64_t>(l) + 1, &cmd.ClipRect, sizeof cmd.ClipRect);
      const ImTextureID texture = cmd.GetTexID();
      base = Mix(base, &texture, sizeof texture);
      for (unsigned i = 0; i + 3 <= cmd.ElemCount; i += 3) {
        Piece piece{base, cmd.ClipRect.z, cmd.ClipRect.w, cmd.ClipRect.x, cmd.ClipRect.y};
        for (unsigned k = 0; k < 3; ++k) {
          const unsigned index =
              cmd.VtxOffset + list.IdxBuffer[static_cast<int>(cmd.IdxOffset + i + k)];
          const ImDrawVert& vertex = list.VtxBuffer[static_cast<int>(index)];
          piece.hash = Mix(piece.hash, &vertex, sizeof vertex);
          piece.left = std::min(piece.left, vertex.pos.x);
          piece.top = std::min(piece.top, vertex.pos.y);
          piece.right = std::max(piece.right, vertex.pos.x);
          piece.bottom = std::max(piece.bottom, vertex.pos.y);
        }
        piece.left = std::max(piece.left, cmd.ClipRect.x);
        piece.top = std::max(piece.top, cmd.ClipRect.y);
        piece.right = std::min(piece.right, cmd.ClipRect.z);
        piece.bottom = std::min(piece.bottom, cmd.ClipRect.w);
        if (piece.right > piece.left && piece.bottom > piece.top) now_.push_back(piece);
      }
    }
  }
  std::sort(now_.begin(), now_.end(),
            [](const Piece& a, const Piece& b) { return a.hash < b.hash; });
  std::vector<PixelRect> rects;
  const auto changed = [&](const Piece& piece) {
    const auto side = [](float at, float scale, float least, int most) {
      return std::clamp(static_cast<int>(at * scale + least), 0, most);
    };
    const PixelRect rect{
        side(std::floor(piece.left - data.DisplayPos.x), data.FramebufferScale.x, -1, width),
        side(std::floor(piece.top - data.DisplayPos.y), data.FramebufferScale.y, -1, height),
        side(std::ceil(piece.right - data.DisplayPos.x), data.FramebufferScale.x, 1, width),
        side(std::ceil(piece.bottom - data.DisplayPos.y), data.FramebufferScale.y, 1, height)};
    if (rect.right > rect.left && rect.bottom > rect.top) Add(rect, &rects);
  };
  if (whole_ || width != width_ || height != height_) {
    rects = {{0, 0, width, height}};
  } else {
    for (size_t a = 0, b = 0; a < last_.size() || b < now_.size();) {
      if (b == now_.size() || (a < last_.size() && last_[a].hash < now_[b].hash)) {
        changed(last_[a++]);
      } else if (a == last_.size() || now_[b].hash < last_[a].hash) {
        changed(now_[b++]);
      } else {
        ++a;
        ++b;
      }
    }
    MakeDisjoint(&rects);
  }
  std::swap(last_, now_);
  width_ = width;
  height_ = height;
  whole_ = false;
  return rects;
}

void ClipTo(const std::vector<PixelRect>& rects, ImDrawData* data) {
  const ImVec2 at = data->DisplayPos, scale = data->FramebufferScale;
  for (int l = 0; l < data->CmdListsCount; ++l) {
    ImVector<ImDrawCmd>& commands = data->CmdLists[l]->CmdBuffer;
    ImVector<ImDrawCmd> clipped;
    for (const ImDrawCmd& cmd : commands) {
      for (const PixelRect& rect : rects) {
        ImDrawCmd part = cmd;
        part.ClipRect.x = std::max(cmd.ClipRect.x, at.x + static_cast<float>(rect.left) / scale.x);
        part.ClipRect.y = std::max(cmd.ClipRect.y, at.y + static_cast<float>(rect.top) / scale.y);
        part.ClipRect.z = std::min(cmd.ClipRect.z, at.x + static_cast<float>(rect.right) / scale.x);
        part.ClipRect.w =
            std::min(cmd.ClipRect.w, at.y + static_cast<float>(rect.bottom) / scale.y);
        if (part.ClipRect.x < part.ClipRect.z && part.ClipRect.y < part.ClipRect.w) {
          clipped.push_back(part);
        }
      }
    }
    commands.swap(clipped);
  }
}

}  // namespace fovea
