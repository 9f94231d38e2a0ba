// Golden cases of single-file checkpoints: tools/golden/single_file.py says what they hold.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "models/tensor_names.h"
#include "tests/support/golden_case.h"

namespace fovea {

struct SingleFileCase {
  std::string name;
  std::filesystem::path folder;  // configs in the layout of a pipeline
  DType dtype = DType::kF32;     // of the file
  std::map<std::string, Shape> tensors;
  // Component to its tensors to where diffusers' conversion takes them from.
  std::map<std::string, std::map<std::string, StoredTensor>> sources;
  std::map<std::string, std::vector<GoldenRun>> runs;  // by component

  static SingleFileCase Read(const std::string& name);
  void WriteFile(const std::filesystem::path& file) const;  // weights by formula
};

std::vector<std::string> SingleFileCases();  // sd15, sd15_inpaint, sd21, sdxl, sdxl_refiner

}  // namespace fovea
