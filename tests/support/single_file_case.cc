#include "tests/support/single_file_case.h"

#include <fstream>

#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"

namespace fovea {
namespace {

using nlohmann::json;

json ReadJson(const std::filesystem::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

NamedTensors TensorsOf(const NamedTensors& all, const std::string& prefix) {
  NamedTensors some;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) some[name.substr(prefix.size())] = tensor;
  }
  return some;
}

}  // namespace

SingleFileCase SingleFileCase::Read(const std::string& name) {
  SingleFileCase out;
  out.name = name;
  out.folder = GoldenFolder() / "single_file" / name;
  const json about = ReadJson(out.folder / "case.json");
  const NamedTensors io = ReadSafetensors(out.folder / "io.safetensors");
  out.dtype = ParseDType(about.at("dtype").get<std::string>()).value();
  out.tensors = ReadShapes(out.folder / "tensors.json");
  const json names = ReadJson(out.folder / "names.json");
  for (const auto& [component, tensors] : names.items()) {
    for (const auto& [tensor, from] : tensors.items()) {
      out.sources[component][tensor] = {from[0], from[1], from[2], from[3]};
    }
  }
  for (const auto& [component, runs] : about.at("components").items()) {
    for (size_t r = 0; r < runs.size(); ++r) {
      const std::string at = component + "." + std::to_string(r) + ".";
      out.runs[component].push_back(
          {TensorsOf(io, at + "in."), TensorsOf(io, at + "out."),
           runs[r].at("reference_f32_error").get<std::map<std::string, double>>()});
    }
  }
  return out;
}

void SingleFileCase::WriteFile(const std::filesystem::path& file) const {
  WriteFormulaWeights(tensors, dtype, file);
}

std::vector<std::string> SingleFileCases() {
  std::vector<std::string> names;
  for (const auto& folder : GoldenCases("single_file")) names.push_back(folder.filename().string());
  return names;
}

}  // namespace fovea
