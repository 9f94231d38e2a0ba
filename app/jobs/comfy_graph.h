// ComfyUI's graphs in API format, as jobs: each picture that a graph saves is one.
#pragma once

#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "app/jobs/job.h"

namespace fovea {

// A graph, {"prompt": graph}, or a workflow of the user interface, which ComfyJobs refuses.
bool IsComfyGraph(const nlohmann::ordered_json& json);

// One of these or an array of them. A job that asks for what we lack is broken with code 4. Throws
// nothing but the limit's error. Pure.
std::vector<JobLine> ComfyJobs(const nlohmann::ordered_json& json, const ParseOptions& options);

}  // namespace fovea
