#include "app/cli_commands/generate_outputs.h"

#include <algorithm>
#include <cstdio>

#include "models/files/safetensors.h"
#include "pipelines/generation/provenance.h"
#include "pipelines/pictures/png_file.h"
#include "tensor/trace.h"

namespace fovea {
namespace {

HostTensor ToTensor(const Shape& shape, std::span<const float> values) {
  HostTensor tensor(shape, DType::kF32);
  ENSURE(tensor.NumElements() == static_cast<int64_t>(values.size()), shape.ToString());
  std::copy(values.begin(), values.end(), tensor.Data<float>());
  return tensor;
}

}  // namespace

GenerateOutputs::GenerateOutputs(const GenerateFlags& flags, const GenerateSettings& settings) {
  const PictureTarget target = PictureTarget::Parse(flags.output.value_or("out/"));
  for (int i = 0; i < settings.batch; ++i) {
    const uint64_t seed = settings.seed.value_or(0) + static_cast<uint64_t>(i);
    pictures_.push_back(target.Stage(files_, settings.batch, seed));
  }
  if (flags.save_latents) latents_ = files_.Replace(*flags.save_latents);
  if (flags.trace) trace_ = files_.Replace(*flags.trace);
  if (flags.dump) {
    dump_ = *flags.dump;
    files_.MakeFolder(*dump_);
  }
}

void GenerateOutputs::DumpText(const NamedTensors& text) {
  WriteSafetensors(files_.Replace(*dump_ / "text.safetensors"), text);
}

void GenerateOutputs::DumpStep(const StepView& view) {
  char name[32];
  std::snprintf(name, sizeof name, "step-%03d.safetensors", view.step);
  NamedTensors tensors;
  tensors["latents"] = ToTensor(view.shape, view.latents_in);
  tensors["model_output"] = ToTensor(view.shape, view.model_output);
  tensors["latents_out"] = ToTensor(view.shape, view.latents_out);
  tensors["timestep"] = HostTensor({1}, std::vector<float>{static_cast<float>(view.timestep)});
  WriteSafetensors(files_.Replace(*dump_ / name), tensors);
}

std::vector<std::filesystem::path> GenerateOutputs::Finish(const Generated& generated,
                                                           const Provenance& from) {
  ENSURE(generated.images.size() == pictures_.size());
  const Provenance ran = ProvenanceOf(generated, from);
  for (size_t i = 0; i < pictures_.size(); ++i) {
    WritePng(pictures_[i], generated.images[i],
             PictureText(generated.settings, ran, static_cast<int>(i)));
  }
  if (latents_) WriteSafetensors(*latents_, {{"latents", generated.latents}});
  if (trace_) trace::Write(*trace_);
  std::vector<std::filesystem::path> names = files_.Commit();
  names.resize(pictures_.size());  // pictures were staged first
  return names;
}

}  // namespace fovea
