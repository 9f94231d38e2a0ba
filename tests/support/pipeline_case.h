// The tiny pipelines of tests/golden, with their weights made by formula.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "models/files/safetensors.h"
#include "pipelines/settings/settings.h"

namespace fovea {

// Writes the whole pipeline folder. `scheduler_json` becomes scheduler/scheduler_config.json;
// `model` is a folder of tests/golden.
void WritePipeline(const std::filesystem::path& to, const std::string& scheduler_json,
                   const std::string& model = "pipeline/model");

// The settings of a run in runs.json.
GenerateSettings RunSettings(const nlohmann::json& json);

// For GenerateHooks::on_text: checks text states against RUN.PART of `tensors`, where that has
// them: zeros exactly, others by RelativeL2 below 1e-5. Adds to *count how many it checked.
std::function<void(const NamedTensors&)> TextChecker(const NamedTensors& tensors,
                                                     const std::string& run, int* count);

// Stable Diffusion 1.5's scheduler_config.json (PNDM).
std::string Sd15SchedulerJson();

}  // namespace fovea
