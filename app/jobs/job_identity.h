// Which picture a job is: the same settings, model and inputs give the same id, wherever they
// stand.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "models/model_folder.h"
#include "pipelines/settings/settings.h"

namespace fovea {

// Keys in byte order, no blanks, only what must be escaped, whole numbers as digits (3.0 is 3).
std::string CanonicalJson(const nlohmann::json& value);
// Of a text, 64 digits.
std::string Sha256OfText(const std::string& text);

// What tells the files of a model apart without reading its weights: names, sizes, and the headers
// of safetensors files, the whole of small ones. Remembers what it has read; for one run.
class FileDigests {
 public:
  nlohmann::json OfModel(const ModelFolder& model);          // components' files
  nlohmann::json OfInputs(const ModelFolder& model);         // LoRA and overlay files
  nlohmann::json OfFile(const std::filesystem::path& path);  // {"size","sha256"}; kBadFile

 private:
  std::map<std::filesystem::path, std::pair<uint64_t, std::string>> known_;
};

// The settings as they are asked for, without what cannot change a picture: paths, batch, model
// (its files stand in for it). `seed`: with it.
nlohmann::json JobSettingsJson(const GenerateSettings& asked, bool prompt_given, bool seed);

// 16 hex digits.
std::string JobId(const nlohmann::json& settings, const nlohmann::json& model,
                  const nlohmann::json& inputs);
// The seed of a job that asks for none, the `earlier`-th of its like, from 0.
uint64_t DerivedSeed(const nlohmann::json& settings, const nlohmann::json& model,
                     const nlohmann::json& inputs, int64_t earlier);

}  // namespace fovea
