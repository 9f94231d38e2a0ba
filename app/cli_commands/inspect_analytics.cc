#include "app/cli_commands/inspect_analytics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "app/cli_commands/mean_with_error.h"
#include "app/exit_code.h"
#include "models/files/text_file.h"
#include "pipelines/analytics/faithfulness.h"
#include "pipelines/analytics/head_importance.h"
#include "pipelines/analytics/head_statistics.h"
#include "pipelines/analytics/same_object.h"
#include "pipelines/analytics/token_statistics.h"
#include "pipelines/maps/map_picture.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/vision/find_tower.h"
#include "pipelines/vision/text_model.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr int kGroups = 4;         // of similar patterns
constexpr int kRandomOrders = 10;  // of heads that are removed
constexpr int kSteps = 8;          // of deletion and insertion

std::string Number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

std::vector<double> Softmax(const std::vector<double>& logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double sum = 0;
  for (const double each : logits) sum += p.emplace_back(std::exp(each - top));
  for (double& each : p) each /= sum;
  return p;
}

std::vector<float> Normal(const HostTensor& tensor) {
  const HostTensor values = tensor.ToF32();
  std::vector<float> out(values.Data<float>(), values.Data<float>() + values.NumElements());
  double sum = 0;
  for (const float each : out) sum += static_cast<double>(each) * static_cast<double>(each);
  for (float& each : out) each = static_cast<float>(each / std::sqrt(std::max(sum, 1e-30)));
  return out;
}

fs::path MaskOf(const fs::path& picture) {
  return picture.parent_path() / "masks" / picture.stem().concat(".png");
}

// The pictures, and the question that the model answers about each.
class Study {
 public:
  explicit Study(const AnalyticsRequest& request);

  const std::vector<Image>& Pictures() const { return pictures_; }
  // The right answers; throws kUnsupported where the model has none to ask about.
  const std::vector<size_t>& Right() const;
  // Picture i's right answer, as what a map may be about.
  RelevanceTarget TargetOf(size_t i) const;
  PictureReading Read(const Image& picture, const std::vector<AttentionListener*>& listeners);

 private:
  void ReadCaptions();

  const AnalyticsRequest& request_;
  std::vector<Image> pictures_;
  std::vector<size_t> right_;
  std::vector<std::vector<float>> answers_;  // vectors of length 1; empty: the model's classes
};

Study::Study(const AnalyticsRequest& request) : request_(request) {
  for (const fs::path& file : request.files) pictures_.push_back(ReadPicture(file));
  const NamedTensors first = request.model.Run(pictures_.front(), request.options);
  if (first.contains("image_embeds")) ReadCaptions();
  if (first.contains("image_embeds") && answers_.empty()) {
    for (const Image& each : pictures_) {
      right_.push_back(answers_.size());
      answers_.push_back(Normal(request.model.Embed(each, request.options)));
    }
  }
  if (first.contains("image_embeds") || !first.contains("logits")) return;
  for (const Image& each : pictures_) {
    const std::vector<double> p = Read(each, {}).p;
    right_.push_back(static_cast<size_t>(std::max_element(p.begin(), p.end()) - p.begin()));
  }
}

const std::vector<size_t>& Study::Right() const {
  if (right_.empty()) {
    throw Error(ErrorCode::kUnsupported,
                "--analytics importance and faithfulness: this model has neither classes nor "
                "CLIP's vectors to ask about");
  }
  return right_;
}

void Study::ReadCaptions() {
  std::vector<std::string> captions;
  for (const fs::path& file : request_.files) {
    const fs::path text = fs::path(file).replace_extension(".txt");
    if (!fs::is_regular_file(text)) return;  // all of them, or none
    std::string caption = ReadTextFile(text, size_t{1} << 16);
    while (!caption.empty() && (caption.back() == '\n' || caption.back() == '\r'))
      caption.pop_back();
    captions.push_back(std::move(caption));
  }
  const ComponentFolder& component = FindTextComponent(request_.folder);
  const auto model =
      TextModel::Load(component, FindTextTokenizer(request_.folder, component), request_.backend);
  ForwardOptions options;
  options.dtype = request_.options.dtype;
  std::vector<std::string> known;
  for (const std::string& caption : captions) {
    const auto found = std::find(known.begin(), known.end(), caption);
    right_.push_back(static_cast<size_t>(found - known.begin()));
    if (found != known.end()) continue;
    known.push_back(caption);
    bool cut = false;
    answers_.push_back(Normal(model->Embed(caption, options, &cut)));
  }
}

