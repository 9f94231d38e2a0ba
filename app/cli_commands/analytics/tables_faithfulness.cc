// Whether maps show what the answers rest on: faithfulness.csv.
#include <algorithm>
#include <cmath>
#include <optional>

#include "app/cli_commands/analytics/tables.h"
#include "app/cli_commands/reports/mean_with_error.h"
#include "app/process/exit_code.h"
#include "pipelines/analytics/faithfulness.h"
#include "pipelines/inspect/inspect.h"
#include "pipelines/pictures/picture_file.h"

namespace fovea {
namespace {

constexpr int kSteps = 8;  // of deletion and insertion

}  // namespace

void AddFaithfulness(Study& study, InspectOutputs* outputs) {
  const AnalyticsRequest& request = study.Request();
  struct Row {
    std::string name;
    MeanWithError pointing, mass, iou, deletion, insertion, correlation;
  };
  std::vector<Row> rows;
  const auto row = [&](const std::string& name) -> Row& {
    for (Row& each : rows) {
      if (each.name == name) return each;
    }
    return rows.emplace_back(Row{name, {}, {}, {}, {}, {}, {}});
  };
  InspectRequest maps;
  maps.kinds = {"cls", "rollout", "relevance", "chefer"};
  int masks = 0;
  for (size_t i = 0; i < study.Pictures().size(); ++i) {
    maps.targets = {study.TargetOf(i)};
    const Inspection inspection =
        InspectPicture(request.model, request.backend, study.Pictures()[i], maps, request.options);
    if (inspection.cancelled) throw Cancelled{};
    const Image seen = request.model.Seen(study.Pictures()[i]);
    const Answer answer = [&](const Image& picture) {
      return study.Read(picture, {}).p[study.Right()[i]];
    };
    std::vector<std::pair<std::string, HeatMap>> all;
    for (const AttentionMap& each : inspection.maps) all.emplace_back(each.kind, each.map);
    const int h = all.front().second.height, w = all.front().second.width;
    all.emplace_back("random", RandomMap(h, w, i + 1));
    all.emplace_back("centre", CentreMap(h, w));
    all.emplace_back("edges", EdgeMap(seen, h, w));
    // Of the logarithm: one covered cell hardly moves a probability that is close to 1.
    const HeatMap occlusion = OcclusionMap(seen, h, w, [&](const Image& picture) {
      return std::log(std::max(1e-12, answer(picture)));
    });
    all.emplace_back("occlusion", occlusion);
    const std::filesystem::path mask_file = study.MaskFile(i);
    std::optional<Image> mask;
    if (std::filesystem::is_regular_file(mask_file))
      mask = request.model.Seen(ReadPicture(mask_file));
    masks += mask ? 1 : 0;
    for (const auto& [name, map] : all) {
      Row& to = row(name);
      if (mask) {
        const MapScores scores = ScoreAgainstMask(map, *mask);
        to.pointing.Add(scores.pointing);
        to.mass.Add(scores.mass);
        to.iou.Add(scores.iou);
      }
      const MapCurves curves = ScoreByAnswer(map, seen, kSteps, answer);
      to.deletion.Add(curves.deletion);
      to.insertion.Add(curves.insertion);
      to.correlation.Add(RankCorrelation(map, occlusion));
    }
  }
  std::string csv =
      "map,pictures,masks,pointing,pointing_error,mass,mass_error,iou,iou_error,deletion,"
      "deletion_error,insertion,insertion_error,rank_correlation_with_occlusion,"
      "rank_correlation_error\n";
  for (const Row& each : rows) {
    csv += each.name + "," + std::to_string(study.Pictures().size()) + "," + std::to_string(masks) +
           "," + each.pointing.Text() + "," + each.mass.Text() + "," + each.iou.Text() + "," +
           each.deletion.Text() + "," + each.insertion.Text() + "," + each.correlation.Text() +
           "\n";
  }
  outputs->AddTable("faithfulness.csv", csv);
}

}  // namespace fovea
