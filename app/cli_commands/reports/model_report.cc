#include "app/cli_commands/reports/model_report.h"

#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "app/flags/common_flags.h"
#include "app/process/host_memory.h"
#include "models/component_weights.h"
#include "pipelines/forward/forward.h"
#include "pipelines/metadata/numbers.h"
#include "tensor/error.h"
#include "tensor/machine/instruction_set.h"
#include "tensor/make_backend.h"

namespace fovea {
namespace {

using Json = nlohmann::ordered_json;

// Tokenizers, schedulers and image processors have none.
bool HasWeights(const ComponentFolder& component) {
  if (!component.single_file.empty()) return true;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(component.folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")) return true;
  }
  return false;
}

using Stores = std::vector<std::shared_ptr<const WeightStore>>;

void AddWeights(const ComponentFolder& component, bool list, Json& described, Json& tensors,
                Stores& stores) {
  const auto store = OpenWeights(component);
  stores.push_back(store);
  int64_t parameters = 0;
  uint64_t bytes = 0;
  std::map<std::string, int64_t> dtypes;
  for (const TensorEntry& entry : store->Entries()) {
    bytes += entry.end - entry.begin;
    // Integers are tables of positions, not parameters.
    if (IsFloat(entry.dtype)) parameters += entry.shape.NumElements();
    dtypes[std::string(Name(entry.dtype))] += entry.shape.NumElements();
    if (!list) continue;
    tensors.push_back(
        {{"component", component.name},
         {"name", entry.name},
         {"dtype", Name(entry.dtype)},
         {"shape", std::vector<int64_t>(entry.shape.dim.begin(),
                                        entry.shape.dim.begin() + entry.shape.rank)}});
  }
  described["parameters"] = parameters;
  described["bytes"] = bytes;
  described["dtypes"] = dtypes;
}

void AddLayers(const ComponentFolder& component, Json& layers) {
  const auto backend = MakeBackend(DeviceKind::kCpu);
  std::vector<AttentionSite> sites;
  try {
    sites = Component::Load(component, *backend)->AttentionSites();
  } catch (const Error& error) {
    // A pipeline may carry parts that we do not run, a safety checker for one.
    if (error.code != ErrorCode::kUnsupported || component.name.empty()) throw;
    PrintWarning(component.name + " is left out of the layers: " + error.what());
    return;
  }
  for (const AttentionSite& site : sites) {
    layers.push_back({{"component", component.name},
                      {"path", site.path},
                      {"kind", Name(site.kind)},
                      {"heads", site.heads},
                      {"head_size", site.head_dim},
                      {"tokens", TokenCount(site.tokens)}});
  }
}

std::string Text(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end()) return {};
  return found->is_string() ? found->get<std::string>() : found->dump();
}

}  // namespace

Json DescribeModel(const ModelFolder& folder, const ModelReportOptions& options) {
  Json report;
  Json components = Json::array(), layers = Json::array(), tensors = Json::array();
  Stores stores;
  int64_t parameters = 0;
  uint64_t bytes = 0;
  for (const ComponentFolder& component : folder.components) {
    Json described = {{"name", component.name}, {"class", component.class_name}};
    if (HasWeights(component)) {
      AddWeights(component, options.tensors, described, tensors, stores);
      parameters += described["parameters"].get<int64_t>();
      bytes += described["bytes"].get<uint64_t>();
      if (options.layers) AddLayers(component, layers);
    }
    components.push_back(std::move(described));
  }
  const bool alone = folder.components.size() == 1 && folder.components.front().name.empty();
  report["model"] = folder.name;
  report["class"] = alone ? folder.components.front().class_name : folder.pipeline_class;
  report["components"] = std::move(components);
  report["parameters"] = parameters;
  report["bytes"] = bytes;
  report["instruction_set"] = InstructionSetName();
  report["numbers"] = {{"f32", ToJson(NumbersOf(stores, DType::kF32))},
                       {"bf16", ToJson(NumbersOf(stores, DType::kBF16))}};
  if (options.layers) report["layers"] = std::move(layers);
  if (options.tensors) report["tensors"] = std::move(tensors);
  return report;
}

void PrintModel(const Json& report) {
  std::printf("%s: %s, %s parameters, %s\n", Text(report, "model").c_str(),
              Text(report, "class").c_str(), Text(report, "parameters").c_str(),
              FormatBytes(report["bytes"].get<double>()).c_str());
  for (const Json& component : report["components"]) {
    std::printf("  %-16s %-34s", Text(component, "name").c_str(), Text(component, "class").c_str());
    if (component.contains("parameters")) {
      std::printf(" %12s parameters %10s  ", Text(component, "parameters").c_str(),
                  FormatBytes(component["bytes"].get<double>()).c_str());
      const char* separator = "";
      for (const auto& [dtype, elements] : component["dtypes"].items()) {
        std::printf("%s%s", separator, dtype.c_str());
        separator = ", ";
      }
    }
    std::printf("\n");
  }
  for (const auto& [dtype, numbers] : report["numbers"].items()) {
    std::printf("  --dtype %-4s     on %s: %s\n", dtype.c_str(),
                Text(report, "instruction_set").c_str(),
                Line(NumbersFromJson(numbers, "")).c_str());
  }
  if (report.contains("layers")) {
    std::printf("attention sites: component, path, kind, heads, head size, tokens\n");
    for (const Json& site : report["layers"]) {
      std::printf("  %-12s %-66s %-5s %3s %4s %6s\n", Text(site, "component").c_str(),
                  Text(site, "path").c_str(), Text(site, "kind").c_str(),
                  Text(site, "heads").c_str(), Text(site, "head_size").c_str(),
                  Text(site, "tokens").c_str());
    }
  }
  if (report.contains("tensors")) {
    std::printf("tensors: component, name, dtype, shape\n");
    for (const Json& tensor : report["tensors"]) {
      std::printf("  %-12s %-80s %-4s %s\n", Text(tensor, "component").c_str(),
                  Text(tensor, "name").c_str(), Text(tensor, "dtype").c_str(),
                  Text(tensor, "shape").c_str());
    }
  }
}

}  // namespace fovea