RelevanceTarget Study::TargetOf(size_t i) const {
  if (answers_.empty()) return {"", static_cast<int64_t>(Right()[i]), {}};
  return {"", 0, answers_[Right()[i]]};
}

PictureReading Study::Read(const Image& picture, const std::vector<AttentionListener*>& listeners) {
  if (request_.options.stop.stop_requested()) throw Cancelled{};
  ForwardOptions options = request_.options;
  options.listeners = listeners;
  NamedTensors outputs = request_.model.Run(picture, options);
  if (options.stop.stop_requested()) throw Cancelled{};
  PictureReading reading;
  if (outputs.contains("last_hidden_state")) {
    reading.states = HiddenStates(outputs.at("last_hidden_state").View());
  }
  std::vector<double> logits;
  if (answers_.empty() && !outputs.contains("logits")) return reading;
  if (answers_.empty()) {
    const HostTensor values = outputs.at("logits").ToF32();
    reading.vector.assign(values.Data<float>(), values.Data<float>() + values.NumElements());
    logits.assign(reading.vector.begin(), reading.vector.end());
  } else {
    reading.vector = Normal(outputs.at("image_embeds"));
    for (const std::vector<float>& answer : answers_) {
      double dot = 0;
      for (size_t i = 0; i < answer.size(); ++i) {
        dot += static_cast<double>(answer[i]) * static_cast<double>(reading.vector[i]);
      }
      logits.push_back(kClipLogitScale * dot);
    }
  }
  reading.p = Softmax(logits);
  return reading;
}

// Layers down, heads across, on an even ground.
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

void AddImportance(Study& study, InspectOutputs* outputs) {
  const size_t count = study.Pictures().size();
  if (count < 4) {
    throw Error(ErrorCode::kUsage,
                "--analytics importance: needs at least 4 pictures; 50 and more say something");
  }
  const HeadStudy heads(study.Right(), [&](size_t i, const std::vector<AttentionListener*>& l) {
    return study.Read(study.Pictures()[i], l);
  });
  // Ranked on one half, checked on the other.
  std::vector<size_t> ranking, checking;
  for (size_t i = 0; i < count; ++i) (i % 2 == 0 ? ranking : checking).push_back(i);
  const std::vector<HeadId> ids = heads.Heads();
  std::string csv =
      "ablation,layer,head,loss,loss_error,probability,js,drift,class_drift,patch_drift,flips,"
      "rank\n";
  std::string check =
      "ablation,removed,top_loss,bottom_loss,random_loss,random_lowest,random_highest,"
      "top_accuracy,bottom_accuracy,random_accuracy\n";
  std::vector<Image> pictures;
  for (const Ablation ablation : {Ablation::kMean, Ablation::kZero, Ablation::kShuffle}) {
    std::vector<AblationEffect> effects;
    for (const HeadId& each : ids) effects.push_back(heads.Ablate(ablation, {each}, ranking));
    std::vector<size_t> order(ids.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return effects[a].loss > effects[b].loss; });
    std::vector<HeadId> ranked;
    std::vector<size_t> rank(ids.size());
    for (size_t i = 0; i < order.size(); ++i) {
      ranked.push_back(ids[order[i]]);
      rank[order[i]] = i + 1;
    }
    const std::string name(Name(ablation));
    for (size_t i = 0; i < ids.size(); ++i) {
      const AblationEffect& e = effects[i];
      csv += name + "," + heads.Outputs().Sites().at(ids[i].site).path + "," +
             std::to_string(ids[i].head) + "," + Number(e.loss) + "," + Number(e.loss_error) + "," +
             Number(e.probability) + "," + Number(e.js) + "," + Number(e.drift) + "," +
             Number(e.class_drift) + "," + Number(e.patch_drift) + "," + Number(e.flips) + "," +
             std::to_string(rank[i]) + "\n";
    }
    for (const RemovalPoint& point :
         RemovalCurve(heads, ablation, ranked, checking, kRandomOrders, 1)) {
      check += name + "," + std::to_string(point.removed) + "," + Number(point.top.left_loss) +
               "," + Number(point.bottom.left_loss) + "," + Number(point.random_loss) + "," +
               Number(point.random_lowest) + "," + Number(point.random_highest) + "," +
               Number(point.top.accuracy) + "," + Number(point.bottom.accuracy) + "," +
               Number(point.random_accuracy) + "\n";
    }
    pictures.push_back(MatrixPicture(
        name + ": loss", ids, [&](size_t i) { return effects[i].loss; }, true));
    pictures.push_back(MatrixPicture(
        name + ": probability", ids, [&](size_t i) { return effects[i].probability; }, true));
    pictures.push_back(MatrixPicture(
        name + ": JS", ids, [&](size_t i) { return effects[i].js; }, false));
    pictures.push_back(MatrixPicture(
        name + ": drift", ids, [&](size_t i) { return effects[i].drift; }, false));
  }
  outputs->AddTable("importance.csv", csv);
  outputs->AddTable("importance-check.csv", check);
  outputs->AddSheet("importance.png", Sheet(pictures, 4));
}

