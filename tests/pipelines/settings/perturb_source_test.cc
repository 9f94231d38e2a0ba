// Lists of perturbed heads in files: what a file may say, presets, and what is refused.
#include "pipelines/settings/perturb_source.h"

#include <fstream>

#include <catch2/catch.hpp>

#include "tests/support/error_code.h"
#include "tests/support/source_dir.h"
#include "tests/support/temp_dir.h"

namespace fovea {

TEST_CASE("a file of perturbed heads may say how they are perturbed") {
  const PerturbSource source = ParsePerturbFile(
      "# found by a hunt\nkind: blur:2\nscope: img-pure\nscale: 2.5\nsteps: 1%-20%\n7, "
      "8.3\n9@0.5\n");
  CHECK(source.list.Text() == "7,8.3,9@0.5");
  CHECK(source.kind == "blur:2");
  CHECK(source.scope == "img-pure");
  CHECK(source.steps == "1%-20%");
  CHECK(source.scale == 2.5);
  const PerturbSource plain = ParsePerturbFile("11.15");
  CHECK_FALSE(plain.kind.has_value());
  CHECK_FALSE(plain.scale.has_value());
}

TEST_CASE("broken files of perturbed heads are refused") {
  for (const char* bad : {"kind: nothing", "scope: x", "scale: -1", "scale: nan", "steps: 5-3",
                          "scale: 1\nscale: 2", "strength: 1", "7,,8", ": 7", "7 8"}) {
    CAPTURE(bad);
    CHECK(CodeOf([&] { ParsePerturbFile(bad); }) == ErrorCode::kUsage);
  }
}

TEST_CASE("lists come from the argument, from files and from presets") {
  const TempDir folder;
  const std::string file = (folder / "some.perturb").string();
  std::ofstream(file) << "# for a test\nkind: skip\n7,8\n";
  CHECK(ReadPerturb("m0.[0-2]", folder.Path()).list.Text() == "m0.[0-2]");
  CHECK(ReadPerturb("@" + file, folder.Path()).kind == "skip");
  CHECK(ReadPerturb("preset:some", folder.Path()).list.Text() == "7,8");
  CHECK(CodeOf([&] { ReadPerturb("preset:other", folder.Path()); }) == ErrorCode::kUsage);
  CHECK(CodeOf([&] { ReadPerturb("@" + file + "x", folder.Path()); }) == ErrorCode::kBadFile);
  std::ofstream(file) << "kind: skip\n";
  CHECK(CodeOf([&] { ReadPerturb("@" + file, folder.Path()); }) == ErrorCode::kBadFile);
}

TEST_CASE("the presets that come with the program can be read") {
  const std::filesystem::path presets = SourceDir() / "assets/perturbs";
  const PerturbSource slg = ReadPerturb("preset:sd35-medium-slg", presets);
  CHECK(slg.list.Text() == "7,8,9");
  CHECK(slg.kind == "skip");
  CHECK(slg.scale == 2.8);
  CHECK(slg.steps == "1%-20%");
  for (const auto& entry : std::filesystem::directory_iterator(presets)) {
    CHECK_FALSE(ReadPerturb("preset:" + entry.path().stem().string(), presets).list.Empty());
  }
}

}  // namespace fovea
