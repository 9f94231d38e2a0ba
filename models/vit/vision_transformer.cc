#include "models/vit/vision_transformer.h"

#include <algorithm>
#include <cmath>

#include "models/vit/vit_modules.h"
#include "models/vit/vit_names.h"
#include "models/vit/vit_positions.h"
#include "tensor/ops/conv/conv2d.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

// A parameter of tokens: (1,n,c), or CLIP's (c) and (n,c).
Tensor TokenTable(const WeightScope& scope, const VitConfig& config, const char* name, int64_t n,
                  bool single) {
  const int64_t c = config.hidden;
  const bool clip = config.naming == VitNaming::kClip;
  const Shape shape = !clip ? Shape{1, n, c} : single ? Shape{c} : Shape{n, c};
  return scope.F32(name, shape).Reshape({n, c});
}

// Adds `count` rows to those that `prefix` has, with the next `count` positions where given.
void AddRows(const Tensor& rows, const Tensor& positions, int64_t first_position, int64_t& filled,
             HostTensor& prefix) {
  const int64_t c = rows.shape[1];
  for (int64_t i = 0; i < rows.shape[0]; ++i, ++filled) {
    float* to = prefix.Data<float>() + filled * c;
    std::copy_n(rows.Data<float>() + i * c, c, to);
    if (positions.Empty()) continue;
    const float* position = positions.Data<float>() + (first_position + i) * c;
    for (int64_t x = 0; x < c; ++x) to[x] += position[x];
  }
}

void LoadTokens(const WeightScope& scope, const VitConfig& config, VitModules& modules) {
  const VitNames& names = NamesOf(config.naming);
  const int64_t c = config.hidden, grid = config.GridHeight() * config.GridWidth();
  const int64_t singles = config.distillation_token ? 2 : 1;
  const int64_t with_position =
      (config.prefix_positions ? singles : 0) + (config.register_positions ? config.registers : 0);
  const Tensor all = TokenTable(scope, config, names.positions, with_position + grid, false);
  modules.positions = all.Slice(0, with_position, grid);
  modules.prefix = HostTensor({config.PrefixTokens(), c}, DType::kF32);
  const Tensor of_singles = config.prefix_positions ? all : Tensor{};
  int64_t filled = 0;
  AddRows(TokenTable(scope, config, names.class_token, 1, true), of_singles, 0, filled,
          modules.prefix);
  if (config.distillation_token) {
    AddRows(TokenTable(scope, config, names.distillation_token, 1, true), of_singles, 1, filled,
            modules.prefix);
  }
  // A file may hold none of them as a tensor without rows.
  if (config.registers > 0 || (names.registers != nullptr && scope.Has(names.registers))) {
    AddRows(TokenTable(scope, config, names.registers, config.registers, false),
            config.register_positions ? all : Tensor{}, singles, filled, modules.prefix);
  }
}

void LoadHeads(const WeightScope& root, const VitConfig& config, VitModules& modules) {
  const VitHeadNames names = HeadNamesOf(config);
  const int64_t c = config.hidden;
  switch (config.head) {
    case VitHead::kNone:
    case VitHead::kClassToken:
    case VitHead::kClipPooler:
      break;
    case VitHead::kClipProjection:
      modules.head = root.Linear(names.first, c, config.outputs, false);
      break;
    case VitHead::kTwoClassifiers: {
      const std::vector<float> half(static_cast<size_t>(config.outputs), 0.5f);  // exact
      modules.head = ScaleRows(root.Linear(names.first, c, config.outputs), half, modules.halves);
      modules.second_head =
          ScaleRows(root.Linear(names.second, c, config.outputs), half, modules.halves);
      break;
    }
    case VitHead::kTanhPooler:
    case VitHead::kClassifier:
      modules.head = root.Linear(names.first, c, config.outputs);
      break;
  }
}

// The sides of the trained grid as the library sees them: transformers takes the square root of
// their number, whatever their shape is.
std::pair<int64_t, int64_t> TrainedGrid(const VitConfig& config) {
  const int64_t count = config.GridHeight() * config.GridWidth();
  const auto side = static_cast<int64_t>(std::sqrt(static_cast<double>(count)));
  if (config.naming != VitNaming::kTimm && side * side == count) return {side, side};
  return {config.GridHeight(), config.GridWidth()};
}

}  // namespace

