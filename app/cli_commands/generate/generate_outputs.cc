#include "app/cli_commands/generate/generate_outputs.h"

#include <algorithm>
#include <cstdio>

#include "models/files/safetensors.h"
#include "pipelines/generation/provenance.h"
#include "pipelines/pictures/formats/png_file.h"
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

GenerateOutputs::GenerateOutputs(const GenerateFlags& flags, const GenerateSettings& settings)
    : target_(PictureTarget::Parse(flags.output.value_or("out/"))),
      batch_(settings.batch),
      seed_(settings.seed.value_or(0)) {
  StagePictures(0, 1);  // says at once what cannot be written
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

void GenerateOutputs::StagePictures(int first, int count) {
  for (int i = static_cast<int>(staged_.size()); i < count; ++i) {
    staged_.push_back(target_.Stage(files_, batch_, seed_ + static_cast<uint64_t>(first + i)));
  }
}

std::vector<std::filesystem::path> GenerateOutputs::WritePictures(const Generated& group,
                                                                  const Provenance& from) {
  ENSURE(group.images.size() == staged_.size());
  const Provenance ran = ProvenanceOf(group, from);
  std::vector<std::filesystem::path> names;
  for (size_t i = 0; i < staged_.size(); ++i) {
    WritePng(staged_[i], group.images[i], PictureText(group.settings, ran, static_cast<int>(i)));
    names.push_back(files_.Commit({staged_[i]}).front());
  }
  staged_.clear();
  return names;
}

void GenerateOutputs::Finish(const HostTensor& latents) {
  if (latents_) WriteSafetensors(*latents_, {{"latents", latents}});
  if (trace_) trace::Write(*trace_);
  files_.Commit();
}

}  // namespace fovea
