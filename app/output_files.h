// Outputs appear whole or not at all, and never over a file that nobody named.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <set>
#include <string>
#include <vector>

namespace fovea {

// The files of one run. Adding one checks at once that it can be written; until Commit, only files
// under temporary names exist, and without Commit those and the folders that were made go away.
class OutputFiles {
 public:
  OutputFiles() = default;
  ~OutputFiles();
  OutputFiles(const OutputFiles&) = delete;
  OutputFiles& operator=(const OutputFiles&) = delete;

  // `path` will be this file; one that exists is replaced, and links are followed (OutputTarget of
  // models/files/atomic_file.h). The folder must exist. Returns the name to write to. Throws
  // kBadFile.
  std::filesystem::path Replace(const std::filesystem::path& path);
  // The file gets the first free name folder/prefixNNNN.suffix after those that exist, chosen at
  // Commit. The folder must exist.
  std::filesystem::path CountUp(const std::filesystem::path& folder, const std::string& prefix,
                                const std::string& suffix);
  // Makes a folder and its parents, checks that files can be made in it.
  void MakeFolder(const std::filesystem::path& folder);

  // Gives all files their names; those that were never written are an internal error. Returns the
  // names in the order of adding.
  std::vector<std::filesystem::path> Commit();
  // The same for some of them, by the names to write to; the others stay as they are.
  std::vector<std::filesystem::path> Commit(const std::vector<std::filesystem::path>& temporaries);

 private:
  struct File {
    // What was named, and the file that it means; empty when counting up.
    std::filesystem::path temporary, folder, path, target;
    std::string prefix, suffix;
  };
  std::filesystem::path Temporary(const std::filesystem::path& folder, const std::string& suffix);
  std::filesystem::path GiveName(const File& file);
  std::vector<File> files_;
  std::set<std::filesystem::path> cleaned_;          // of what stopped programs left
  std::vector<std::filesystem::path> made_folders_;  // outermost first
  bool committed_ = false;
};

// Gives `from` the name `to` in the same folder, unless a file has it: then false, and both stay.
// Throws kBadFile.
bool RenameToNew(const std::filesystem::path& from, const std::filesystem::path& to);

// Where the pictures of a run go: product.md's -o.
struct PictureTarget {
  // Throws kUsage for names of other picture formats.
  static PictureTarget Parse(const std::string& output);
  // Stages the picture `index` of `count` with its seed; returns the name to write to.
  std::filesystem::path Stage(OutputFiles& files, int count, uint64_t seed) const;

  bool is_folder = true;
  std::filesystem::path path;
};

}  // namespace fovea
