// One component, once: named tensors in, named tensors out (`fovea forward`).
//
// Names are the argument names of the diffusers / transformers forward; product.md lists them.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "attention/attention_runtime.h"
#include "models/model_folder.h"
#include "pipelines/metadata/hires_report.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/planning_backend.h"

namespace fovea {

struct ForwardOptions {
  DType dtype = DType::kF32;
  bool hidden_states = false;
  AttentionPlan attention;
  std::string hires = "off";  // as ParseHires; only U-Nets take another
  int step = 0, steps = 1;    // where in a run the pass stands, for what changes with it
  uint64_t seed = 0;          // for operators that draw
  // Bytes that the process may take, and takes already; 0: no limit. As TextToImage::LimitMemory.
  size_t max_memory = 0, used_memory = 0;
  std::stop_token stop;
  std::vector<AttentionListener*> listeners = {};
};

struct ForwardResult {
  NamedTensors outputs;
  double seconds = 0;  // of the pass, packing of weights excluded when it ran before
  Cost cost;
  size_t arena_bytes = 0;
  std::vector<AttentionUse> attention;  // what ran where; empty without a plan
  HiresReport hires;
  RaunetStage stage;  // of this step
};

class VisionTransformer;

class Component {
 public:
  // Throws kUnsupported naming a class that we lack and those that we have.
  static std::unique_ptr<Component> Load(const ComponentFolder& folder, Backend& backend);
  virtual ~Component() = default;
  virtual const std::string& ClassName() const = 0;
  virtual std::vector<AttentionSite> AttentionSites() const = 0;
  virtual const VisionTransformer* Vit() const { return nullptr; }  // where it is one
  // Checks names, dtypes and shapes of the inputs: throws kUsage saying what is expected.
  virtual ForwardResult Forward(const NamedTensors& inputs, const ForwardOptions& options) = 0;
  // Random inputs of the right shapes for a picture of this size: benchmarks.
  virtual NamedTensors ExampleInputs(int width, int height, int batch) const = 0;
};

}  // namespace fovea
