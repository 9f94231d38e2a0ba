#include "pipelines/generation/idle_settings.h"

#include <algorithm>
#include <cstdio>

#include "pipelines/pictures/image_input.h"

namespace fovea {
namespace {

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

}  // namespace

std::vector<std::string> IdleSettings(const DiffusionModel& model, const GenerateSettings& settings,
                                      const GenerateInputs& inputs, int calls) {
  std::vector<std::string> idle;
  const GuidanceSettings guidance = model.GuidanceOf(settings);
  const auto scheduler = model.MakeSampler(settings);
  const std::string off = " has no effect: guidance is off at cfg " + Number(guidance.scale);
  if (!guidance.model_is_guided && guidance.scale < 1) {
    idle.push_back("cfg: " + Number(guidance.scale) + " is below 1 and acts as 1, no guidance");
  }
  if (!guidance.HasUnconditional() && !guidance.model_is_guided) {
    if (!settings.negative.value_or("").empty()) idle.push_back("negative: the prompt" + off);
    if (!settings.cfg_interval.empty() && !guidance.HasPerturbed()) {
      idle.push_back("cfg-interval: " + settings.cfg_interval + off);
    }
    const double usual = model.Limits().defaults.cfg_rescale.value_or(0);
    if (settings.cfg_rescale > 0 && settings.cfg_rescale != usual) {
      idle.push_back("cfg-rescale: " + Number(settings.cfg_rescale) + off);
    }
  } else if (guidance.HasUnconditional() && !settings.cfg_interval.empty()) {
    const int each = scheduler->CallsPerStep(), steps = (calls + each - 1) / each;
    bool any = false;
    for (int step = 0; step < steps; ++step) any = any || guidance.interval.Holds(step, steps);
    if (!any) {
      idle.push_back("cfg-interval: " + settings.cfg_interval + " holds none of the " +
                     std::to_string(steps) + " steps, so none is guided; steps count from 0");
    }
  }
  if (guidance.perturbs && guidance.perturb_scale == 0) {
    idle.push_back("perturb: " + settings.perturb + " has no effect: perturb-scale is 0");
  }
  const std::string sampler(scheduler->Name());
  if (settings.eta > 0 && sampler != "ddim") {
    idle.push_back("eta: " + Number(settings.eta) + " has no effect: the sampler " + sampler +
                   " has no eta, which is ddim's");
  }
  if (settings.mask.empty() && settings.mask_paste == "off") {
    idle.push_back("mask-paste: off has no effect: there is no mask");
  }
  if (inputs.mask != nullptr) {
    const PixelMask mask = MakePixelMask(*inputs.mask, settings.width, settings.height);
    const std::vector<uint8_t>& rgb = inputs.mask->rgb;
    if (std::count(mask.repaint.begin(), mask.repaint.end(), 1) == 0 && !rgb.empty()) {
      idle.push_back("mask: keeps the whole picture: its largest value is " +
                     std::to_string(*std::max_element(rgb.begin(), rgb.end())) +
                     ", and what is to be made anew has 128 to 255");
    }
  }
  return idle;
}

}  // namespace fovea
