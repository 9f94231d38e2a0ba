// Writes JSON by hand: every string comes from closed lists, so nothing needs escaping.
#include "tools/scenes/describe.h"

#include <cstdio>

#include "tools/scenes/caption.h"

namespace fovea::scenes {

std::string DescribeScene(const Scene& scene, const Picture& picture) {
  char text[512];
  std::snprintf(text, sizeof(text), "{\"seed\":%llu,\"index\":%llu,\"objects\":[",
                static_cast<unsigned long long>(scene.seed),
                static_cast<unsigned long long>(scene.index));
  std::string line = text;
  for (size_t i = 0; i < scene.objects.size(); ++i) {
    const Object& object = scene.objects[i];
    const Trace& trace = picture.traces[i];
    std::snprintf(text, sizeof(text),
                  "%s{\"shape\":\"%s\",\"color\":\"%s\",\"material\":\"%s\",\"size\":\"%s\","
                  "\"box\":[%d,%d,%d,%d],\"center\":[%.2f,%.2f],\"depth\":%.3f,\"visible\":%.3f}",
                  i ? "," : "", Name(object.shape), Name(object.color), Name(object.material),
                  Name(object.size), trace.box[0], trace.box[1], trace.box[2], trace.box[3],
                  trace.center_x, trace.center_y, trace.depth, trace.visible);
    line += text;
  }
  line += "],\"relation\":";
  line += scene.relation == Relation::kNone ? std::string("null")
                                            : "\"" + std::string(Name(scene.relation)) + "\"";
  line += ",\"captions\":[";
  bool first = true;
  for (const std::string& caption : MakeCaptions(scene)) {
    line += (first ? "\"" : ",\"") + caption + "\"";
    first = false;
  }
  return line + "]}";
}

}  // namespace fovea::scenes
