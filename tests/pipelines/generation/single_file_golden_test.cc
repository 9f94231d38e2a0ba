// Components of single-file checkpoints against diffusers' conversion of the same file.
#include <catch2/catch.hpp>

#include "models/single_file/single_file.h"
#include "pipelines/forward/forward.h"
#include "tests/support/single_file_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

TEST_CASE("single files run as what diffusers converts them to", "[golden]") {
  const std::vector<std::string> cases = SingleFileCases();
  REQUIRE(cases.size() == 5);
  for (const std::string& name : cases) {
    const SingleFileCase single = SingleFileCase::Read(name);
    const TempDir temp;
    single.WriteFile(temp / "model.safetensors");
    const ModelFolder model =
        OpenSingleFile(temp / "model.safetensors", {{}, single.folder.string(), {}, {}});
    CHECK(model.name == "model");
    const auto backend = MakeCpuBackend();
    for (const auto& [component, runs] : single.runs) {
      const auto loaded = Component::Load(model.Get(component), *backend);
      for (size_t r = 0; r < runs.size(); ++r) {
        ForwardOptions options;
        options.hidden_states = runs[r].outputs.contains("hidden_states.0");
        const ForwardResult result = loaded->Forward(runs[r].inputs, options);
        for (const auto& [output, want] : runs[r].outputs) {
          INFO(name << " " << component << " run " << r << " " << output);
          const double limit = ForwardLimit(want, runs[r].reference_f32_error.at(output));
          CHECK(Difference(result.outputs.at(output), want, limit) == "");
        }
      }
    }
  }
}

}  // namespace
}  // namespace fovea
