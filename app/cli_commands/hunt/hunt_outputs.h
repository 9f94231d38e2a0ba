// What a finished hunt leaves: found.perturb, heads.csv, contenders.csv, heads.png, strength.png,
// and hunt.json, which holds all of it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "app/output_files.h"
#include "pipelines/hunt/hunt.h"
#include "pipelines/pictures/image.h"

namespace fovea {

// Means or gains of all heads of a round as one picture: layers down, heads across.
Image HeadMatrix(const std::string& title, const std::vector<NamedHead>& all,
                 const std::vector<TriedHead>& tried);

// Adds the files to `files` and writes them; the folder exists. Returns hunt.json's content.
nlohmann::ordered_json WriteHunt(const HuntPlan& plan, const HuntResult& result,
                                 const std::vector<std::string>& objectives,
                                 const std::string& model, const std::filesystem::path& folder,
                                 OutputFiles& files);

}  // namespace fovea
