// How the patterns of heads differ: heads.csv, similarity.csv, heads.png.
#include <algorithm>

#include "app/cli_commands/analytics/tables.h"
#include "pipelines/analytics/head_statistics.h"
#include "pipelines/maps/map_picture.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kGroups = 4;  // of similar patterns

}  // namespace

void AddHeads(Study& study, InspectOutputs* outputs) {
  HeadStatistics statistics;
  for (const Image& each : study.Pictures()) study.Read(each, {&statistics});
  const std::vector<HeadPattern> heads = statistics.Finish(kGroups);
  if (heads.empty()) throw Error(ErrorCode::kUnsupported, "--analytics: the model has no heads");
  size_t rings = 0;
  for (const HeadPattern& each : heads) rings = std::max(rings, each.rings.size());
  std::string csv =
      "layer,head,entropy_share,effective_keys,distance_tokens,single_tokens,text,sink,"
      "sink_is_single,group,looks";
  for (size_t r = 0; r < rings; ++r) {
    csv += ",ring_" + std::to_string(r == 0 ? 0 : size_t{1} << (r - 1));
  }
  csv += "\n";
  std::string similar = "layer,head,other_layer,other_head,cosine\n";
  std::vector<HeadId> ids;
  for (const HeadPattern& each : heads) {
    ids.push_back({each.site, each.head});
    csv += each.layer + "," + std::to_string(each.head) + "," + Number(each.entropy) + "," +
           Number(each.effective_keys) + "," + Number(each.distance) + "," + Number(each.single) +
           "," + Number(each.text) + "," + Number(each.sink) + "," +
           (each.sink_is_single ? "1" : "0") + "," + std::to_string(each.group) + "," + each.looks;
    for (size_t r = 0; r < rings; ++r) {
      csv += "," + Number(r < each.rings.size() ? each.rings[r] : 0);
    }
    csv += "\n";
    for (const HeadPattern& other : heads) {
      similar += each.layer + "," + std::to_string(each.head) + "," + other.layer + "," +
                 std::to_string(other.head) + "," + Number(PatternSimilarity(each, other)) + "\n";
    }
  }
  outputs->AddTable("heads.csv", csv);
  outputs->AddTable("similarity.csv", similar);
  const auto matrix = [&](const char* title, const std::function<double(const HeadPattern&)>& of) {
    return MatrixPicture(
        title, ids, [&](size_t i) { return of(heads[i]); }, false);
  };
  std::vector<Image> pictures{
      matrix("entropy (1: even)", [](const HeadPattern& h) { return h.entropy; }),
      matrix("mean distance, tokens", [](const HeadPattern& h) { return h.distance; }),
      matrix("on class and registers", [](const HeadPattern& h) { return h.single; }),
      matrix("strongest key, times even", [](const HeadPattern& h) { return h.sink; }),
      matrix("group of patterns", [](const HeadPattern& h) { return h.group; })};
  for (size_t r = 0; r < rings; ++r) {
    const std::string title = "weight " + std::string(r < 2 ? "at " : "from ") +
                              std::to_string(r == 0 ? 0 : size_t{1} << (r - 1)) + " tokens";
    pictures.push_back(matrix(
        title.c_str(), [r](const HeadPattern& h) { return r < h.rings.size() ? h.rings[r] : 0; }));
  }
  outputs->AddSheet("heads.png", Sheet(pictures, 5));
}

}  // namespace fovea
