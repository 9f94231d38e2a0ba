// The tiny StableDiffusionPipeline of tests/golden/pipeline, with its weights made by formula.
#pragma once

#include <filesystem>
#include <string>

namespace fovea {

// Writes the whole pipeline folder. `scheduler_json` becomes scheduler/scheduler_config.json.
void WritePipeline(const std::filesystem::path& to, const std::string& scheduler_json);

// Stable Diffusion 1.5's scheduler_config.json (PNDM).
std::string Sd15SchedulerJson();

}  // namespace fovea
