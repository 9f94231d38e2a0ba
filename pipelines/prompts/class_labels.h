// The classes of a model: a text as the number of one, by name or as it is.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

namespace fovea {

class ClassLabels {
 public:
  // Reads id2label of `folder`/model_index.json, if it has one; each id may have several names with
  // commas between them, which are one more name together. Throws kBadFile.
  ClassLabels(const std::filesystem::path& folder, int num_classes);
  // The same of names that were read elsewhere; ids from 0 to num_classes - 1.
  ClassLabels(std::map<int64_t, std::string> names, int num_classes);

  // Of a name, in any case, or a number. Throws kUsage for what is no class of the model, beginning
  // with where the text comes from.
  int64_t Find(const std::string& text, const std::string& where = "prompt") const;
  int64_t None() const { return count_; }  // what guidance leads away from
  // The names of a class, as the file has them; empty: none.
  std::string Name(int64_t id) const;

 private:
  void IndexNames();

  int64_t count_;
  std::map<std::string, int64_t> by_name_;  // lower case
  std::map<int64_t, std::string> names_;
};

}  // namespace fovea
