// Whether features of patches say what is one object: same_object.csv.
#include <map>

#include "app/cli_commands/analytics/tables.h"
#include "app/process/exit_code.h"
#include "pipelines/analytics/same_object.h"
#include "pipelines/pictures/picture_file.h"
#include "tensor/error.h"

namespace fovea {

void AddSameObject(Study& study, InspectOutputs* outputs) {
  const AnalyticsRequest& request = study.Request();
  struct Layer {
    std::string path;
    std::vector<PatchSet> train, test;
  };
  std::map<int, Layer> layers;
  for (size_t i = 0; i < study.Pictures().size(); ++i) {
    const std::filesystem::path mask_file = study.MaskFile(i);
    if (!std::filesystem::is_regular_file(mask_file)) continue;
    PatchRecorder recorder;
    study.Read(study.Pictures()[i], {&recorder});
    const Image mask = ReadPicture(mask_file);
    std::vector<int> labels;
    for (const auto& [site, seen] : recorder.Layers()) {
      if (labels.size() != static_cast<size_t>(seen.rows * seen.columns)) {
        labels = ObjectLabels(
            mask, [&](const Image& m) { return request.model.Seen(m); }, seen.rows, seen.columns);
      }
      PatchSet set;
      const size_t width = seen.features.size() / labels.size();
      for (const int cell : ChoosePatches(seen.rows * seen.columns, i)) {
        const auto at = static_cast<size_t>(cell);
        set.labels.push_back(labels[at]);
        set.cells.push_back({cell / seen.columns, cell % seen.columns});
        const auto first = seen.features.begin() + static_cast<std::ptrdiff_t>(at * width);
        set.features.insert(set.features.end(), first, first + static_cast<std::ptrdiff_t>(width));
      }
      Layer& layer = layers[site];
      layer.path = seen.path;
      (i % 2 == 0 ? layer.train : layer.test).push_back(std::move(set));
    }
  }
  if (layers.empty()) {
    throw Error(
        ErrorCode::kUsage,
        "--analytics same-object: needs masks/NAME.png beside the pictures, every grey value "
        "an object, and a model that shows hidden states of patches");
  }
  std::string csv =
      "layer,train_pictures,test_pictures,test_pairs,same,probe_accuracy,cosine_accuracy,"
      "nearness_accuracy,probe_balanced,cosine_balanced,nearness_balanced\n";
  for (const auto& [site, layer] : layers) {
    if (request.options.stop.stop_requested()) throw Cancelled{};
    const SameObjectScores s = TestSameObject(layer.train, layer.test, 1);
    csv += layer.path + "," + std::to_string(layer.train.size()) + "," +
           std::to_string(layer.test.size()) + "," + std::to_string(s.pairs) + "," + Number(s.same);
    for (const double each : {s.probe.accuracy, s.cosine.accuracy, s.nearness.accuracy,
                              s.probe.balanced, s.cosine.balanced, s.nearness.balanced}) {
      csv += "," + Number(each);
    }
    csv += "\n";
  }
  outputs->AddTable("same_object.csv", csv);
}

}  // namespace fovea
