// All settings of one generation, once: flags, widgets, presets and picture metadata visit them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fovea {

struct GenerateSettings {
  std::string prompt;
  std::optional<std::string> negative;  // none: as "", except for models that take zeros for none
  // For a second and a third text encoder; empty: the same as the first's.
  std::string prompt_2, negative_2, prompt_3, negative_3;
  std::string prompt_weights = "a1111";  // or "comfy", "off"
  std::string model;                     // as given: a path or a name; empty: built in
  std::string lora;                      // LoRA files and their scales, as LoraText
  std::string overlay;                   // a file of tensors, or its name
  std::string overlay_pass = "both";     // of two passes, or "second"
  int width = 0, height = 0;             // 0: the model's
  int steps = 0;                         // 0: the model's default, else 25
  std::optional<uint64_t> seed;          // none: random, and printed
  int batch = 1;
  double cfg = -1;               // < 0: the model's default; off at 1
  double true_cfg = 1;           // beside a cfg that is an input of the model; off at 1
  double cfg_rescale = -1;       // < 0: the model's default
  std::string cfg_interval;      // steps that are guided, as ParseStepRange; empty: all
  std::string guidance = "cfg";  // as GuidanceMethods(), with arguments
  // Guidance away from perturbed heads: texts of attention/heads/perturbation_list.h; empty: none.
  std::string perturb, perturb_kind = "identity", perturb_scope = "all";
  double perturb_scale = 3;
  std::string perturb_steps;       // as ParseStepRange; empty: all that are guided
  std::string sampler;             // empty: the model's scheduler_config.json
  std::string schedule = "model";  // of noise levels; a name of ScheduleNames()
  double eta = 0;
  double shift = 0;           // of flow matching; 0: the model's
  double ntk = 1;             // of rotary positions: factor of their base
  std::string attention;      // text of an AttentionPlan; empty: dense
  std::string hires = "off";  // as ParseHires
  // Of the second of two passes; 0, < 0 and empty: as in the first.
  int hires_steps = 0;
  double hires_cfg = -1, hires_shift = 0, hires_ntk = 0;
  std::string hires_attention;
  std::string image, mask;        // PictureDigest of what was given to start from; empty: nothing
  double strength = -1;           // of image to image; < 0: 0.8, with a mask 1
  std::string mask_paste = "on";  // or "off"
  int clip_skip = 0;              // as diffusers': 0 is the last layer
  int max_sequence_length = -1;   // tokens that T5 reads; < 0: the model's default
  std::string rng = "philox";     // or "torch"
  std::string vae_tiling = "auto";
  std::string dtype = "auto";

  // v(name, field, help): name is the flag without dashes and the JSON key.
  template <class Visitor>
  void ForEachField(Visitor&& v) {
    v("prompt", prompt, "what to draw");
    v("negative", negative, "what to avoid");
    v("prompt-2", prompt_2, "what a second text encoder reads instead (SDXL, SD3, FLUX)");
    v("negative-2", negative_2, "what a second text encoder reads as negative prompt");
    v("prompt-3", prompt_3, "what a third text encoder reads instead (SD3)");
    v("negative-3", negative_3, "what a third text encoder reads as negative prompt");
    v("prompt-weights", prompt_weights,
      "how (x:1.2) is read; off: literally, one window of tokens, cut");
    v("model", model, "pipeline folder or name; empty: the built-in still-life-unet");
    v("lora", lora, "LoRA files: NAME:SCALE;NAME:SCALE");
    v("overlay", overlay, "a file whose tensors replace the denoiser's own");
    v("overlay-pass", overlay_pass, "which of two passes have the overlay");
    v("width", width, "picture width in pixels, a multiple of the VAE factor (8)");
    v("height", height, "picture height in pixels, a multiple of the VAE factor (8)");
    v("steps", steps, "sampling steps, 1 to the model's training steps");
    v("seed", seed, "seed of the first picture; picture i uses seed + i");
    v("batch", batch, "number of pictures");
    v("cfg", cfg, "classifier-free guidance scale, off at 1");
    v("true-cfg", true_cfg, "guidance by the negative prompt where cfg is an input (FLUX)");
    v("cfg-rescale", cfg_rescale, "rescale of guidance (Lin et al. 2023), 0 to 1");
    v("cfg-interval", cfg_interval, "guided steps: 0-based and inclusive, or percents (20%-80%)");
    v("guidance", guidance,
      "how prompt and negative prompt are combined: cfg, cfg-zero-star, apg(...)");
    v("perturb", perturb,
      "heads to be led away from: LAYER[.HEADS][@STRENGTH],..., @FILE or preset:NAME");
    v("perturb-kind", perturb_kind, "what becomes of these heads, or blocks");
    v("perturb-scope", perturb_scope, "tokens of joint attention that are perturbed");
    v("perturb-scale", perturb_scale, "scale of the guidance away from them");
    v("perturb-steps", perturb_steps, "its steps: 0-based and inclusive, or percents (1%-20%)");
    v("sampler", sampler, "sampler; a named one takes the model's scheduler_config.json over");
    v("schedule", schedule, "noise levels: the model's, or of a kind");
    v("eta", eta, "DDIM's eta");
    v("shift", shift, "shift of flow matching's noise levels, whatever the picture's size");
    v("ntk", ntk, "factor of the base of rotary positions, for large pictures (FLUX)");
    v("attention", attention, "attention plan: [LAYERS:]OPERATOR;..., @FILE or preset:NAME");
    v("hires", hires,
      "HiDiffusion for large pictures, or a small picture first, then the large one");
    v("hires-steps", hires_steps, "sampling steps of the second of two passes");
    v("hires-cfg", hires_cfg, "cfg of the second of two passes");
    v("hires-shift", hires_shift, "shift of the second of two passes");
    v("hires-ntk", hires_ntk, "ntk of the second of two passes");
    v("hires-attention", hires_attention, "attention plan of the second of two passes");
    v("image", image, "the picture to start from, told by its pixels");
    v("mask", mask, "the picture whose white part is made anew, told by its pixels");
    v("strength", strength, "how much of the given picture is made anew, up to 1");
    v("mask-paste", mask_paste, "put what the mask keeps back after decoding, pixel by pixel");
    v("clip-skip", clip_skip, "text encoder layers to skip, as in diffusers");
    v("max-sequence-length", max_sequence_length, "tokens that T5 reads and pads to (SD3, FLUX)");
    v("rng", rng, "noise: PyTorch's CPU or its CUDA generator");
    v("vae-tiling", vae_tiling, "decode in tiles, in bounded memory");
    v("dtype", dtype, "auto, f32 or bf16");
  }
};

}  // namespace fovea
