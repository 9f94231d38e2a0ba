#include "pipelines/maps/gradient_relevance.h"

#include <algorithm>
#include <cmath>

#include "tensor/error.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

constexpr size_t kScratch = size_t{16} << 20;

bool HasClasses(const VitConfig& model) {
  return model.head == VitHead::kClassifier || model.head == VitHead::kTwoClassifiers;
}

// The tokens that the pooled output is read from, 1 in all.
std::vector<double> ReadFrom(const VitConfig& model, int tokens) {
  std::vector<double> row(static_cast<size_t>(tokens));
  const bool two = model.head == VitHead::kTwoClassifiers;
  row[0] = two ? 0.5 : 1;
  if (two) row[1] = 0.5;
  return row;
}

// Follows the row down the layers while the way back tells of their heads.
class Follower {
 public:
  Follower(const VitConfig& model, const VitTape& tape, const MapSelection& selection)
      : tape_(tape), from_(ReadFrom(model, TokenCount(tape.Layers()[0]->Spec().q))), row_(from_) {
    for (const auto& layer : tape.Layers()) {
      Layer own;
      const bool chosen = selection.HasLayer(layer->Site().path);
      for (int head = 0; chosen && head < layer->Spec().heads; ++head) {
        if (selection.HasHead(head)) own.heads.push_back(head);
      }
      own.of_heads.assign(own.heads.size(), std::vector<double>(row_.size()));
      any_ = any_ || !own.heads.empty();
      layers_.push_back(std::move(own));
    }
    if (!any_) {
      throw Error(ErrorCode::kUsage,
                  "--layers and --heads: leave nothing of this model for chefer");
    }
  }

  void See(const AttentionGradient& part) {
    if (part.layer != layer_) {
      EndLayer();
      layer_ = part.layer;
      added_.assign(row_.size(), 0);
    }
    Layer& layer = layers_[static_cast<size_t>(part.layer)];
    const auto found = std::find(layer.heads.begin(), layer.heads.end(), part.head);
    if (found == layer.heads.end()) return;
    const auto heads = static_cast<double>(layer.heads.size());
    double* own = layer.of_heads[static_cast<size_t>(found - layer.heads.begin())].data();
    const int64_t keys = part.weights.shape[1];
    ParallelFor(keys, 64, [&](int64_t begin, int64_t end) {
      for (int64_t i = 0; i < part.weights.shape[0]; ++i) {
        const auto query = static_cast<size_t>(part.first + i);
        const double share = row_[query] / heads, start = from_[query];
        if (share == 0 && start == 0) continue;
        const float* a = part.weights.Data<float>() + i * keys;
        const float* d = part.gradients.Data<float>() + i * keys;
        const auto add = [&](double factor, double* to) {
          for (int64_t j = begin; j < end; ++j) {
            to[j] += factor * static_cast<double>(std::max(0.0f, a[j] * d[j]));
          }
        };
        add(share, added_.data());
        if (start != 0) add(start, own);
      }
    });
  }

  std::vector<AttentionMap> Finish(const MapSelection& selection) {
    EndLayer();
    std::vector<AttentionMap> maps{{"", "", -1, -1, "", OnGrid(row_)}};
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      if (layer.heads.empty()) continue;
      const std::string& path = tape_.Layers()[i]->Site().path;
      if (selection.per_layer) {
        std::vector<double> mean(row_.size());
        for (const auto& head : layer.of_heads) {
          for (size_t j = 0; j < mean.size(); ++j) {
            mean[j] += head[j] / static_cast<double>(layer.heads.size());
          }
        }
        maps.push_back({"", path, -1, -1, "", OnGrid(mean)});
      }
      for (size_t h = 0; selection.per_head && h < layer.heads.size(); ++h) {
        maps.push_back({"", path, layer.heads[h], -1, "", OnGrid(layer.of_heads[h])});
      }
    }
    return maps;
  }

 private:
  struct Layer {
    std::vector<int> heads;                     // chosen
    std::vector<std::vector<double>> of_heads;  // the read tokens' rows of relu(dy/dA * A)
  };

  void EndLayer() {
    for (size_t j = 0; j < added_.size(); ++j) row_[j] += added_[j];
    added_.clear();
  }
  HeatMap OnGrid(const std::vector<double>& tokens) const {
    const Segment& grid = *GridOfLayout(tape_.Layers()[0]->Spec().q);
    HeatMap map{grid.grid[1], grid.grid[2], {}};
    for (int i = 0; i < grid.length; ++i) {
      map.values.push_back(static_cast<float>(tokens[static_cast<size_t>(grid.begin + i)]));
    }
    return map;
  }

  const VitTape& tape_;
  std::vector<double> from_, row_, added_;
  std::vector<Layer> layers_;
  int layer_ = -1;
  bool any_ = false;
};

}  // namespace

