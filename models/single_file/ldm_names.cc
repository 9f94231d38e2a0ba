#include "models/single_file/ldm_names.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <string>

namespace fovea {
namespace {

// Renames what follows a block's own name.
struct Member {
  std::string_view diffusers, ldm;
  int part = 0, parts = 1, count = 1;
};

constexpr Member kUNetResnet[] = {
    {"norm1.", "in_layers.0."},          {"conv1.", "in_layers.2."},
    {"time_emb_proj.", "emb_layers.1."}, {"norm2.", "out_layers.0."},
    {"conv2.", "out_layers.3."},         {"conv_shortcut.", "skip_connection."},
};
constexpr Member kVaeResnet[] = {
    {"norm1.", "norm1."},
    {"conv1.", "conv1."},
    {"norm2.", "norm2."},
    {"conv2.", "conv2."},
    {"conv_shortcut.", "nin_shortcut."},
};
constexpr Member kVaeAttention[] = {
    {"group_norm.", "norm."},   {"to_q.", "q."}, {"to_k.", "k."}, {"to_v.", "v."},
    {"to_out.0.", "proj_out."},
};
constexpr Member kOpenClipLayer[] = {
    {"layer_norm1.", "ln_1."},
    {"layer_norm2.", "ln_2."},
    {"mlp.fc1.", "mlp.c_fc."},
    {"mlp.fc2.", "mlp.c_proj."},
    {"self_attn.out_proj.", "attn.out_proj."},
    {"self_attn.q_proj.weight", "attn.in_proj_weight", 0, 3},
    {"self_attn.k_proj.weight", "attn.in_proj_weight", 1, 3},
    {"self_attn.v_proj.weight", "attn.in_proj_weight", 2, 3},
    {"self_attn.q_proj.bias", "attn.in_proj_bias", 0, 3},
    {"self_attn.k_proj.bias", "attn.in_proj_bias", 1, 3},
    {"self_attn.v_proj.bias", "attn.in_proj_bias", 2, 3},
};

constexpr Member kSd3Block[] = {
    {"attn.to_q.", "x_block.attn.qkv.", 0, 3},
    {"attn.to_k.", "x_block.attn.qkv.", 1, 3},
    {"attn.to_v.", "x_block.attn.qkv.", 2, 3},
    {"attn.add_q_proj.", "context_block.attn.qkv.", 0, 3},
    {"attn.add_k_proj.", "context_block.attn.qkv.", 1, 3},
    {"attn.add_v_proj.", "context_block.attn.qkv.", 2, 3},
    {"attn.norm_q.", "x_block.attn.ln_q."},
    {"attn.norm_k.", "x_block.attn.ln_k."},
    {"attn.norm_added_q.", "context_block.attn.ln_q."},
    {"attn.norm_added_k.", "context_block.attn.ln_k."},
    {"attn.to_out.0.", "x_block.attn.proj."},
    {"attn.to_add_out.", "context_block.attn.proj."},
    {"attn2.to_q.", "x_block.attn2.qkv.", 0, 3},
    {"attn2.to_k.", "x_block.attn2.qkv.", 1, 3},
    {"attn2.to_v.", "x_block.attn2.qkv.", 2, 3},
    {"attn2.norm_q.", "x_block.attn2.ln_q."},
    {"attn2.norm_k.", "x_block.attn2.ln_k."},
    {"attn2.to_out.0.", "x_block.attn2.proj."},
    {"norm1.linear.", "x_block.adaLN_modulation.1."},
    {"norm1_context.linear.", "context_block.adaLN_modulation.1."},
    {"ff.net.0.proj.", "x_block.mlp.fc1."},
    {"ff.net.2.", "x_block.mlp.fc2."},
    {"ff_context.net.0.proj.", "context_block.mlp.fc1."},
    {"ff_context.net.2.", "context_block.mlp.fc2."},
};
constexpr Member kFluxBlock[] = {
    {"norm1.linear.", "img_mod.lin."},
    {"norm1_context.linear.", "txt_mod.lin."},
    {"attn.to_q.", "img_attn.qkv.", 0, 3},
    {"attn.to_k.", "img_attn.qkv.", 1, 3},
    {"attn.to_v.", "img_attn.qkv.", 2, 3},
    {"attn.add_q_proj.", "txt_attn.qkv.", 0, 3},
    {"attn.add_k_proj.", "txt_attn.qkv.", 1, 3},
    {"attn.add_v_proj.", "txt_attn.qkv.", 2, 3},
    {"attn.norm_q.weight", "img_attn.norm.query_norm.scale"},
    {"attn.norm_k.weight", "img_attn.norm.key_norm.scale"},
    {"attn.norm_added_q.weight", "txt_attn.norm.query_norm.scale"},
    {"attn.norm_added_k.weight", "txt_attn.norm.key_norm.scale"},
    {"attn.to_out.0.", "img_attn.proj."},
    {"attn.to_add_out.", "txt_attn.proj."},
    {"ff.net.0.proj.", "img_mlp.0."},
    {"ff.net.2.", "img_mlp.2."},
    {"ff_context.net.0.proj.", "txt_mlp.0."},
    {"ff_context.net.2.", "txt_mlp.2."},
};
// Query, key, value and, four times as wide, the first layer of the MLP are one matrix.
constexpr Member kFluxSingleBlock[] = {
    {"norm.linear.", "modulation.lin."},
    {"attn.to_q.", "linear1.", 0, 7},
    {"attn.to_k.", "linear1.", 1, 7},
    {"attn.to_v.", "linear1.", 2, 7},
    {"proj_mlp.", "linear1.", 3, 7, 4},
    {"attn.norm_q.weight", "norm.query_norm.scale"},
    {"attn.norm_k.weight", "norm.key_norm.scale"},
    {"proj_out.", "linear2."},
};

// A number in an original name, from the numbers i and j in diffusers' name.
using Number = int64_t (*)(const LdmLayout&, int64_t i, int64_t j);

// In the original U-Net a level is `layers_per_block` resnets and the downsampler, or one resnet
// more and the upsampler within the last of them; the first input block is conv_in.
constexpr Number kInput = [](const LdmLayout& l, int64_t i, int64_t j) {
  return 1 + i * (l.layers_per_block + 1) + j;
};
constexpr Number kDownsampler = [](const LdmLayout& l, int64_t i, int64_t) {
  return (i + 1) * (l.layers_per_block + 1);
};
constexpr Number kOutput = [](const LdmLayout& l, int64_t i, int64_t j) {
  return i * (l.layers_per_block + 1) + j;
};
constexpr Number kUpsampler = [](const LdmLayout& l, int64_t i, int64_t) {
  return (i + 1) * (l.layers_per_block + 1) - 1;
};
// The original VAE counts the levels of its decoder from the finest.
constexpr Number kMirrored = [](const LdmLayout& l, int64_t i, int64_t) {
  return l.vae_levels - 1 - i;
};
constexpr Number kFromOne = [](const LdmLayout&, int64_t i, int64_t) { return i + 1; };
constexpr Number kI = [](const LdmLayout&, int64_t i, int64_t) { return i; };

struct Rule {
  std::string_view diffusers;  // its beginning; # is a number: the first is i, the second j
  std::string_view ldm;        // the beginning there; # is `number`, % is j
  Number number = nullptr;
  std::span<const Member> members = {};  // of what follows; empty: anything, as it is
  bool transposed = false;
  bool swapped = false;
};

constexpr Rule kUNetRules[] = {
    {"conv_in.", "input_blocks.0.0."},
    {"time_embedding.linear_1.", "time_embed.0."},
    {"time_embedding.linear_2.", "time_embed.2."},
    {"time_embedding.cond_proj.", "time_embed.cond_proj."},
    {"add_embedding.linear_1.", "label_emb.0.0."},
    {"add_embedding.linear_2.", "label_emb.0.2."},
    {"conv_norm_out.", "out.0."},
    {"conv_out.", "out.2."},
    {"down_blocks.#.resnets.#.", "input_blocks.#.0.", kInput, kUNetResnet},
    {"down_blocks.#.attentions.#.", "input_blocks.#.1.", kInput},
    {"down_blocks.#.downsamplers.0.conv.", "input_blocks.#.0.op.", kDownsampler},
    {"mid_block.resnets.0.", "middle_block.0.", nullptr, kUNetResnet},
    {"mid_block.attentions.0.", "middle_block.1."},
    {"mid_block.resnets.1.", "middle_block.2.", nullptr, kUNetResnet},
    {"up_blocks.#.resnets.#.", "output_blocks.#.0.", kOutput, kUNetResnet},
    {"up_blocks.#.attentions.#.", "output_blocks.#.1.", kOutput},
    // Behind the attention, where the block has one.
    {"up_blocks.#.upsamplers.0.conv.", "output_blocks.#.2.conv.", kUpsampler},
    {"up_blocks.#.upsamplers.0.conv.", "output_blocks.#.1.conv.", kUpsampler},
};

constexpr Rule kVaeRules[] = {
    {"quant_conv.", "quant_conv."},
    {"post_quant_conv.", "post_quant_conv."},
    {"encoder.conv_in.", "encoder.conv_in."},
    {"encoder.conv_norm_out.", "encoder.norm_out."},
    {"encoder.conv_out.", "encoder.conv_out."},
    {"encoder.down_blocks.#.resnets.#.", "encoder.down.#.block.%.", kI, kVaeResnet},
    {"encoder.down_blocks.#.downsamplers.0.conv.", "encoder.down.#.downsample.conv.", kI},
    {"encoder.mid_block.resnets.#.", "encoder.mid.block_#.", kFromOne, kVaeResnet},
    {"encoder.mid_block.attentions.0.", "encoder.mid.attn_1.", nullptr, kVaeAttention},
    {"decoder.conv_in.", "decoder.conv_in."},
    {"decoder.conv_norm_out.", "decoder.norm_out."},
    {"decoder.conv_out.", "decoder.conv_out."},
    {"decoder.up_blocks.#.resnets.#.", "decoder.up.#.block.%.", kMirrored, kVaeResnet},
    {"decoder.up_blocks.#.upsamplers.0.conv.", "decoder.up.#.upsample.conv.", kMirrored},
    {"decoder.mid_block.resnets.#.", "decoder.mid.block_#.", kFromOne, kVaeResnet},
    {"decoder.mid_block.attentions.0.", "decoder.mid.attn_1.", nullptr, kVaeAttention},
};

constexpr Rule kSd3Rules[] = {
    {"pos_embed.pos_embed", "pos_embed"},
    {"pos_embed.proj.", "x_embedder.proj."},
    {"time_text_embed.timestep_embedder.linear_1.", "t_embedder.mlp.0."},
    {"time_text_embed.timestep_embedder.linear_2.", "t_embedder.mlp.2."},
    {"time_text_embed.text_embedder.linear_1.", "y_embedder.mlp.0."},
    {"time_text_embed.text_embedder.linear_2.", "y_embedder.mlp.2."},
    {"context_embedder.", "context_embedder."},
    {"transformer_blocks.#.", "joint_blocks.#.", kI, kSd3Block},
    {"proj_out.", "final_layer.linear."},
    {"norm_out.linear.", "final_layer.adaLN_modulation.1.", nullptr, {}, false, true},
};

constexpr Rule kFluxRules[] = {
    {"time_text_embed.timestep_embedder.linear_1.", "time_in.in_layer."},
    {"time_text_embed.timestep_embedder.linear_2.", "time_in.out_layer."},
    {"time_text_embed.guidance_embedder.linear_1.", "guidance_in.in_layer."},
    {"time_text_embed.guidance_embedder.linear_2.", "guidance_in.out_layer."},
    {"time_text_embed.text_embedder.linear_1.", "vector_in.in_layer."},
    {"time_text_embed.text_embedder.linear_2.", "vector_in.out_layer."},
    {"context_embedder.", "txt_in."},
    {"x_embedder.", "img_in."},
    {"transformer_blocks.#.", "double_blocks.#.", kI, kFluxBlock},
    {"single_transformer_blocks.#.", "single_blocks.#.", kI, kFluxSingleBlock},
    {"proj_out.", "final_layer.linear."},
    {"norm_out.linear.", "final_layer.adaLN_modulation.1.", nullptr, {}, false, true},
};

constexpr Rule kClipRules[] = {{"", ""}};

constexpr Rule kOpenClipRules[] = {
    {"text_model.embeddings.token_embedding.", "token_embedding."},
    {"text_model.embeddings.position_embedding.weight", "positional_embedding"},
    {"text_model.encoder.layers.#.", "transformer.resblocks.#.", kI, kOpenClipLayer},
    {"text_model.final_layer_norm.", "ln_final."},
    {"text_projection.weight", "text_projection", nullptr, {}, true},
};

std::span<const Rule> RulesOf(LdmModule module) {
  switch (module) {
    case LdmModule::kUNet:
      return kUNetRules;
    case LdmModule::kVae:
      return kVaeRules;
    case LdmModule::kClip:
    case LdmModule::kT5:
      return kClipRules;
    case LdmModule::kSd3:
      return kSd3Rules;
    case LdmModule::kFlux:
      return kFluxRules;
    case LdmModule::kOpenClip:
      return kOpenClipRules;
  }
  return {};
}

struct Match {
  int64_t numbers[2] = {0, 0};
  std::string_view rest;
};

// `text` against a pattern for its beginning. Numbers have at most four digits.
std::optional<Match> MatchBeginning(std::string_view pattern, std::string_view text) {
  Match match;
  size_t at = 0, count = 0;
  for (const char c : pattern) {
    if (c != '#') {
      if (at == text.size() || text[at] != c) return std::nullopt;
      ++at;
      continue;
    }
    const char* begin = text.data() + at;
    const char* end = text.data() + std::min(text.size(), at + 4);
    if (begin == end || *begin < '0' || *begin > '9') return std::nullopt;
    const auto parsed = std::from_chars(begin, end, match.numbers[count++]);
    at += static_cast<size_t>(parsed.ptr - begin);
  }
  match.rest = text.substr(at);
  return match;
}

// The original name under one rule.
std::optional<StoredTensor> Apply(const Rule& rule, std::string_view tensor,
                                  const LdmLayout& layout) {
  const std::optional<Match> match = MatchBeginning(rule.diffusers, tensor);
  if (!match) return std::nullopt;
  StoredTensor out;
  const auto [i, j] = match->numbers;
  for (const char c : rule.ldm) {
    if (c == '#') {
      out.name += std::to_string(rule.number(layout, i, j));
    } else if (c == '%') {
      out.name += std::to_string(j);
    } else {
      out.name += c;
    }
  }
  out.transposed = rule.transposed;
  out.swapped = rule.swapped;
  if (rule.members.empty()) {
    out.name += match->rest;
    return out;
  }
  for (const Member& member : rule.members) {
    if (!match->rest.starts_with(member.diffusers)) continue;
    out.name += member.ldm;
    out.name += match->rest.substr(member.diffusers.size());
    out.part = member.part;
    out.parts = member.parts;
    out.count = member.count;
    // SD3's last block drops its text, and its norm is such a last norm.
    out.swapped = rule.members.data() == kSd3Block && i + 1 == layout.joint_blocks &&
                  member.diffusers == "norm1_context.linear.";
    return out;
  }
  return std::nullopt;
}

}  // namespace

std::vector<StoredTensor> LdmNames(LdmModule module, std::string_view tensor,
                                   const LdmLayout& layout) {
  std::vector<StoredTensor> out;
  for (const Rule& rule : RulesOf(module)) {
    if (auto stored = Apply(rule, tensor, layout)) out.push_back(std::move(*stored));
  }
  return out;
}

}  // namespace fovea
