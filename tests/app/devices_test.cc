// `fovea info --devices` on any machine, with a GPU or without.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/cli_checks.h"
#include "tests/support/run_program.h"

namespace fovea {
namespace {

TEST_CASE("info --devices names the processor, GPUs or their absence, and the kernels") {
  const ProgramResult lines = RunFovea({"info", "--devices"});
  CheckDone(lines);
  CHECK_THAT(lines.out, Catch::StartsWith("cpu "));
  CHECK_THAT(lines.out, Catch::Contains("\ncuda"));
  CHECK_THAT(lines.out, Catch::Contains("\nkernels "));

  const ProgramResult result = RunFovea({"info", "--devices", "--json"});
  CheckDone(result);
  const auto report = nlohmann::json::parse(result.out);
  CHECK(report.at("cpu").at("threads").get<int>() >= 1);
  CHECK(report.at("cuda").contains("problem") == report.at("cuda").at("devices").empty());
  CHECK(report.at("kernels").at("architectures").get<std::string>().empty() ==
        (report.at("kernels").at("bytes") == 0));
  CheckFails(RunFovea({"info", "--devices", "--samplers"}), 2, "--devices");
}

}  // namespace
}  // namespace fovea