void AddFaithfulness(const AnalyticsRequest& request, Study& study, InspectOutputs* outputs) {
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
    const fs::path mask_file = MaskOf(request.files[i]);
    std::optional<Image> mask;
    if (fs::is_regular_file(mask_file)) mask = request.model.Seen(ReadPicture(mask_file));
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

std::string Text(const TokenCounts& counts) {
  return std::to_string(counts.cls) + "," + std::to_string(counts.registers) + "," +
         std::to_string(counts.grid) + "," + std::to_string(counts.text);
}

std::string Text(const std::set<int64_t>& dims) {
  std::string text;
  for (const int64_t each : dims) text += (text.empty() ? "" : " ") + std::to_string(each);
  return text;
}

void AddTokens(Study& study, InspectOutputs* outputs) {
  TokenStatistics statistics;
  for (const Image& each : study.Pictures()) study.Read(each, {&statistics});
  const std::vector<TokenPattern> layers = statistics.Finish();
  if (layers.empty()) {
    throw Error(ErrorCode::kUnsupported, "--analytics tokens: the model shows no hidden states");
  }
  std::string csv =
      "layer,pictures,grid_tokens,width,median_norm,max_norm,class_and_register_norm,otsu_cut,"
      "otsu_separation,above_otsu,above_150_dinov2,above_30_openclip,median_value,max_value,"
      "massive_class,massive_register,massive_grid,massive_text,massive_dims,sinks_class,"
      "sinks_register,sinks_grid,sinks_text,sink_dims,max_phi\n";
  for (const TokenPattern& t : layers) {
    csv += t.layer + "," + std::to_string(t.passes) + "," + std::to_string(t.grid_tokens) + "," +
           std::to_string(t.width);
    for (const double each :
         {t.median_norm, t.max_norm, t.single_norm, t.otsu_cut, t.otsu_separation, t.above_otsu,
          t.above_150, t.above_30, t.median_value, t.max_value}) {
      csv += "," + Number(each);
    }
    csv += "," + Text(t.massive) + "," + Text(t.massive_dims) + "," + Text(t.sinks) + "," +
           Text(t.sink_dims) + "," + Number(t.max_phi) + "\n";
  }
  outputs->AddTable("tokens.csv", csv);
}

void AddSameObject(const AnalyticsRequest& request, Study& study, InspectOutputs* outputs) {
  struct Layer {
    std::string path;
    std::vector<PatchSet> train, test;
  };
  std::map<int, Layer> layers;
  for (size_t i = 0; i < study.Pictures().size(); ++i) {
    const fs::path mask_file = MaskOf(request.files[i]);
    if (!fs::is_regular_file(mask_file)) continue;
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

}  // namespace

std::vector<std::string> AnalyticsKinds() {
  return {"heads", "importance", "faithfulness", "tokens", "same-object"};
}

void AddAnalytics(const AnalyticsRequest& request, InspectOutputs* outputs) {
  Study study(request);
  for (const std::string& kind : request.kinds) {
    if (kind == "heads") AddHeads(study, outputs);
    if (kind == "importance") AddImportance(study, outputs);
    if (kind == "faithfulness") AddFaithfulness(request, study, outputs);
    if (kind == "tokens") AddTokens(study, outputs);
    if (kind == "same-object") AddSameObject(request, study, outputs);
  }
}

}  // namespace fovea
