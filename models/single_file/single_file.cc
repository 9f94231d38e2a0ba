#include "models/single_file/single_file.h"

#include <algorithm>

#include "models/files/json_text.h"
#include "models/files/safetensors.h"
#include "models/ignorable_names.h"
#include "models/single_file/config_fit.h"
#include "models/single_file/find_tokenizer.h"
#include "models/single_file/ldm_component.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void Bad(const fs::path& file, const std::string& what) {
  throw Error(ErrorCode::kBadFile, file.string() + ": " + what);
}

std::string Join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool IsFolder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// The folder of configs; says in `notes` what was chosen for the user.
fs::path ChooseConfig(const fs::path& file, const ConfigFit& fit, const SingleFileOptions& options,
                      std::vector<std::string>& notes) {
  const std::vector<std::string> known = ConfigNames();
  const std::string named = "--config " + options.config;
  if (options.config.empty()) {
    if (fit.names.empty()) {
      Bad(file, (fit.has_denoiser
                     ? "its denoiser has " + fit.seen + ", which none of " + Join(known) + " has"
                     : "has no denoiser that would tell its config") +
                    "; give --config NAME or a folder of configs");
    }
    if (fit.names.size() > 1) {
      notes.push_back(file.filename().string() + ": config " + fit.names[0] + "; the shapes fit " +
                      Join({fit.names.begin() + 1, fit.names.end()}) +
                      ", too, choose with --config");
    }
    return options.configs / fit.names.front();
  }
  if (std::find(known.begin(), known.end(), options.config) != known.end()) {
    const bool fits =
        std::find(fit.names.begin(), fit.names.end(), options.config) != fit.names.end();
    if (fit.has_denoiser && !fits) {
      Bad(file, named + " does not fit its denoiser, which has " + fit.seen +
                    (fit.names.empty() ? "" : "; " + Join(fit.names) + " would"));
    }
    return options.configs / options.config;
  }
  if (IsFolder(options.config)) return options.config;
  throw Error(ErrorCode::kUsage, named + ": is neither a folder nor one of " + Join(known));
}

// Every tensor must belong to a component that is there.
void CheckOwners(const fs::path& file, const SafetensorsHeader& header,
                 const std::vector<std::string>& prefixes) {
  std::vector<std::string> strays;
  size_t count = 0;
  for (const TensorEntry& entry : header.tensors) {
    const bool owned =
        std::any_of(prefixes.begin(), prefixes.end(),
                    [&](const std::string& prefix) { return entry.name.starts_with(prefix); });
    if (owned || IsIgnorable(entry.name)) continue;
    if (++count <= 5) strays.push_back(Printable(entry.name));
  }
  if (count == 0) return;
  Bad(file, "tensors of no component of the config: " + Join(strays) +
                (count > 5 ? " and " + std::to_string(count - 5) + " more" : ""));
}

void AddTokenizer(ComponentFolder& component, const ModelFolder& config,
                  const SingleFileOptions& options, ModelFolder& out) {
  component.settings = component.folder;
  const bool t5 = component.class_name.starts_with("T5Tokenizer");
  if (!options.tokenizer.empty()) {
    // One tokenizer, or a pipeline's folder, which has each under its own name.
    component.folder = options.tokenizer / component.name;
    if (!IsFolder(component.folder)) component.folder = options.tokenizer;
    if (!t5 || HoldsT5Tokenizer(component.folder)) return;
  }
  if (t5) {
    const auto found = FindT5Tokenizer(options.search);
    component.folder = found.value_or(fs::path());
    if (found) {
      out.notes.push_back("tokenizer: " + found->string());
    } else {
      component.missing =
          "a single file has no tokenizer, and no T5 tokenizer (spiece.model or tokenizer.json) is "
          "in the model search path; give a pipeline's folder with --tokenizer";
    }
    return;
  }
  if (HoldsTokenizer(component.folder)) return;
  const ComponentFolder* text = nullptr;
  for (const char* name : {"text_encoder", "text_encoder_2"}) {
    if (text == nullptr) text = config.Find(name);
  }
  component.folder.clear();
  component.missing =
      "a single file has no tokenizer, and none for it is in the model search path;"
      " give a folder that holds one with --tokenizer, or run scripts/tokenizers once";
  if (text == nullptr) return;
  const Config read = Config::ReadFile(text->folder / "config.json");
  const auto found =
      FindTokenizer(options.search, static_cast<int>(read.Int("vocab_size", 1, 1 << 24, 49408)));
  if (!found) return;
  component.folder = *found;
  const std::string note = "tokenizer: " + found->string();
  if (std::find(out.notes.begin(), out.notes.end(), note) == out.notes.end()) {
    out.notes.push_back(note);
  }
}

}  // namespace

ModelFolder OpenSingleFile(const fs::path& file, const SingleFileOptions& options) {
  const auto opened = SafetensorsFile::Open(file);
  const SafetensorsHeader& header = opened->Header();
  ModelFolder out;
  out.folder = file;
  out.name = file.stem().string();

  // What is in the file at all comes first: any config would be wrong for another kind of file.
  bool any = false;
  for (const char* name :
       {"unet", "transformer", "vae", "text_encoder", "text_encoder_2", "text_encoder_3"}) {
    any = any || FindLdmHome(header, name).has_value();
  }
  if (!any) {
    Bad(file,
        "is not a checkpoint in the original names: it has no U-Net, transformer, VAE "
        "or text encoder that we know; a component in diffusers' names is opened by its "
        "folder, with its config.json");
  }
  const fs::path folder = ChooseConfig(file, FitConfigs(header), options, out.notes);
  const ModelFolder config = OpenModelFolder(folder);
  out.pipeline_class = config.pipeline_class;
  out.flags = config.flags;
  std::vector<std::string> prefixes;
  for (ComponentFolder component : config.components) {
    if (component.name.empty()) {
      throw Error(ErrorCode::kUsage, "--config " + folder.string() +
                                         ": is a component's folder; a single file needs a "
                                         "pipeline's, with model_index.json");
    }
    const bool weights = component.name == "unet" || component.name == "transformer" ||
                         component.name == "vae" || component.name.starts_with("text_encoder");
    if (component.name.starts_with("tokenizer")) {
      AddTokenizer(component, config, options, out);
    } else if (weights) {
      const auto home = FindLdmHome(header, component.name, component.class_name);
      if (!home) continue;
      component.single_file = file;
      prefixes.push_back(home->prefix);
    } else if (component.name != "scheduler") {
      continue;  // a safety checker and the like
    }
    out.components.push_back(std::move(component));
  }
  CheckOwners(file, header, prefixes);
  return out;
}

}  // namespace fovea