void CheckTarget(const VitConfig& model, const RelevanceTarget& target) {
  const bool clip = model.head == VitHead::kClipProjection;
  if (!HasClasses(model) && !clip) {
    throw Error(ErrorCode::kUnsupported,
                "--maps: chefer is about a class, and a " + model.class_name +
                    " has no classifier; cls, rollout and relevance need none");
  }
  if (clip && static_cast<int64_t>(target.text.size()) != model.outputs) {
    throw Error(ErrorCode::kUsage,
                target.text.empty()
                    ? "--label: CLIP has no classes of its own; say what to "
                      "look for, as --label \"a red cube\""
                    : "--label: the text's vector has " + std::to_string(target.text.size()) +
                          " values, but the picture's has " + std::to_string(model.outputs));
  }
  if (!clip && (target.index < 0 || target.index >= model.outputs || !target.text.empty())) {
    throw Error(ErrorCode::kUsage, "--label: there is no class " + std::to_string(target.index) +
                                       "; this model has classes 0 to " +
                                       std::to_string(model.outputs - 1));
  }
}

std::vector<float> TargetGradient(const VitConfig& model, const RelevanceTarget& target,
                                  std::span<const float> pooled) {
  CheckTarget(model, target);
  std::vector<float> gradient(pooled.size());
  if (HasClasses(model)) {
    gradient[static_cast<size_t>(target.index)] = 1;
    return gradient;
  }
  // Of s t.z / (|t| |z|): s / |z| (t / |t| - cos z / |z|).
  double t2 = 0, z2 = 0, dot = 0;
  for (size_t i = 0; i < pooled.size(); ++i) {
    const auto t = static_cast<double>(target.text[i]), z = static_cast<double>(pooled[i]);
    t2 += t * t, z2 += z * z, dot += t * z;
  }
  if (!(t2 > 0 && z2 > 0)) {
    throw Error(ErrorCode::kUnsupported, "--maps: chefer needs vectors that are not 0");
  }
  const double length = std::sqrt(z2), cosine = dot / std::sqrt(t2 * z2);
  for (size_t i = 0; i < pooled.size(); ++i) {
    gradient[i] = static_cast<float>(kClipLogitScale / length *
                                     (static_cast<double>(target.text[i]) / std::sqrt(t2) -
                                      cosine * static_cast<double>(pooled[i]) / length));
  }
  return gradient;
}

std::vector<AttentionMap> RelevanceOf(Context& ctx, const VisionTransformer& model,
                                      std::span<const Tensor> hidden_states, const VitTape& tape,
                                      std::span<const float> d_pooled,
                                      const MapSelection& selection) {
  Follower follower(model.Traits(), tape, selection);
  DifferentiateVit(ctx, model, hidden_states, tape, d_pooled,
                   [&](const AttentionGradient& part) { follower.See(part); });
  return follower.Finish(selection);
}

std::vector<AttentionMap> GradientMaps(Component& component, Backend& backend,
                                       const NamedTensors& inputs,
                                       std::span<const RelevanceTarget> targets,
                                       const MapSelection& selection,
                                       const ForwardOptions& options) {
  const VisionTransformer* model = component.Vit();
  if (model == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                "--maps: chefer is for Vision Transformers, not a " + component.ClassName());
  }
  for (const RelevanceTarget& target : targets) CheckTarget(model->Traits(), target);
  VitTape tape;
  ForwardOptions watched = options;
  watched.dtype = DType::kF32;
  watched.hidden_states = true;
  watched.listeners = {&tape};
  const NamedTensors outputs = component.Forward(inputs, watched).outputs;
  std::vector<AttentionMap> maps;
  if (options.stop.stop_requested()) return maps;
  std::vector<Tensor> hidden;
  for (size_t i = 0; i <= tape.Layers().size(); ++i) {
    const Tensor all = outputs.at("hidden_states." + std::to_string(i)).View();  // (b,t,c)
    hidden.push_back(all.Slice(0, 0, 1).Reshape({all.shape[1], all.shape[2]}));
  }
  const HostTensor& pooled = outputs.at(outputs.contains("logits") ? "logits" : "image_embeds");
  const std::span<const float> answer{pooled.Data<float>(), static_cast<size_t>(model->Columns())};
  Arena arena(backend, kScratch);
  Context ctx{backend, arena, options.stop, DType::kF32};
  for (const RelevanceTarget& target : targets) {
    const std::vector<float> d_pooled = TargetGradient(model->Traits(), target, answer);
    for (AttentionMap& map : RelevanceOf(ctx, *model, hidden, tape, d_pooled, selection)) {
      map.kind = "chefer";
      map.word = target.name;
      maps.push_back(std::move(map));
    }
    if (options.stop.stop_requested()) return {};
  }
  return maps;
}

}  // namespace fovea
