#include "models/ignorable_names.h"

#include <algorithm>
#include <array>

namespace fovea {
namespace {

// A whole name: what training code of diffusion models registers beside the network.
constexpr std::array<std::string_view, 21> kNames = {
    "betas",
    "alphas_cumprod",
    "alphas_cumprod_prev",
    "sqrt_alphas_cumprod",
    "sqrt_one_minus_alphas_cumprod",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "sqrt_recipm1_alphas_cumprod",
    "posterior_variance",
    "posterior_log_variance_clipped",
    "posterior_mean_coef1",
    "posterior_mean_coef2",
    "logvar",
    "lvlb_weights",
    "scale_factor",
    "denoiser.sigmas",
    "epoch",
    "global_step",
    "current_epoch",
    "step",
    "iteration",
};

// The first part of a name: copies and optimiser state.
constexpr std::array<std::string_view, 9> kFirstParts = {
    "model_ema",     "ema_model",   "optimizer", "optimizer_state", "optimizer_states",
    "lr_schedulers", "grad_scaler", "loops",     "callbacks",
};

// The last part of a name, at any depth.
constexpr std::array<std::string_view, 4> kLastParts = {
    "position_ids",         // 0, 1, 2, ...: registered as a buffer by older transformers
    "logit_scale",          // CLIP's temperature between the two towers
    "num_batches_tracked",  // a counter of batch normalisation
    "mask_token",           // stands for hidden patches while a ViT is trained
};

template <size_t N>
bool Contains(const std::array<std::string_view, N>& table, std::string_view name) {
  return std::find(table.begin(), table.end(), name) != table.end();
}

}  // namespace

bool IsIgnorable(std::string_view tensor_name) {
  if (Contains(kNames, tensor_name)) return true;
  const size_t first = tensor_name.find('.');
  if (first != std::string_view::npos && Contains(kFirstParts, tensor_name.substr(0, first))) {
    return true;
  }
  const size_t last = tensor_name.rfind('.');
  return Contains(kLastParts,
                  last == std::string_view::npos ? tensor_name : tensor_name.substr(last + 1));
}

}  // namespace fovea
