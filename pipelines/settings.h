// All settings of one generation, once: flags, widgets, presets and picture metadata visit them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace fovea {

struct GenerateSettings {
  std::string prompt, negative;
  std::string model;             // as given: a path or a name; empty: built in
  int width = 0, height = 0;     // 0: the model's
  int steps = 0;                 // 0: the model's default, else 25
  std::optional<uint64_t> seed;  // none: random, and printed
  int batch = 1;
  double cfg = -1;          // < 0: the model's default; off at 1
  double cfg_rescale = -1;  // < 0: the model's default
  std::string sampler;      // empty: the model's scheduler_config.json
  double eta = 0;
  int clip_skip = 0;           // as diffusers': 0 is the last layer
  std::string rng = "philox";  // or "torch"
  std::string vae_tiling = "auto";
  std::string dtype = "auto";

  // v(name, field, help): name is the flag without dashes and the JSON key.
  template <class Visitor>
  void ForEachField(Visitor&& v) {
    v("prompt", prompt, "what to draw");
    v("negative", negative, "what to avoid");
    v("model", model, "pipeline folder or name; empty: the built-in still-life-unet");
    v("width", width, "picture width, a multiple of the VAE factor; 0: the model's");
    v("height", height, "picture height, a multiple of the VAE factor; 0: the model's");
    v("steps", steps, "sampling steps; 0: the model's default, else 25");
    v("seed", seed, "seed of the first picture; picture i uses seed + i");
    v("batch", batch, "number of pictures");
    v("cfg", cfg, "classifier-free guidance scale, off at 1; negative: the model's default");
    v("cfg-rescale", cfg_rescale, "rescale of guidance (Lin et al. 2023), 0 to 1");
    v("sampler", sampler, "sampler; empty: as the model's scheduler_config.json");
    v("eta", eta, "DDIM's eta");
    v("clip-skip", clip_skip, "text encoder layers to skip, as in diffusers");
    v("rng", rng, "noise generator: torch or philox");
    v("vae-tiling", vae_tiling, "auto, on or off");
    v("dtype", dtype, "auto, f32 or bf16");
  }
};

}  // namespace fovea
