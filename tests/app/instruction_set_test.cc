// FOVEA_ISA on the program: what it refuses, and that each set makes the same picture, up to
// rounding.
#include <catch2/catch.hpp>

#include "models/files/safetensors.h"
#include "tensor/machine/instruction_set.h"
#include "tests/support/cli_checks.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

TEST_CASE("an instruction set of an unknown name is a usage error before anything is done") {
  const TempDir temp;
  for (const char* value : {"sse2", "AVX2", "avx512_bf16", "avx2,avx512"}) {
    CheckFails(RunFovea({"generate"}, {.folder = temp.Path(), .env = {{"FOVEA_ISA", value}}}), 2,
               "FOVEA_ISA=" + std::string(value));
  }
  CHECK(NamesIn(temp.Path()).empty());
  CheckDone(RunFovea({"info", "--samplers"}, {.env = {{"FOVEA_ISA", ""}}}));
}

TEST_CASE(
    "every instruction set makes the picture of the best, and the picture says which it was") {
  const TempDir temp;
  WritePipeline(temp / "tiny", Sd15SchedulerJson());
  const auto generate = [&](const std::string& set) {
    CheckDone(RunFovea({"generate", "-m", temp / "tiny", "-p", "a cube", "-s", "12", "--steps", "3",
                        "--dtype", "f32", "--save-latents", "latents", "-o", "a.png"},
                       {.folder = temp.Path(), .env = {{"FOVEA_ISA", set}}}));
    return ReadSafetensors(temp / "latents").at("latents");
  };
  const HostTensor best = generate("");
  for (const InstructionSet set :
       {InstructionSet::kPortable, InstructionSet::kAvx2, InstructionSet::kAvx512}) {
    const std::string used(Name(std::min(set, ProcessorInstructionSet())));
    CAPTURE(Name(set), used);
    CHECK(RelativeL2(generate(std::string(Name(set))), best) < 1e-4);
    CHECK_THAT(ReadBytes(temp / "a.png"), Catch::Contains("\"instruction_set\":\"" + used + "\""));
  }
}

TEST_CASE("without bf16 arithmetic --dtype bf16 is f32 on the file's 16-bit weights, and says so") {
  const TempDir temp;
  for (const InstructionSet set : {InstructionSet::kPortable, InstructionSet::kAvx2}) {
    CAPTURE(Name(set));
    const auto generate = [&](const std::string& dtype) {
      const ProgramResult run =
          RunFovea({"generate", "-p", "a red cube", "-s", "12", "--steps", "2", "--dtype", dtype,
                    "-v", "--save-latents", dtype, "-o", dtype + ".png"},
                   {.folder = temp.Path(), .env = {{"FOVEA_ISA", std::string(Name(set))}}});
      CheckDone(run);
      CHECK_THAT(run.err, Catch::Contains("weights f16 as stored, arithmetic f32"));
    };
    generate("f32");
    generate("bf16");  // of the built-in model, whose file is f16
    CHECK(ReadBytes(temp / "bf16") == ReadBytes(temp / "f32"));
    CHECK_THAT(ReadBytes(temp / "bf16.png"),
               Catch::Contains(R"("numbers":{"weights":"f16","arithmetic":"f32"})"));
  }
}

TEST_CASE("info and pictures say what weights are held in and what is computed in") {
  const TempDir temp;
  WritePipeline(temp / "tiny", Sd15SchedulerJson());  // weights in f32
  const bool has = UsedInstructionSet() == InstructionSet::kAvx512Bf16;
  const std::string here = has ? "bf16" : "f32";
  const std::string line = "weights bf16 (f32 in the file), arithmetic " + here;
  const ProgramResult model = RunFovea({"info", temp / "tiny"});
  CheckDone(model);
  CHECK_THAT(model.out, Catch::Contains("weights f32 as stored, arithmetic f32"));
  CHECK_THAT(model.out, Catch::Contains(line));
  CheckDone(RunFovea({"generate", "-m", temp / "tiny", "-p", "a cube", "--steps", "2", "--dtype",
                      "bf16", "-o", "a.png"},
                     {.folder = temp.Path()}));
  const ProgramResult picture = RunFovea({"info", temp / "a.png"});
  CheckDone(picture);
  CHECK_THAT(picture.out, Catch::Contains(line));
}

}  // namespace
}  // namespace fovea
