// The pictures that a command line names: files, and folders for all that they hold.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace fovea {

// Files as they are named; a folder's .png, .jpg and .jpeg files by name, its subfolders not.
// Throws kBadFile for what does not exist and for a folder without pictures.
std::vector<std::filesystem::path> ListPictures(const std::vector<std::string>& names);

}  // namespace fovea
