// Transformers in files with the original names: fused matrices read in parts, last norms with
// their halves swapped. tests/models/single_file/ldm_names_test.cc compares the names with
// diffusers'.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>
#include <map>

#include "models/files/safetensors.h"
#include "models/single_file/ldm_component.h"
#include "models/weight_store.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

NamedTensors ReadModel(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") return ReadSafetensors(entry.path());
  }
  FAIL("no weights");
  return {};
}

// A tensor, and where it lies in the whole.
struct Piece {
  const HostTensor* tensor;
  StoredTensor stored;
};

// The same tensors as the original classes keep them.
NamedTensors ToOriginal(const NamedTensors& tensors, LdmModule module, const LdmLayout& layout,
                        const std::string& prefix) {
  std::map<std::string, std::map<int, Piece>> wholes;
  for (const auto& [name, tensor] : tensors) {
    const auto stored = LdmNames(module, name, layout);
    INFO(name);
    REQUIRE(stored.size() == 1);
    wholes[stored[0].name][stored[0].part] = {&tensor, stored[0]};
  }
  NamedTensors out;
  for (const auto& [name, pieces] : wholes) {
    Shape shape = pieces.begin()->second.tensor->shape();
    shape.dim[0] = 0;
    for (const auto& [part, piece] : pieces) shape.dim[0] += piece.tensor->shape()[0];
    HostTensor whole(shape, pieces.begin()->second.tensor->dtype());
    auto* to = static_cast<std::byte*>(whole.data());
    for (const auto& [part, piece] : pieces) {
      std::memcpy(to, piece.tensor->data(), piece.tensor->Bytes());
      if (piece.stored.swapped) {
        const size_t half = piece.tensor->Bytes() / 2;
        std::rotate(to, to + half, to + 2 * half);
      }
      to += piece.tensor->Bytes();
    }
    out.emplace(prefix + name, std::move(whole));
  }
  return out;
}

TEST_CASE("single file: transformers are read back from the original layout bit by bit") {
  int checked = 0;
  for (const auto& folder : GoldenCases("forward")) {
    const std::string name = folder.filename().string();
    const bool sd3 = name.starts_with("sd3"), flux = name.starts_with("flux_");
    if (!sd3 && !flux) continue;
    INFO(name);
    const TempDir temp;
    GoldenCase::Read(folder).WriteModel(temp / "own");
    NamedTensors own = ReadModel(temp / "own");
    // CLEAR's pooling has no place in the original layout; it comes as an overlay.
    std::erase_if(own, [](const auto& each) { return each.first.ends_with("spatial_weight"); });
    const LdmLayout layout = ReadLdmLayout(temp / "own/config.json");
    const LdmModule module = sd3 ? LdmModule::kSd3 : LdmModule::kFlux;
    const std::string prefix = ++checked % 2 == 0 ? "" : "model.diffusion_model.";
    WriteSafetensors(temp / "a.safetensors", ToOriginal(own, module, layout, prefix));

    const auto file = SafetensorsFile::Open(temp / "a.safetensors");
    const auto home = FindLdmHome(file->Header(), "transformer");
    REQUIRE(home.has_value());
    CHECK(home->module == module);
    CHECK(home->prefix == prefix);
    const auto store = WeightStore::Open(temp / "a.safetensors", LdmTensorNames(*home, layout));
    for (const auto& [tensor, want] : own) {
      INFO(tensor);
      const Tensor got = store->Get(tensor, want.shape());
      REQUIRE(got.IsContiguous());
      CHECK(std::memcmp(got.data, want.data(), want.Bytes()) == 0);
      const HostTensor want_f32 = want.ToF32();
      CHECK(std::memcmp(store->GetF32(tensor, want.shape()).data, want_f32.data(),
                        want_f32.Bytes()) == 0);
    }
    store->CheckAllRead();
  }
  CHECK(checked >= 6);
}

}  // namespace
}  // namespace fovea
