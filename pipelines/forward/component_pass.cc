#include "pipelines/forward/component_pass.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <random>

#include "tensor/ops/elementwise.h"
#include "tensor/precision.h"
#include "tensor/weights/weight_limit.h"

namespace fovea {
namespace {

std::string ExpectedShape(std::initializer_list<int64_t> shape, std::string_view letters) {
  std::string text = "[";
  for (const int64_t extent : shape) {
    if (text.size() > 1) text += ", ";
    const size_t comma = std::min(letters.find(','), letters.size());
    text += extent < 0 ? std::string(letters.substr(0, comma)) : std::to_string(extent);
    letters.remove_prefix(std::min(comma + 2, letters.size()));
  }
  return text + "]";
}

// What the arena's size and the operators depend on.
std::string KeyOf(const NamedTensors& inputs, const ForwardOptions& options) {
  std::string key = std::string(Name(options.dtype)) + (options.hidden_states ? " hidden" : "");
  key += " " + options.hires + " " + options.attention.Text() + "@" + std::to_string(options.step) +
         "/" + std::to_string(options.steps) + " " + std::to_string(options.seed);
  for (const auto& [name, tensor] : inputs) key += " " + name + tensor.shape().ToString();
  return key;
}

}  // namespace

void ForwardInputs::Bad(const std::string& name, const std::string& what) const {
  throw Error(ErrorCode::kUsage, class_name_ + ": input \"" + name + "\" " + what);
}

void ForwardInputs::AllowOnly(const std::vector<std::string>& names) const {
  for (const auto& [name, tensor] : tensors_) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    std::string known;
    for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
    Bad(name, "is not one that it takes; they are: " + known);
  }
}

const HostTensor& ForwardInputs::Find(const std::string& name, std::string_view letters) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) Bad(name, "[" + std::string(letters) + "] is missing");
  return found->second;
}

void ForwardInputs::CheckShape(const std::string& name, const HostTensor& tensor,
                               std::initializer_list<int64_t> shape,
                               std::string_view letters) const {
  const Shape& got = tensor.shape();
  bool fits = got.rank == static_cast<int>(shape.size());
  int axis = 0;
  for (const int64_t extent : shape) {
    if (!fits) break;
    fits = extent < 0 ? got[axis] > 0 : got[axis] == extent;
    ++axis;
  }
  if (!fits) {
    Bad(name,
        "has the shape " + got.ToString() + ", but must have " + ExpectedShape(shape, letters));
  }
}

HostTensor ForwardInputs::Floats(const std::string& name, std::initializer_list<int64_t> shape,
                                 std::string_view letters) const {
  const HostTensor& tensor = Find(name, letters);
  if (!IsFloat(tensor.dtype())) {
    Bad(name, "holds " + std::string(Name(tensor.dtype())) + ", but must hold floats");
  }
  CheckShape(name, tensor, shape, letters);
  return tensor.ToF32();
}

HostTensor ForwardInputs::Numbers(const std::string& name, std::initializer_list<int64_t> shape,
                                  std::string_view letters) const {
  const HostTensor& tensor = Find(name, letters);
  if (tensor.dtype() == DType::kBool) Bad(name, "holds bool, but must hold numbers");
  CheckShape(name, tensor, shape, letters);
  return tensor.ToF32();
}

HostTensor ForwardInputs::Indices(const std::string& name, std::initializer_list<int64_t> shape,
                                  std::string_view letters, int64_t below) const {
  const HostTensor& tensor = Find(name, letters);
  const bool wide = tensor.dtype() == DType::kI64;
  if (!wide && tensor.dtype() != DType::kI32) {
    Bad(name, "holds " + std::string(Name(tensor.dtype())) + ", but must hold i64");
  }
  CheckShape(name, tensor, shape, letters);
  HostTensor indices(tensor.shape(), DType::kI32);
  for (int64_t i = 0; i < tensor.NumElements(); ++i) {
    const int64_t value = wide ? tensor.Data<int64_t>()[i] : tensor.Data<int32_t>()[i];
    if (value < 0 || value >= below) {
      Bad(name,
          "holds " + std::to_string(value) + ", but must hold 0 to " + std::to_string(below - 1));
    }
    indices.Data<int32_t>()[i] = static_cast<int32_t>(value);
  }
  return indices;
}

