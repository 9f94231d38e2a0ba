// Golden cases: what a reference computed, and the model that it computed with.
//
// tools/golden/README.md says how they are made. A case holds shapes, inputs and outputs; the
// weights come from the formula.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tensor/memory/host_tensor.h"

namespace fovea {

struct GoldenRun {
  NamedTensors inputs, outputs;  // by their names in `fovea forward`
  std::map<std::string, double>
      reference_f32_error;     // per output: max |f32 - f64| of the reference
  std::string attention = {};  // the plan that it runs under; empty: none
};

struct GoldenCase {
  std::string name, class_name;
  DType dtype = DType::kF32;  // of the checkpoint
  std::filesystem::path folder;
  std::map<std::string, Shape> tensors;
  std::vector<GoldenRun> runs;

  static GoldenCase Read(const std::filesystem::path& folder);
  // config.json and the weights, named as the library of this class names its files.
  void WriteModel(const std::filesystem::path& to) const;
};

std::filesystem::path GoldenFolder();  // tests/golden
// Subfolders of tests/golden/GROUP, sorted.
std::vector<std::filesystem::path> GoldenCases(const std::string& group);

// config.json and formula weights of one component. `shapes` is a tensors.json.
std::map<std::string, Shape> ReadShapes(const std::filesystem::path& tensors_json);
void WriteFormulaWeights(const std::map<std::string, Shape>& shapes, DType dtype,
                         const std::filesystem::path& file);

double RootMeanSquare(const HostTensor& tensor);  // of f32 values
// ||got - want|| / ||want||; infinite where shapes differ or a value is NaN.
double RelativeL2(const HostTensor& got, const HostTensor& want);
// The limit for one pass in f32: max(1e-5 * max(1, rms), 3 * the reference's own f32 error).
double ForwardLimit(const HostTensor& want, double reference_f32_error);
// Empty when shapes agree and every |got - want| <= limit; else the worst place. NaN never passes.
std::string Difference(const HostTensor& got, const HostTensor& want, double limit);

}  // namespace fovea
