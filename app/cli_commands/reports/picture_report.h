// What `fovea info` says about a picture.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace fovea {

bool IsPicture(
    const std::string& path);  // by content, since a model may be a file of any name, too

// {"picture","width","height","source","settings","parameters"}: source is "fovea" or "a1111". Ours
// have "version", "device", "init_latents" and what ran, A1111's what of their settings is "unused"
// and which are "problems". Throws kBadFile, kUnsupported.
nlohmann::ordered_json DescribePicture(const std::string& path);
void PrintPicture(const nlohmann::ordered_json& report);

}  // namespace fovea
