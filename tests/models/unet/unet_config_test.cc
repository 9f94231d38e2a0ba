// What ReadUNetConfig takes, fills in and refuses.
#include "models/unet/unet_config.h"

#include <catch2/catch.hpp>

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::json;

UNetConfig Read(const json& fields) {
  return ReadUNetConfig(Config::Parse(fields.dump(), "unet/config.json"));
}

// The code of the refusal and its text; kInternal and "" if there is none.
std::pair<ErrorCode, std::string> Refusal(const json& fields) {
  try {
    Read(fields);
  } catch (const Error& error) {
    return {error.code, error.what()};
  }
  return {ErrorCode::kInternal, ""};
}

TEST_CASE("a U-Net config without fields is diffusers' default") {
  const UNetConfig unet = Read(json::object());
  REQUIRE(unet.levels.size() == 4);
  CHECK(unet.levels[3].channels == 1280);
  CHECK(unet.levels[0].heads == 8);
  CHECK(unet.levels[0].layers == 2);
  CHECK(unet.levels[0].down_attention);
  CHECK_FALSE(unet.levels[3].down_attention);
  CHECK_FALSE(unet.levels[3].up_attention);
  CHECK(unet.time_embedding_dim == 1280);
  CHECK(unet.cross_attention_dim == 1280);
  CHECK(unet.flip_sin_to_cos);
  CHECK(unet.mid_block);
  CHECK(unet.norm_num_groups == 32);
  CHECK(unet.levels[2].up_transformers == std::vector<int>{1, 1, 1});
}

TEST_CASE("pooled text and picture sizes join the time embedding of SDXL") {
  const json xl = {{"addition_embed_type", "text_time"},
                   {"addition_time_embed_dim", 256},
                   {"projection_class_embeddings_input_dim", 2816}};
  CHECK(Read(xl).addition_dim == 2816);
  CHECK(Read(xl).addition_time_dim == 256);
  CHECK(Read(json::object()).addition_dim == 0);
  CHECK(Refusal({{"addition_embed_type", "text_time"}})
            .second.find("projection_class_embeddings_input_dim") != std::string::npos);
}

TEST_CASE("per-block lists of a U-Net are mirrored in its up blocks") {
  const UNetConfig unet = Read({{"block_out_channels", {8, 16}},
                                {"down_block_types", {"DownBlock2D", "CrossAttnDownBlock2D"}},
                                {"up_block_types", {"UpBlock2D", "CrossAttnUpBlock2D"}},
                                {"layers_per_block", {1, 2}},
                                {"attention_head_dim", {2, 4}},
                                {"only_cross_attention", {true, false}},
                                {"transformer_layers_per_block", {1, 3}},
                                {"sample_size", {24, 40}}});
  CHECK(unet.levels[0].up_attention);
  CHECK_FALSE(unet.levels[1].up_attention);
  CHECK(unet.levels[1].heads == 4);
  CHECK(unet.levels[0].only_cross_attention);
  CHECK(unet.levels[1].down_transformers == std::vector<int>{3, 3});
  CHECK(unet.levels[1].up_transformers == std::vector<int>{3, 3, 3});
  CHECK(unet.mid_transformers == 3);
  CHECK(unet.sample_height == 24);
  CHECK(unet.sample_width == 40);
}

TEST_CASE("transformer layers for every resnet need their reverse") {
  const json base = {{"block_out_channels", {32, 64}},
                     {"down_block_types", {"CrossAttnDownBlock2D", "CrossAttnDownBlock2D"}},
                     {"up_block_types", {"CrossAttnUpBlock2D", "CrossAttnUpBlock2D"}},
                     {"layers_per_block", 1},
                     {"transformer_layers_per_block", json::parse("[[1], [2]]")}};
  CHECK(Refusal(base).first == ErrorCode::kBadFile);
  json both = base;
  both["reverse_transformer_layers_per_block"] = json::parse("[[3, 4], [5, 6]]");
  const UNetConfig unet = Read(both);
  CHECK(unet.levels[1].up_transformers == std::vector<int>{3, 4});
  CHECK(unet.levels[0].up_transformers == std::vector<int>{5, 6});
  CHECK(unet.mid_transformers == 2);
  both["reverse_transformer_layers_per_block"] = json::parse("[[3, 4], [5]]");
  CHECK(Refusal(both).first == ErrorCode::kBadFile);
}

TEST_CASE("U-Net fields that we lack are refused by name") {
  const std::vector<std::pair<std::string, json>> fields = {
      {"class_embed_type", "timestep"},
      {"num_class_embeds", 10},
      {"addition_embed_type", "text"},
      {"encoder_hid_dim", 64},
      {"encoder_hid_dim_type", "text_proj"},
      {"num_attention_heads", 8},
      {"dual_cross_attention", true},
      {"class_embeddings_concat", true},
      {"attention_type", "gated"},
      {"time_embedding_type", "fourier"},
      {"resnet_time_scale_shift", "ada_group"},
      {"act_fn", "mish"},
      {"time_embedding_act_fn", "mish"},
      {"timestep_post_act", "relu"},
      {"mid_block_type", "UNetMidBlock2DSimpleCrossAttn"},
      {"down_block_types", {"AttnDownBlock2D", "DownBlock2D", "DownBlock2D", "DownBlock2D"}},
      {"up_block_types", {"UpBlock2D", "UpBlock2D", "UpBlock2D", "SkipUpBlock2D"}},
      {"norm_num_groups", nullptr},
      {"conv_in_kernel", 2},
      {"conv_out_kernel", 4},
      {"cross_attention_dim", {8, 8, 16, 8}},
      {"a_field_of_the_future", 1}};
  for (const auto& [field, value] : fields) {
    INFO(field);
    const auto [code, text] = Refusal({{field, value}});
    CHECK(code == ErrorCode::kUnsupported);
    CHECK(text.find("unet/config.json") != std::string::npos);
    CHECK(text.find(field) != std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
  }
}

TEST_CASE("U-Net fields with wrong values are errors of the file") {
  const std::vector<std::pair<std::string, json>> fields = {
      {"in_channels", 0},
      {"in_channels", -4},
      {"out_channels", 1e18},
      {"block_out_channels", json::array()},
      {"block_out_channels", {320, 640, 1280, 0}},
      {"block_out_channels", {320, 640}},
      {"block_out_channels", "320"},
      {"layers_per_block", 0},
      {"layers_per_block", 1000000000},
      {"layers_per_block", {2, 2}},
      {"attention_head_dim", 0},
      {"attention_head_dim", 400},
      {"transformer_layers_per_block", {1, 1}},
      {"transformer_layers_per_block", -1},
      {"transformer_layers_per_block", "many"},
      {"cross_attention_dim", 0},
      {"sample_size", 0},
      {"sample_size", {64}},
      {"norm_num_groups", 0},
      {"norm_eps", -1},
      {"norm_eps", "1e-5"},
      {"freq_shift", 160},
      {"mid_block_scale_factor", 0},
      {"downsample_padding", -1},
      {"flip_sin_to_cos", 1},
      {"center_input_sample", "no"},
      {"use_linear_projection", 3},
      {"upcast_attention", "yes"},
      {"only_cross_attention", {true}},
      {"down_block_types", {"DownBlock2D"}},
      {"conv_in_kernel", 0}};
  for (const auto& [field, value] : fields) {
    INFO(field << " " << value);
    const auto [code, text] = Refusal({{field, value}});
    CHECK(code == ErrorCode::kBadFile);
    CHECK(text.find("unet/config.json") != std::string::npos);
    CHECK(text.find('\n') == std::string::npos);
  }
}

}  // namespace
}  // namespace fovea
