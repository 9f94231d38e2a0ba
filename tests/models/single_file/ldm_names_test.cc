#include "models/single_file/ldm_names.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "models/single_file/ldm_component.h"
#include "tests/support/single_file_case.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// Tensor by tensor: diffusers' conversion takes it from where we do.
TEST_CASE("ldm names: every tensor lies where diffusers' conversion finds it", "[golden]") {
  for (const std::string& name : SingleFileCases()) {
    const SingleFileCase single = SingleFileCase::Read(name);
    const TempDir temp;
    single.WriteFile(temp / "a.safetensors");
    const auto file = SafetensorsFile::Open(temp / "a.safetensors");
    for (const auto& [component, tensors] : single.sources) {
      const auto home = FindLdmHome(file->Header(), component);
      REQUIRE(home.has_value());
      const auto names =
          LdmTensorNames(*home, ReadLdmLayout(single.folder / component / "config.json"));
      REQUIRE(tensors.size() > 20);
      for (const auto& [tensor, source] : tensors) {
        INFO(name << " " << component << " " << tensor);
        bool found = false;
        for (const StoredTensor& candidate : names->Find(tensor)) {
          if (!single.tensors.contains(candidate.name)) continue;
          CHECK(candidate == source);
          found = true;
          break;
        }
        CHECK(found);
        CHECK(names->Owns(source.name));
      }
    }
  }
}

// The transformers' converters, row by row: [tensor, first row, rows, of all, halves swapped].
TEST_CASE("ldm names: transformers' tensors lie where diffusers' conversion finds them",
          "[golden]") {
  const auto path = SourceDir() / "tests/golden/transformer_names/cases.json";
  std::ifstream file(path);
  const auto cases = nlohmann::json::parse(file);
  REQUIRE(cases.size() == 4);
  for (const auto& one : cases) {
    const LdmModule module = one["module"] == "sd3" ? LdmModule::kSd3 : LdmModule::kFlux;
    LdmLayout layout;
    layout.joint_blocks = one["blocks"];
    REQUIRE(one["tensors"].size() > 40);
    for (const auto& [tensor, source] : one["tensors"].items()) {
      INFO(tensor);
      const auto names = LdmNames(module, tensor, layout);
      REQUIRE(names.size() == 1);
      CHECK(names[0].name == source[0].get<std::string>());
      const int64_t total = source[3];
      REQUIRE(total % names[0].parts == 0);
      CHECK(total / names[0].parts * names[0].part == source[1].get<int64_t>());
      CHECK(total / names[0].parts * names[0].count == source[2].get<int64_t>());
      CHECK(names[0].swapped == source[4].get<bool>());
      CHECK_FALSE(names[0].transposed);
    }
  }
}

TEST_CASE("ldm names: blocks are counted by the config's layers") {
  const auto one = [](std::string_view tensor, const LdmLayout& layout) {
    const auto names = LdmNames(LdmModule::kUNet, tensor, layout);
    return names.empty() ? "" : names.front().name;
  };
  const LdmLayout koala{.layers_per_block = 1};
  CHECK(one("down_blocks.2.resnets.0.conv1.weight", {}) == "input_blocks.7.0.in_layers.2.weight");
  CHECK(one("down_blocks.2.resnets.0.conv1.weight", koala) ==
        "input_blocks.5.0.in_layers.2.weight");
  CHECK(one("up_blocks.1.upsamplers.0.conv.bias", koala) == "output_blocks.3.2.conv.bias");
  CHECK(one("down_blocks.2.resnets.0", {}).empty());
  CHECK(one("down_blocks.x.resnets.0.conv1.weight", {}).empty());
  CHECK(one("down_blocks.99999.resnets.0.conv1.weight", {}).empty());
  CHECK(one("", {}).empty());
}

}  // namespace
}  // namespace fovea
