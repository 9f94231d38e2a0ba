#include "app/cli_commands/analytics/tables.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "pipelines/maps/map_picture.h"

namespace fovea {

std::string Number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

Image MatrixPicture(const std::string& title, const std::vector<HeadId>& heads,
                    const std::function<double(size_t)>& value, bool is_signed) {
  std::set<int> sites;
  int columns = 0;
  for (const HeadId& each : heads) {
    sites.insert(each.site);
    columns = std::max(columns, each.head + 1);
  }
  AttentionMap map;
  map.kind = title;
  map.is_signed = is_signed;
  map.map.height = static_cast<int>(sites.size());
  map.map.width = columns;
  map.map.values.assign(sites.size() * static_cast<size_t>(columns), 0);
  for (size_t i = 0; i < heads.size(); ++i) {
    const auto row = static_cast<size_t>(std::distance(sites.begin(), sites.find(heads[i].site)));
    map.map.values[row * static_cast<size_t>(columns) + static_cast<size_t>(heads[i].head)] =
        static_cast<float>(value(i));
  }
  MapPicture how = ChoosePicture(map);
  how.title = title;
  how.note = "layers down, heads across";
  constexpr int kCell = 40;
  Image ground{columns * kCell, map.map.height * kCell, {}};
  ground.rgb.assign(static_cast<size_t>(ground.width * ground.height) * 3, is_signed ? 255 : 0);
  return DrawMap(ground, map.map, how);
}

}  // namespace fovea
