#include "models/dit/dit_transformer.h"

#include <array>

#include "models/dit/dit_config.h"
#include "models/dit/dit_layers.h"
#include "models/dit/patch_embed.h"
#include "tensor/ops/activation.h"
#include "tensor/ops/elementwise.h"
#include "tensor/ops/embed.h"
#include "tensor/ops/norm/layer_norm.h"
#include "tensor/ops/product/linear.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

constexpr int64_t kSinusoids = 256, kZeroChunks = 6;
enum Chunk { kShift, kScale, kGate, kMlpShift, kMlpScale, kMlpGate };

// BasicTransformerBlock with ada_norm_zero: each block embeds time and class by itself.
struct DitBlock {
  TimestepEmbedding timestep_embedder;
  Tensor embedding_table;  // (num_classes + 1, c), in the file's dtype
  Weight norm1_linear;
  AttentionSite site;
  AttentionStream attn1;
  LayerNormParams norm3;
  DitFeedForward ff;

  static DitBlock Load(const WeightScope& scope, const DitConfig& config,
                       std::vector<AttentionSite>& sites);
  // silu(time + class): (n,c) from (n,256) sinusoids and (n,1) labels on the host
  void Embed(Context& ctx, const Tensor& sines, const Tensor& labels, const Tensor& temb) const;
  // hidden (n,t,c), updated in place; pass.temb is this block's.
  void Forward(DitPass& pass, const Tensor& hidden) const;
};

DitBlock DitBlock::Load(const WeightScope& scope, const DitConfig& config,
                        std::vector<AttentionSite>& sites) {
  DitBlock block;
  const int64_t c = config.Channels();
  const int side = config.sample_size / config.patch;
  const WeightScope norm1 = scope.Sub("norm1");
  const WeightScope emb = norm1.Sub("emb");
  block.timestep_embedder = LoadEmbedding(emb.Sub("timestep_embedder"), kSinusoids, c);
  block.embedding_table =
      emb.Sub("class_embedder").Sub("embedding_table").Get("weight", {config.num_classes + 1, c});
  block.norm1_linear = norm1.Linear("linear", c, kZeroChunks * c);
  const WeightScope attn1 = scope.Sub("attn1");
  block.attn1 = LoadStream(attn1, kImageStream,
                           {c, config.heads, config.head_dim, false, config.attention_bias});
  block.site = {attn1.Path(), static_cast<int>(sites.size()),    SiteKind::kSelf,
                config.heads, static_cast<int>(config.head_dim), GridLayout(side, side)};
  sites.push_back(block.site);
  block.norm3.eps = static_cast<float>(config.norm_eps);
  if (config.norm_affine) {
    const LayerNorm norm = LayerNorm::Load(scope, "norm3", c, config.norm_eps);
    block.norm3.gamma = norm.weight;
    block.norm3.beta = norm.bias;
  }
  block.ff = DitFeedForward::Load(scope.Sub("ff"), c, config.act, config.gated);
  return block;
}

void DitBlock::Embed(Context& ctx, const Tensor& sines, const Tensor& labels,
                     const Tensor& temb) const {
  ArenaScope scope(ctx.arena);
  const int64_t n = temb.shape[0], c = temb.shape[1];
  const Tensor classes = ctx.New({n, 1, c});  // (n,1,c)
  ops::Embed(ctx, labels, embedding_table, classes);
  timestep_embedder.Forward(ctx, sines, {}, temb);
  ops::Add(ctx, temb, classes.Reshape({n, c}), temb);
  ops::Activate(ctx, temb, Act::kSilu, temb);
}

void DitBlock::Forward(DitPass& pass, const Tensor& hidden) const {
  Context& ctx = pass.ctx;
  ArenaScope scope(ctx.arena);
  const int64_t c = hidden.shape[2];
  const Tensor rows = Modulations(ctx, pass.temb, norm1_linear);
  const Tensor x = ctx.New(hidden.shape);  // (n,t,c)
  AdaLayerNorm(ctx, hidden, Modulation(rows, kShift, c), Modulation(rows, kScale, c), x);
  const std::array<StreamCall, 1> stream{{{&attn1, x, x}}};
  AttendStreams(pass, site, pass.tokens, stream, hidden);
  ops::GatedAdd(ctx, x, Modulation(rows, kGate, c), hidden);
  if (ctx.Cancelled()) return;
  LayerNormParams params = norm3;
  params.shift = Modulation(rows, kMlpShift, c);
  params.scale = Modulation(rows, kMlpScale, c);
  ops::ModulatedLayerNorm(ctx, hidden, params, x);
  ff.Forward(ctx, x, x);
  ops::GatedAdd(ctx, x, Modulation(rows, kMlpGate, c), hidden);
}

}  // namespace

