// Fuzzes config.json and scheduler_config.json, up to what the models and samplers make of them.
#include "models/clip/clip_text_config.h"
#include "models/config.h"
#include "models/unet/unet_config.h"
#include "models/vae/vae_config.h"
#include "models/vit/vit_config.h"
#include "pipelines/sampling/scheduler.h"
#include "pipelines/vision/vit_preprocessing.h"
#include "tests/fuzz/fuzz_target.h"

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  return {
      R"({"_class_name":"UNet2DConditionModel","act_fn":"silu","attention_head_dim":[2,4],)"
      R"("block_out_channels":[32,64],"center_input_sample":false,"cross_attention_dim":16,)"
      R"("down_block_types":["CrossAttnDownBlock2D","DownBlock2D"],"flip_sin_to_cos":true,)"
      R"("freq_shift":0,"in_channels":4,"layers_per_block":2,"mid_block_scale_factor":1,)"
      R"("norm_eps":1e-05,"norm_num_groups":32,"out_channels":4,"sample_size":[16,24],)"
      R"("up_block_types":["UpBlock2D","CrossAttnUpBlock2D"],"transformer_layers_per_block":1,)"
      R"("resnet_time_scale_shift":"default","time_cond_proj_dim":null})",
      R"({"_class_name":"AutoencoderKL","act_fn":"silu","block_out_channels":[32,64],)"
      R"("down_block_types":["DownEncoderBlock2D","DownEncoderBlock2D"],"in_channels":3,)"
      R"("latent_channels":4,"layers_per_block":1,"norm_num_groups":32,"out_channels":3,)"
      R"("sample_size":64,"scaling_factor":0.18215,"force_upcast":true,"shift_factor":null,)"
      R"("up_block_types":["UpDecoderBlock2D","UpDecoderBlock2D"],"use_quant_conv":true})",
      R"({"architectures":["CLIPTextModel"],"bos_token_id":0,"eos_token_id":2,"hidden_act":"quick_gelu",)"
      R"("hidden_size":32,"intermediate_size":64,"layer_norm_eps":1e-05,"max_position_embeddings":77,)"
      R"("model_type":"clip_text_model","num_attention_heads":4,"num_hidden_layers":2,)"
      R"("projection_dim":16,"vocab_size":49408})",
      R"({"architectures":["Dinov2WithRegistersModel"],"hidden_act":"gelu","hidden_size":32,)"
      R"("image_size":[56,28],"layer_norm_eps":1e-06,"layerscale_value":1.0,"mlp_ratio":4,)"
      R"("num_attention_heads":4,"num_hidden_layers":2,"num_register_tokens":4,"patch_size":7,)"
      R"("qkv_bias":true,"use_swiglu_ffn":true,"id2label":{"0":"a","1":"b"}})",
      R"({"architecture":"agent_deit_tiny","num_classes":5,"global_pool":"token",)"
      R"("model_args":{"embed_dim":32,"depth":4,"num_heads":4,"img_size":40,"patch_size":8,)"
      R"("agent_num":[4,9,9,9],"init_values":null},"pretrained_cfg":{"input_size":[3,40,40],)"
      R"("crop_pct":0.9,"interpolation":"bicubic","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5]}})",
      R"({"image_processor_type":"CLIPImageProcessor","crop_size":{"height":18,"width":18},)"
      R"("do_center_crop":true,"size":{"shortest_edge":18,"longest_edge":30},"resample":3,)"
      R"("image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5],"rescale_factor":0.00392})",
      R"({"_class_name":"PNDMScheduler","beta_end":0.012,"beta_schedule":"scaled_linear",)"
      R"("beta_start":0.00085,"num_train_timesteps":20,"set_alpha_to_one":false,)"
      R"("skip_prk_steps":true,"steps_offset":1,"prediction_type":"epsilon","trained_betas":null})",
      R"({"_class_name":"DPMSolverMultistepScheduler","algorithm_type":"dpmsolver++",)"
      R"("beta_schedule":"linear","num_train_timesteps":20,"solver_order":2,)"
      R"("use_karras_sigmas":true,"timestep_spacing":"trailing","lambda_min_clipped":-Infinity})",
      R"({"_class_name":"EulerDiscreteScheduler","num_train_timesteps":20,)"
      R"("trained_betas":[0.1,0.2,0.3],"prediction_type":"v_prediction","rescale_betas_zero_snr":true})",
  };
}

namespace {

void ReadEveryWay(const Config& config, int depth) {
  RefusesOrReads([&] { config.ClassName(); });
  for (const char* field : {"block_out_channels", "layers_per_block", "attention_head_dim",
                            "act_fn", "norm_eps", "center_input_sample", "trained_betas",
                            "sample_size", "architectures", "text_config", ""}) {
    RefusesOrReads([&] { config.Int(field, 0, INT64_MAX); });
    RefusesOrReads([&] { config.Int(field, -8, 8, 1); });
    RefusesOrReads([&] { config.Number(field, 0); });
    RefusesOrReads([&] { config.Bool(field, false); });
    RefusesOrReads([&] { config.String(field, ""); });
    RefusesOrReads([&] { config.Ints(field, 4, 1, 1 << 20); });
    RefusesOrReads([&] { config.Ints(field, -1, 1, 1 << 20); });
    RefusesOrReads([&] { config.Strings(field); });
    RefusesOrReads([&] { config.Bools(field, 4, false); });
    RefusesOrReads([&] { config.Numbers(field); });
    RefusesOrReads([&] { config.Only(field, "silu"); });
    RefusesOrReads([&] { config.OnlyNull(field); });
    if (depth > 0) RefusesOrReads([&] { ReadEveryWay(config.Object(field), depth - 1); });
  }
  RefusesOrReads([&] { config.CheckAllRead(); });
}

}  // namespace
}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RefusesOrReads([&] {
    const Config config = Config::Parse(text, "config.json");
    ReadEveryWay(config, 2);
    RefusesOrReads([&] { ReadUNetConfig(config); });
    RefusesOrReads([&] { ReadVaeConfig(config); });
    RefusesOrReads([&] { ReadClipTextConfig(config); });
    RefusesOrReads([&] { ReadVitConfig(config); });
    RefusesOrReads([&] { ParseVitPreprocessing(config, "ViTModel"); });
    RefusesOrReads([&] { ParseTimmPreprocessing(config); });
    // Tables of training steps grow with the config's own number; a large one is slow, not wrong.
    if (config.Int("num_train_timesteps", 1, 2000, 1000) <= 2000) {
      RefusesOrReads([&] { MakeScheduler(config, {.sampler = "", .steps = 3}); });
    }
  });
  return 0;
}