std::vector<float> ForwardInputs::Timesteps(const std::string& name, int64_t batch) const {
  const HostTensor& tensor = Find(name, "n");
  const int64_t count = tensor.NumElements();
  if (tensor.shape().rank > 1 || (count != 1 && count != batch)) {
    Bad(name, "has the shape " + tensor.shape().ToString() + ", but must have [1] or [" +
                  std::to_string(batch) + "]");
  }
  if (tensor.dtype() == DType::kBool) Bad(name, "holds bool, but must hold numbers");
  const HostTensor values = tensor.ToF32();
  return {values.Data<float>(), values.Data<float>() + count};
}

void RefuseHires(const std::string& class_name, const ForwardOptions& options) {
  if (ParseHires(options.hires).mode == HiresMode::kOff) return;
  throw Error(ErrorCode::kUnsupported, "hires: \"" + options.hires +
                                           "\" is for U-Nets, and this is a " + class_name +
                                           "; take --hires off");
}

int VaeFactor(const std::filesystem::path& folder) {
  const auto path = folder / ".." / "vae" / "config.json";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return 8;
  const size_t levels = Config::ReadFile(path).Strings("down_block_types").size();
  return levels >= 1 && levels <= 8 ? 1 << (levels - 1) : 8;
}

Tensor ForwardPass::Upload(const HostTensor& host) const {
  const Tensor tensor = ctx.New(host.shape());
  ops::Copy(ctx, host.View(), tensor);
  return tensor;
}

Tensor ForwardPass::UploadImage(const HostTensor& nchw) const {
  const Tensor view = nchw.View().Permute({0, 2, 3, 1});
  const Tensor tensor = ctx.New(view.shape);  // (n,h,w,c)
  ops::Copy(ctx, view, tensor);
  return tensor;
}

void ForwardPass::Run(const std::function<void()>& model) const {
  const auto begin = std::chrono::steady_clock::now();
  model();
  ctx.backend.Synchronize();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  if (result_ != nullptr) result_->seconds = seconds.count();
}

void ForwardPass::Download(const std::string& name, const Tensor& tensor) const {
  if (result_ == nullptr) return;
  HostTensor host(tensor.shape, DType::kF32);
  ops::Copy(ctx, tensor, host.View());
  result_->outputs.emplace(name, std::move(host));
}

void ForwardPass::DownloadImage(const std::string& name, const Tensor& nhwc) const {
  Download(name, nhwc.Permute({0, 3, 1, 2}));
}

ForwardResult ForwardRunner::Run(const NamedTensors& inputs, const ForwardOptions& options,
                                 const std::function<void(ForwardPass&)>& body) {
  const std::string key = KeyOf(inputs, options);
  if (arena_ == nullptr || key != key_) {
    arena_.reset();
    attention_ = std::make_unique<AttentionRuntime>(options.attention, sites_, options.steps,
                                                    std::vector{options.seed});
    attention_->BeginStep(options.step, options.steps);
    const auto planner = MakePlanningBackend(backend_);
    Arena endless(*planner, kPlanningArenaBytes);
    Context dry = MakeContext(*planner, endless, {}, options.dtype);
    ForwardPass pass(dry, *attention_, nullptr);
    body(pass);
    cost_ = planner->TotalCost();
    if (options.max_memory > 0) {
      const auto limit =
          WeightLimit(options.max_memory, options.used_memory + endless.PeakBytes(), cost_);
      backend_.LimitWeights(limit.value_or(std::numeric_limits<size_t>::max()));
    }
    arena_ = std::make_unique<Arena>(backend_, endless.PeakBytes());
    key_ = key;
  }
  ForwardResult result;
  Context ctx = MakeContext(backend_, *arena_, options.stop, options.dtype);
  ArenaScope scope(*arena_);
  attention_->BeginStep(options.step, options.steps);
  attention_->SetListeners(options.listeners);
  ForwardPass pass(ctx, *attention_, &result);
  body(pass);
  attention_->SetListeners({});
  backend_.Synchronize();
  result.cost = cost_;
  result.arena_bytes = arena_->PeakBytes();
  result.attention = attention_->Report();
  return result;
}

HostTensor ExampleFloats(const Shape& shape, uint32_t seed) {
  HostTensor tensor(shape, DType::kF32);
  std::mt19937 bits(seed);
  float* values = tensor.Data<float>();
  for (int64_t i = 0; i < tensor.NumElements(); ++i) {
    values[i] = (static_cast<float>(bits() >> 8) / static_cast<float>(1 << 23) - 1) * 1.7320508f;
  }
  return tensor;
}

}  // namespace fovea
