// The flags that every subcommand has, and what they decide.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "app/flags/cli_args.h"
#include "models/model_folder.h"
#include "tensor/backend.h"
#include "tensor/dtype.h"

namespace fovea {

struct CommonFlags {
  std::optional<std::string> device, dtype;
  std::optional<int64_t> threads;
  bool json = false, verbose = false;

  void Add(Flags& flags);
  // Sets the number of threads; throws for devices and dtypes that this build or processor lacks.
  // `takes_gpu`: whether the command can compute on one.
  void Apply(bool takes_gpu = false) const;
  DType ComputeType() const;                    // after Apply; auto resolved
  std::unique_ptr<Backend> MakeDevice() const;  // that --device names
};

struct ModelFlags {
  std::optional<std::string> model, component, config, tokenizer, overlay;
  std::vector<std::string> folders, loras;
  bool needs_tokenizer = false;  // then one is looked for, for a single file

  // -m, --models, --config, --tokenizer, --lora, --overlay; `otherwise` is what no -m means.
  void Add(Flags& flags, const std::string& otherwise = "the built-in still-life-unet");
  void AddComponent(Flags& flags);  // --component
  // `name`: a path or a name; empty: the built-in model. With --lora's files and
  // --overlay's, or with those given instead. Throws kBadFile, kUsage, kUnsupported.
  ModelFolder Open(const std::string& name) const {
    return Open(name, Loras(), overlay.value_or(""));
  }
  ModelFolder Open(const std::string& name, const std::vector<NamedLora>& with,
                   const std::string& over) const;
  std::vector<std::filesystem::path> SearchPath() const;  // that names are looked up in
  std::vector<NamedLora> Loras() const;                   // --lora's; throws kUsage
  // The one that --component names; of a component folder alone, that component.
  const ComponentFolder& Choose(const ModelFolder& folder) const;
};

// --max-memory: a number of bytes, or of thousands (K), millions (M), billions (G) of them, or of
// powers of 1024 (Ki, Mi, Gi).
struct MemoryFlag {
  std::optional<std::string> text;
  void Add(Flags& flags);
  size_t Bytes() const;  // 0: not given; throws kUsage
};

// One JSON object and a line end on standard output.
void PrintJson(const nlohmann::ordered_json& json);
// A line on standard error.
void PrintNote(const std::string& text);
void PrintWarning(const std::string& text);

}  // namespace fovea
