// Names of files that are still being written: unlike any other, and telling who writes them.
#pragma once

#include <filesystem>
#include <string>

namespace fovea {

// A name in `folder` that no other file has, whoever writes there: 64 random bits, for process
// numbers repeat (in containers every program is process 1). It begins with ".fovea-", ends with
// `suffix`, and says which machine, process namespace and process writes it.
std::filesystem::path TemporaryName(const std::filesystem::path& folder, const std::string& suffix);

// Removes what stopped programs left in `folder` under such names: files of processes of this
// machine and namespace that are gone, and all that are older than an hour. Throws nothing: a
// file that cannot be removed stays.
void RemoveLeftTemporaries(const std::filesystem::path& folder);

// Makes a file's bytes, or a folder's names, outlive a power cut. False with errno set where the
// disk refuses; file systems that cannot be asked count as done.
bool SyncFile(int descriptor);
bool SyncFolder(const std::filesystem::path& folder);

}  // namespace fovea
