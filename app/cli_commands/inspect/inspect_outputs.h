// What `fovea inspect` writes: maps as PNG and NPY, sheets, animations, tables, and manifest.json.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "app/output_files.h"
#include "pipelines/inspect/inspect.h"
#include "pipelines/pictures/formats/png_file.h"

namespace fovea {

class InspectOutputs {
 public:
  // Checks that the folder can be written. `gif`: steps as animations, too.
  InspectOutputs(std::filesystem::path folder, bool gif);
  ~InspectOutputs();

  // The maps of one run over the picture that they belong to. `tag` goes before names and into the
  // manifest as `source`; `plan` tells runs of one picture apart: "a", "b", "difference" or empty.
  struct Source {
    std::string tag, plan;
  };
  void Add(const Source& source, const Image& picture, const PngText& text,
           const Inspection& inspection);
  // A third source: maps of `a` less those of `b`, each over the picture of a; and how far the
  // pictures themselves are apart.
  void AddDifference(const std::string& tag, const Image& picture_a, const Inspection& a,
                     const Image& picture_b, const Inspection& b);

  void AddTable(const std::string& name, const std::string& csv);
  void AddSheet(const std::string& name, const Image& sheet);
  // Writes manifest.json and gives all files their names. Returns the manifest.
  nlohmann::ordered_json Finish(const std::string& model, const nlohmann::ordered_json& settings);

 private:
  std::filesystem::path Name(const std::string& name);  // to write to
  void AddMaps(const Source& source, const Image& picture, const std::vector<AttentionMap>& maps);
  void AddTables(const Source& source, const Inspection& inspection);
  void Animate(const std::string& before, const Image& picture,
               const std::vector<AttentionMap>& maps);

  std::filesystem::path folder_;
  bool gif_;
  OutputFiles files_;
  struct Lists;
  std::unique_ptr<Lists> lists_;
};

}  // namespace fovea
