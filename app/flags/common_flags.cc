#include "app/flags/common_flags.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>

#include <nlohmann/json.hpp>

#include "app/built_in_models.h"
#include "app/process/exit_code.h"
#include "models/component_weights.h"
#include "models/lora/lora_deltas.h"
#include "models/search/model_search.h"
#include "models/single_file/single_file.h"
#include "tensor/error.h"
#include "tensor/machine/threads.h"
#include "tensor/make_backend.h"

namespace fovea {
namespace {

constexpr int64_t kMostThreads = 1024;

// "cpu", "cuda" or "cuda:N"; throws kUsage for anything else.
void CheckDevice(const std::string& flag, const std::string& device) {
  if (device == "auto" || device == "cpu" || device == "cuda") return;
  if (device.compare(0, 5, "cuda:") == 0) {
    ParseWhole(flag + " cuda:N", device.substr(5), 0, 1023);
    return;
  }
  throw Error(ErrorCode::kUsage, flag + ": '" + device + "' is not one of auto|cpu|cuda[:N]");
}

}  // namespace

void CommonFlags::Add(Flags& flags) {
  const auto parse_device = [this](const std::string& text) {
    CheckDevice("--device", text);
    device = text;
  };
  flags.Value("--device", "auto|cpu|cuda[:N]", parse_device, "where to compute", "auto");
  flags.Choice("--dtype", dtype, {"auto", "f32", "bf16", "f16"},
               "what to compute in; bf16 on a processor without it: what to hold f32 weights in",
               "auto");
  flags.Whole("-t,--threads", threads, 1, kMostThreads, "threads of the processor", "all cores");
  flags.Switch("--json", json, "one JSON object on standard output, all else on standard error");
  flags.Switch("-v,--verbose", verbose, "say what was predicted, measured and chosen");
}

namespace {

bool IsCuda(const std::optional<std::string>& device) {
  return device.value_or("auto").compare(0, 4, "cuda") == 0;
}

// Of "cuda:N", which was checked.
int IndexOf(const std::optional<std::string>& device) {
  return device && device->size() > 5 ? std::stoi(device->substr(5)) : 0;
}

}  // namespace

std::unique_ptr<Backend> CommonFlags::MakeDevice() const {
  return IsCuda(device) ? MakeBackend(DeviceKind::kCuda, IndexOf(device))
                        : MakeBackend(DeviceKind::kCpu);
}

void CommonFlags::Apply(bool takes_gpu) const {
  if (IsCuda(device)) {
    if (!takes_gpu) {
      throw Error(ErrorCode::kDevice, "--device " + *device +
                                          ": there is no CUDA in this command yet, only in "
                                          "generate, grid and batch; use --device cpu");
    }
    EnsureDevice(DeviceKind::kCuda, IndexOf(device));
  }
  if (dtype.value_or("auto") == "f16") {
    throw Error(ErrorCode::kUnsupported,
                "--dtype f16: not computed in on the CPU; use f32 or bf16 (weights may be f16)");
  }
  if (threads) SetNumThreads(static_cast<int>(*threads));
}

DType CommonFlags::ComputeType() const {
  return dtype.value_or("auto") == "bf16" ? DType::kBF16 : DType::kF32;
}

void ModelFlags::Add(Flags& flags, const std::string& otherwise) {
  flags.Text("-m,--model", "MODEL", model, "model folder, single file or name", otherwise);
  flags.TextList("--models", "DIR", folders, "look for names here first; may be repeated");
  flags.Text("--config", "NAME|DIR", config,
             "configs of a single file: sd15, sd15-inpaint, sd21, sd21-v, sdxl, sdxl-refiner, sd3, "
             "sd35-medium, sd35-large, flux-dev, flux-schnell, or a folder that has them",
             "told by its shapes");
  flags.Text("--tokenizer", "DIR", tokenizer, "folder of the tokenizer", "the model's");
  flags.TextList("--lora", "FILE[:SCALE]", loras,
                 "add a LoRA file, or a name to look up; may be repeated");
  flags.Text("--overlay", "FILE", overlay,
             "tensors that replace the denoiser's own of the same names, or --component's");
}

void ModelFlags::AddComponent(Flags& flags) {
  flags.Text(
      "--component", "NAME", component,
      "component of the pipeline: unet, vae, text_encoder; omit for a component's own folder");
}

std::vector<std::filesystem::path> ModelFlags::SearchPath() const {
  return ModelSearchPath(folders, BuiltInModelsFolder());
}

std::vector<NamedLora> ModelFlags::Loras() const {
  std::vector<NamedLora> out;
  for (const std::string& text : loras) out.push_back(ParseLoraFlag(text));
  return out;
}

ModelFolder ModelFlags::Open(const std::string& name, const std::vector<NamedLora>& with,
                             const std::string& over) const {
  const auto search = SearchPath();
  const std::filesystem::path path = FindModel(name, search);
  ModelFolder model;
  if (std::filesystem::is_directory(path)) {
    if (config) {
      throw Error(ErrorCode::kUsage, "--config " + *config + ": " + path.string() +
                                         " is a folder, which has configs of its own");
    }
    model = OpenModelFolder(path);
    for (ComponentFolder& each : model.components) {
      if (tokenizer && each.name == "tokenizer") each.folder = *tokenizer;
    }
  } else {
    SingleFileOptions options{
        BuiltInConfigsFolder(), config.value_or(""), tokenizer.value_or(""), {}};
    if (needs_tokenizer) options.search = search;
    model = OpenSingleFile(path, options);
  }
  std::vector<LoraChoice> choices;
  for (const NamedLora& lora : with) choices.push_back({FindLora(lora.name, search), lora.scales});
  AddLoras(model, choices);
  if (!over.empty()) AddOverlay(model, component.value_or(""), FindModel(over, search));
  return model;
}

const ComponentFolder& ModelFlags::Choose(const ModelFolder& folder) const {
  std::string names;
  for (const ComponentFolder& each : folder.components) {
    if (component && each.name == *component) return folder.Get(each.name);
    names += (names.empty() ? "" : ", ") + each.name;
  }
  const ComponentFolder& first = folder.components.front();
  if (first.name.empty()) {
    if (!component) return first;
    throw Error(ErrorCode::kUsage, "--component " + *component + ": " + folder.folder.string() +
                                       " is a component itself; omit --component");
  }
  throw Error(ErrorCode::kUsage,
              component ? "--component: " + folder.name + " has no component '" + *component +
                              "', it has " + names
                        : "name a component of " + folder.name + " with --component: " + names);
}

void MemoryFlag::Add(Flags& flags) {
  flags.Text("--max-memory", "BYTES", text,
             "run within so much memory (4G): weights come and go, which is slower", "no limit");
}

size_t MemoryFlag::Bytes() const {
  if (!text) return 0;
  const auto bad = [&] {
    throw Error(ErrorCode::kUsage,
                "--max-memory " + *text + ": is not a number of bytes, as 500M, 4G or 4Gi");
  };
  const size_t digits = std::min(text->find_first_not_of("0123456789."), text->size());
  double value = 0;
  const auto parsed = std::from_chars(text->data(), text->data() + digits, value);
  if (digits == 0 || parsed.ec != std::errc() || parsed.ptr != text->data() + digits) bad();
  std::string unit = text->substr(digits);
  if (unit.ends_with('B')) unit.pop_back();
  const bool binary = unit.size() == 2 && unit[1] == 'i';
  if (binary) unit.pop_back();
  const size_t power = unit.empty() ? 0 : std::string_view("KMGT").find(unit) + 1;
  if (unit.size() > 1 || (!unit.empty() && power == 0)) bad();
  for (size_t i = 0; i < power; ++i) value *= binary ? 1024 : 1000;
  if (!(value >= 1) || value > 9e18) bad();
  return static_cast<size_t>(value);
}

void PrintJson(const nlohmann::ordered_json& json) {
  // Paths may hold bytes that are no UTF-8.
  std::puts(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
}

void PrintNote(const std::string& text) {
  std::fprintf(stderr, "%s\n", OneLine(text).c_str());
}

void PrintWarning(const std::string& text) {
  PrintNote("fovea: warning: " + text);
}

}  // namespace fovea