VisionTransformer::VisionTransformer() = default;
VisionTransformer::~VisionTransformer() = default;

std::unique_ptr<VisionTransformer> VisionTransformer::Load(
    const Config& config, std::shared_ptr<const WeightStore> weights) {
  std::unique_ptr<VisionTransformer> model(new VisionTransformer);
  model->config_ = ReadVitConfig(config);
  const VitConfig& vit = model->config_;
  const VitNames& names = NamesOf(vit.naming);
  model->modules_ = std::make_unique<VitModules>();
  VitModules& modules = *model->modules_;

  const WeightScope root(*weights);
  const WeightScope prefixed(*weights, vit.prefix);
  // Classes without a head are written without the prefix, but cut from larger ones with it.
  const WeightScope scope = root.Has(names.positions) ? root : prefixed;
  // CLIP's sites keep it, as published files have.
  const WeightScope& sites = vit.naming == VitNaming::kClip ? prefixed : scope;
  const int64_t c = vit.hidden;
  modules.patches =
      scope.Conv2d(names.patches, vit.channels, c, static_cast<int>(vit.patch), vit.patch_bias);
  LoadTokens(scope, vit, modules);
  if (vit.pre_norm) modules.pre_norm = LayerNorm::Load(scope, names.pre_norm, c, vit.eps);
  for (int i = 0; i < vit.layers; ++i) {
    const int agents = vit.agents.empty() ? 0 : vit.agents[static_cast<size_t>(i)];
    VitBlock block = VitBlock::Load(scope.Sub(names.blocks, i), vit, agents);
    block.site.path = sites.Sub(names.blocks, i).Sub(names.attention).Path();
    block.site.index = i;
    block.site.tokens = model->Tokens(vit.image_height, vit.image_width);
    model->sites_.push_back(block.site);
    modules.blocks.push_back(std::move(block));
  }
  modules.norm = LayerNorm::Load(scope, names.norm, c, vit.eps);
  LoadHeads(root, vit, modules);
  weights->CheckAllRead();
  model->weights_ = std::move(weights);
  return model;
}

int64_t VisionTransformer::Columns() const {
  switch (config_.head) {
    case VitHead::kNone:
      return 0;
    case VitHead::kClassToken:
    case VitHead::kClipPooler:
      return config_.hidden;
    case VitHead::kTanhPooler:
    case VitHead::kClassifier:
    case VitHead::kTwoClassifiers:
    case VitHead::kClipProjection:
      return config_.outputs;
  }
  return 0;
}

TokenLayout VisionTransformer::Tokens(int64_t height, int64_t width) const {
  TokenLayout tokens{{SegmentKind::kClass, 0, 1, {1, 1, 1}}};
  const auto add = [&tokens](SegmentKind kind, int length, const std::array<int, 3>& grid) {
    tokens.push_back({kind, tokens.back().begin + tokens.back().length, length, grid});
  };
  if (config_.distillation_token) add(SegmentKind::kClass, 1, {1, 1, 1});
  if (config_.registers > 0) add(SegmentKind::kRegister, config_.registers, {1, 1, 1});
  const int h = static_cast<int>(height / config_.patch),
            w = static_cast<int>(width / config_.patch);
  add(SegmentKind::kGrid, h * w, {1, h, w});
  return tokens;
}

std::span<const float> VisionTransformer::PositionsAt(int64_t height, int64_t width) const {
  const VitModules& modules = *modules_;
  const int64_t h = height / config_.patch, w = width / config_.patch, c = config_.hidden;
  const auto [own_h, own_w] = TrainedGrid(config_);
  const std::span<const float> own{modules.positions.Data<float>(),
                                   static_cast<size_t>(modules.positions.NumElements())};
  const bool native = height == config_.image_height && width == config_.image_width &&
                      config_.naming != VitNaming::kDinov2;
  if (native || (h == own_h && w == own_w)) return own;
  // transformers leaves them alone where their number fits and the picture is square.
  if (config_.naming != VitNaming::kTimm && height == width && h * w == own_h * own_w) return own;
  if (modules.resized_height != h || modules.resized_width != w) {
    modules.resized = HostTensor({h * w, c}, DType::kF32);
    ResizePositions(own, own_h, own_w, c, config_.resize, h, w,
                    {modules.resized.Data<float>(), static_cast<size_t>(h * w * c)});
    modules.resized_height = h;
    modules.resized_width = w;
  }
  return {modules.resized.Data<float>(), static_cast<size_t>(h * w * c)};
}

