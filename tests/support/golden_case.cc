#include "tests/support/golden_case.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "models/files/safetensors.h"
#include "tests/support/formula_weights.h"
#include "tests/support/source_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json ReadJson(const fs::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return json::parse(file);
}

// "3.in.sample" of run 3 -> "sample"; others are left out.
NamedTensors TensorsOf(const NamedTensors& all, const std::string& prefix) {
  NamedTensors some;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) some[name.substr(prefix.size())] = tensor;
  }
  return some;
}

// Row-major coordinates of a flat index.
std::string Place(const Shape& shape, int64_t index) {
  std::string text = "]";
  for (int axis = shape.rank - 1; axis >= 0; --axis) {
    text = (axis == 0 ? "[" : ", ") + std::to_string(index % shape[axis]) + text;
    index /= shape[axis];
  }
  return text;
}

}  // namespace

GoldenCase GoldenCase::Read(const fs::path& folder) {
  const json about = ReadJson(folder / "case.json");
  const NamedTensors io = ReadSafetensors(folder / "io.safetensors");
  GoldenCase golden;
  golden.name = folder.filename().string();
  golden.class_name = about.at("class");
  golden.dtype = ParseDType(about.at("dtype").get<std::string>()).value();
  golden.folder = folder;
  golden.tensors = ReadShapes(folder / "tensors.json");
  for (size_t r = 0; r < about.at("runs").size(); ++r) {
    const json& run = about.at("runs")[r];
    golden.runs.push_back({TensorsOf(io, std::to_string(r) + ".in."),
                           TensorsOf(io, std::to_string(r) + ".out."),
                           run.at("reference_f32_error").get<std::map<std::string, double>>(),
                           run.value("attention", "")});
  }
  return golden;
}

void GoldenCase::WriteModel(const fs::path& to) const {
  fs::create_directories(to);
  fs::copy_file(folder / "config.json", to / "config.json");
  constexpr const char* kOfDiffusers[] = {"UNet", "Autoencoder"};
  const bool diffusers =
      std::any_of(std::begin(kOfDiffusers), std::end(kOfDiffusers),
                  [this](const char* family) { return class_name.starts_with(family); });
  const std::string stem = diffusers ? "diffusion_pytorch_model" : "model";
  WriteFormulaWeights(tensors, dtype, to / (stem + ".safetensors"));
}

fs::path GoldenFolder() {
  return SourceDir() / "tests" / "golden";
}

std::vector<fs::path> GoldenCases(const std::string& group) {
  std::vector<fs::path> folders;
  for (const auto& entry : fs::directory_iterator(GoldenFolder() / group)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

std::map<std::string, Shape> ReadShapes(const fs::path& tensors_json) {
  std::map<std::string, Shape> shapes;
  const json entries = ReadJson(tensors_json);
  for (const auto& [name, dims] : entries.items()) {
    shapes[name] = Shape(dims.get<std::vector<int64_t>>());
  }
  return shapes;
}

void WriteFormulaWeights(const std::map<std::string, Shape>& shapes, DType dtype,
                         const fs::path& file) {
  NamedTensors tensors;
  for (const auto& [name, shape] : shapes) tensors[name] = FormulaWeight(name, shape, dtype);
  WriteSafetensors(file, tensors, {{"format", "pt"}});
}

double RootMeanSquare(const HostTensor& tensor) {
  double sum = 0;
  const float* values = tensor.Data<float>();
  for (int64_t i = 0; i < tensor.NumElements(); ++i) sum += double{values[i]} * values[i];
  return std::sqrt(sum / static_cast<double>(tensor.NumElements()));
}

double RelativeL2(const HostTensor& got, const HostTensor& want) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (!(got.shape() == want.shape())) return kInfinity;
  const HostTensor got_f32 = got.ToF32();
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < want.NumElements(); ++i) {
    const double g = got_f32.Data<float>()[i], w = want.Data<float>()[i];
    difference += (g - w) * (g - w);
    norm += w * w;
  }
  const double distance = std::sqrt(difference / norm);
  return std::isnan(distance) ? kInfinity : distance;
}

double ForwardLimit(const HostTensor& want, double reference_f32_error) {
  return std::max(1e-5 * std::max(1.0, RootMeanSquare(want)), 3 * reference_f32_error);
}

std::string Difference(const HostTensor& got, const HostTensor& want, double limit) {
  if (!(got.shape() == want.shape())) {
    return "shape " + got.shape().ToString() + ", expected " + want.shape().ToString();
  }
  const HostTensor got_f32 = got.ToF32();
  const float* g = got_f32.Data<float>();
  const float* w = want.Data<float>();
  int64_t worst = -1, over = 0;
  double largest = 0;
  for (int64_t i = 0; i < want.NumElements(); ++i) {
    const double difference = std::fabs(double{g[i]} - double{w[i]});
    if (!(difference <= limit)) ++over;
    if (worst < 0 || !(difference <= largest)) {
      worst = i;
      largest = difference;
      if (std::isnan(difference)) break;
    }
  }
  if (over == 0) return "";
  std::ostringstream text;
  text.precision(9);
  text << "at " << Place(want.shape(), worst) << " got " << g[worst] << ", want " << w[worst]
       << ", difference " << largest << " over the limit " << limit << "; " << over << " of "
       << want.NumElements() << " are";
  return text.str();
}

}  // namespace fovea