struct DiTModules {
  DitConfig config;
  PatchEmbed pos_embed;
  std::vector<DitBlock> transformer_blocks;
  Weight proj_out_1, proj_out_2;
};

DiTTransformer2DModel::DiTTransformer2DModel() = default;
DiTTransformer2DModel::~DiTTransformer2DModel() = default;

std::unique_ptr<DiTTransformer2DModel> DiTTransformer2DModel::Load(
    const Config& config, std::shared_ptr<const WeightStore> weights) {
  std::unique_ptr<DiTTransformer2DModel> model(new DiTTransformer2DModel);
  model->modules_ = std::make_unique<DiTModules>();
  DiTModules& modules = *model->modules_;
  modules.config = ReadDitConfig(config);
  const DitConfig& dit = modules.config;
  DenoiserTraits& traits = model->traits_;
  traits.class_name = config.ClassName();
  traits.in_channels = static_cast<int>(dit.in_channels);
  traits.out_channels = static_cast<int>(dit.out_channels);
  traits.sample_height = traits.sample_width = dit.sample_size;
  traits.context_dim = 0;
  traits.patch = dit.patch;
  traits.num_classes = dit.num_classes;

  const WeightScope root(*weights);
  const int64_t c = dit.Channels();
  modules.pos_embed =
      PatchEmbed::Load(root.Sub("pos_embed"), dit.in_channels, c, dit.patch, dit.sample_size, 0);
  for (int i = 0; i < dit.layers; ++i) {
    modules.transformer_blocks.push_back(
        DitBlock::Load(root.Sub("transformer_blocks", i), dit, model->sites_));
  }
  modules.proj_out_1 = root.Linear("proj_out_1", c, 2 * c);
  modules.proj_out_2 = root.Linear("proj_out_2", c, dit.patch * dit.patch * dit.out_channels);
  weights->CheckAllRead();
  model->weights_ = std::move(weights);
  return model;
}

void DiTTransformer2DModel::Forward(Context& ctx, AttentionRuntime& attention,
                                    const DenoiserInput& input, const Tensor& out) const {
  TRACE_ZONE("dit");
  const DiTModules& modules = *modules_;
  const DitConfig& config = modules.config;
  const Shape& in = input.latent.shape;  // (n,h,w,in)
  const int64_t n = in[0], c = config.Channels();
  ENSURE(in.rank == 4 && in[3] == config.in_channels && out.dtype == DType::kF32);
  ENSURE(static_cast<int64_t>(input.class_labels.size()) == n);
  const int64_t h = modules.pos_embed.Tokens(in[1]), w = modules.pos_embed.Tokens(in[2]);
  std::vector<int32_t> labels;
  for (const int64_t label : input.class_labels) {
    if (label < 0 || label > config.num_classes) {
      throw Error(ErrorCode::kUsage, "class " + std::to_string(label) +
                                         " is not one of this model's, which are 0 to " +
                                         std::to_string(config.num_classes) +
                                         ", the last for none");
    }
    labels.push_back(static_cast<int32_t>(label));
  }
  const Tensor ids = Tensor::Contiguous(labels.data(), {n, 1}, DType::kI32);

  ArenaScope scope(ctx.arena);
  DitPass pass{ctx, attention, ctx.New({n, c}),
               GridLayout(static_cast<int>(h), static_cast<int>(w))};
  const Tensor sines = Sinusoids(ctx, input.timestep, 1, n, 1);
  const Tensor hidden = ctx.New({n, h * w, c});  // (n,t,c)
  {
    ArenaScope inner(ctx.arena);
    modules.pos_embed.Forward(ctx, AsActivations(ctx, input.latent), hidden);
  }
  LiveRows live(input.split, n);
  const Tensor temb = pass.temb;
  for (const DitBlock& block : modules.transformer_blocks) {
    if (ctx.Cancelled()) return;
    const int site = block.site.index;
    live.PartAt(ctx, site, {hidden});
    pass.temb = live.OfBlock(site, temb);
    block.Embed(ctx, live.OfBlock(site, sines), live.OfBlock(site, ids), pass.temb);
    block.Forward(pass, live.OfBlock(site, hidden));
  }
  pass.temb = temb;
  ENSURE(live.Count() == n);
  if (ctx.Cancelled()) return;
  modules.transformer_blocks.front().Embed(ctx, sines, ids, pass.temb);
  const Tensor rows = Modulations(ctx, pass.temb, modules.proj_out_1);
  AdaLayerNorm(ctx, hidden, Modulation(rows, 0, c), Modulation(rows, 1, c), hidden);
  const Tensor patches = ctx.New({n, h * w, modules.proj_out_2.Out()});  // (n,t,p*p*out)
  ops::Linear(ctx, hidden, modules.proj_out_2, patches);
  Unpatchify(ctx, patches, h, w, config.patch, out);
}

}  // namespace fovea