void VisionTransformer::Embed(Context& ctx, const Tensor& pixels, const Tensor& hidden) const {
  ArenaScope scope(ctx.arena);
  const VitModules& modules = *modules_;
  const int64_t b = pixels.shape[0], c = config_.hidden;
  const int64_t h = pixels.shape[1] / config_.patch, w = pixels.shape[2] / config_.patch;
  const int64_t singles = config_.PrefixTokens();
  const Tensor patches = ctx.New({b, h, w, c});     // (b,h,w,c)
  const Tensor positions = ctx.New({1, h * w, c});  // (1,h*w,c)
  const std::span<const float> values = PositionsAt(pixels.shape[1], pixels.shape[2]);
  // Only read from: Copy takes its source by view.
  ops::Copy(ctx, Tensor::Contiguous(const_cast<float*>(values.data()), {1, h * w, c}, DType::kF32),
            positions);
  Conv2dParams params;
  params.stride = static_cast<int>(config_.patch);
  ops::Conv2d(ctx, pixels, modules.patches, params, patches);
  for (int64_t i = 0; i < b; ++i) {
    const Tensor row = hidden.Slice(0, i, 1);
    ops::Copy(ctx, modules.prefix.View().Reshape({1, singles, c}), row.Slice(1, 0, singles));
    ops::Add(ctx, patches.Slice(0, i, 1).Reshape({1, h * w, c}), positions,
             row.Slice(1, singles, h * w));
  }
  if (config_.pre_norm) modules.pre_norm.Forward(ctx, hidden, hidden);
}

void VisionTransformer::Pool(Context& ctx, const Tensor& hidden, const Tensor& pooled) const {
  if (config_.head == VitHead::kNone) return;
  ArenaScope scope(ctx.arena);
  const VitModules& modules = *modules_;
  const int64_t b = hidden.shape[0], c = config_.hidden;
  const auto token = [&](int64_t at) {
    const Tensor rows = ctx.New({b, c});  // (b,c)
    ops::Copy(ctx, hidden.Slice(1, at, 1).Reshape({b, c}), rows);
    return rows;
  };
  const Tensor state = token(0);
  const bool clip = config_.naming == VitNaming::kClip;
  if (clip) modules.norm.Forward(ctx, state, state);
  if (modules.head.w.Empty()) {
    ops::Copy(ctx, state, pooled);
    return;
  }
  const Tensor result = ctx.New({b, config_.outputs});  // (b,outputs)
  ops::Linear(ctx, state, modules.head, result);
  if (config_.head == VitHead::kTwoClassifiers) {
    ops::Linear(ctx, token(1), modules.second_head, result, {.residual = &result});
  }
  ops::Copy(ctx, result, pooled);
}

void VisionTransformer::Forward(Context& ctx, AttentionRuntime& attention, const Tensor& pixels,
                                const VitOutput& out) const {
  TRACE_ZONE("vit");
  const VitModules& modules = *modules_;
  ENSURE(pixels.shape.rank == 4 && pixels.shape[3] == config_.channels);
  ENSURE(pixels.shape[1] >= config_.patch && pixels.shape[2] >= config_.patch);
  ENSURE(out.hidden_states.empty() || out.hidden_states.size() == modules.blocks.size() + 1);
  const TokenLayout tokens = Tokens(pixels.shape[1], pixels.shape[2]);
  ArenaScope scope(ctx.arena);
  const Tensor hidden = ctx.New({pixels.shape[0], TokenCount(tokens), config_.hidden});  // (b,t,c)
  Embed(ctx, pixels, hidden);
  if (!out.hidden_states.empty()) ops::Copy(ctx, hidden, out.hidden_states[0]);
  for (size_t i = 0; i < modules.blocks.size(); ++i) {
    if (ctx.Cancelled()) return;
    modules.blocks[i].Forward(ctx, attention, tokens, hidden);
    if (!out.hidden_states.empty()) ops::Copy(ctx, hidden, out.hidden_states[i + 1]);
  }
  if (ctx.Cancelled()) return;
  if (config_.naming != VitNaming::kClip) modules.norm.Forward(ctx, hidden, hidden);
  ops::Copy(ctx, hidden, out.last_hidden_state);
  Pool(ctx, hidden, out.pooled);
}

}  // namespace fovea
