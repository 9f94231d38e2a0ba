// What all components of `fovea forward` share: checks of their inputs, and the pass itself, first
// dry, then for real.
#pragma once

#include <filesystem>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attention/attention_runtime.h"
#include "pipelines/forward/forward.h"
#include "tensor/context.h"

namespace fovea {

// The named inputs of one class; every complaint is kUsage and names class and input.
class ForwardInputs {
 public:
  ForwardInputs(const std::string& class_name, const NamedTensors& tensors)
      : class_name_(class_name), tensors_(tensors) {}

  // Refuses names that are not in `names`.
  void AllowOnly(const std::vector<std::string>& names) const;
  bool Has(const std::string& name) const { return tensors_.contains(name); }
  // Floats of this shape as f32; -1 allows any extent above 0. `letters` names the axes: "n, c, h,
  // w".
  HostTensor Floats(const std::string& name, std::initializer_list<int64_t> shape,
                    std::string_view letters) const;
  // The same for numbers of any type but bool.
  HostTensor Numbers(const std::string& name, std::initializer_list<int64_t> shape,
                     std::string_view letters) const;
  // I64 or I32 of this shape, each from 0 to `below` - 1, as I32.
  HostTensor Indices(const std::string& name, std::initializer_list<int64_t> shape,
                     std::string_view letters, int64_t below) const;
  // Numbers of any type but bool, `timestep` [], [1] or [n], as f32.
  std::vector<float> Timesteps(const std::string& name, int64_t batch) const;

 private:
  const HostTensor& Find(const std::string& name, std::string_view letters) const;
  void CheckShape(const std::string& name, const HostTensor& tensor,
                  std::initializer_list<int64_t> shape, std::string_view letters) const;
  [[noreturn]] void Bad(const std::string& name, const std::string& what) const;

  const std::string& class_name_;
  const NamedTensors& tensors_;
};

// Only U-Nets have feature maps that --hires could shrink: throws kUnsupported.
void RefuseHires(const std::string& class_name, const ForwardOptions& options);

// Picture pixels a latent pixel: the neighbouring VAE's, else that of Stable Diffusion. `folder` is
// the denoiser's.
int VaeFactor(const std::filesystem::path& folder);

// One pass in progress: dry (no outputs are kept) or real.
class ForwardPass {
 public:
  ForwardPass(Context& ctx, AttentionRuntime& attention, ForwardResult* result)
      : ctx(ctx), attention(attention), result_(result) {}

  Context& ctx;
  AttentionRuntime& attention;

  // A copy in the arena, of the activations' dtype.
  Tensor Upload(const HostTensor& host) const;
  Tensor UploadImage(const HostTensor& nchw) const;  // as (n,h,w,c)
  // Runs the model itself; its time is the result's.
  void Run(const std::function<void()>& model) const;
  // Keep an f32 tensor of the arena as an output.
  void Download(const std::string& name, const Tensor& tensor) const;
  void DownloadImage(const std::string& name, const Tensor& nhwc) const;  // as (n,c,h,w)

 private:
  ForwardResult* result_;  // null: dry
};

// Sizes an arena by a dry run whenever the shapes change, and keeps it for the next pass.
class ForwardRunner {
 public:
  // `sites` are the model's and outlive the runner.
  ForwardRunner(Backend& backend, std::span<const AttentionSite> sites)
      : backend_(backend), sites_(sites) {}
  // `body` runs the same way on every backend. Throws what it throws, and kOutOfMemory.
  ForwardResult Run(const NamedTensors& inputs, const ForwardOptions& options,
                    const std::function<void(ForwardPass&)>& body);

 private:
  Backend& backend_;
  std::span<const AttentionSite> sites_;
  std::unique_ptr<AttentionRuntime> attention_;
  std::string key_;
  std::unique_ptr<Arena> arena_;
  Cost cost_;
};

// Uniform numbers of unit variance, the same at every call.
HostTensor ExampleFloats(const Shape& shape, uint32_t seed);

}  // namespace fovea
