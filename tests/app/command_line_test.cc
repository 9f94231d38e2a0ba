// The command line itself: help, version, usage errors, and what every subcommand shares.
#include <algorithm>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/cli_checks.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

constexpr int kUsage = 2, kUnsupported = 4, kDevice = 6;

TEST_CASE("the flags --version and --help print to standard output") {
  const ProgramResult version = RunFovea({"--version"});
  CheckDone(version);
  CHECK_THAT(version.out, Catch::StartsWith("fovea 0."));
  CHECK(version.err.empty());

  const std::vector<std::vector<std::string>> commands = {
      {}, {"generate"}, {"forward"}, {"info"}, {"bench"}, {"bench", "model"}};
  for (std::vector<std::string> words : commands) {
    words.push_back("--help");
    const ProgramResult help = RunFovea(words);
    CheckDone(help);
    CHECK_THAT(help.out, Catch::Contains("Usage: fovea"));
    CHECK(help.err.empty());
  }
}

TEST_CASE("help names every flag of the contract with its default") {
  const std::string generate = RunFovea({"generate", "--help"}).out;
  for (const char* flag : {"-p,",
                           "-n,",
                           "-m,",
                           "-W,",
                           "-H,",
                           "--steps",
                           "-s,--seed",
                           "-b,",
                           "--cfg",
                           "--cfg-rescale",
                           "--sampler",
                           "--eta",
                           "--clip-skip",
                           "--prompt-weights",
                           "--rng",
                           "--init-latents",
                           "--save-latents",
                           "--dump",
                           "--vae-tiling",
                           "--trace",
                           "--from",
                           "-o,",
                           "--device",
                           "--dtype",
                           "-t,--threads",
                           "--json",
                           "-v,",
                           "--models",
                           "--tokenizer"}) {
    CHECK_THAT(generate, Catch::Contains(std::string(flag)));
  }
  CHECK_THAT(generate, Catch::Contains("(default: philox)"));
  CHECK_THAT(generate, Catch::Contains("(default: out/)"));
  const std::string bench = RunFovea({"bench", "model", "--help"}).out;
  for (const char* flag : {"-m,", "--component", "-W,", "-H,", "-b,", "--repeat", "--json"}) {
    CHECK_THAT(bench, Catch::Contains(std::string(flag)));
  }
}

struct Refusal {
  std::vector<std::string> arguments;
  int exit_code;
  std::string says;
};

TEST_CASE("bad arguments are refused in one line that says what to do") {
  const std::vector<Refusal> refusals = {
      {{}, kUsage, "name a command: generate"},
      {{"paint"}, kUsage, "unknown command 'paint'"},
      {{"bench"}, kUsage, "name a command: model"},
      {{"--json", "generate"}, kUsage, "--json"},
      {{"generate", "--frob"}, kUsage, "unknown argument '--frob'; see fovea generate --help"},
      {{"generate", "--ste", "3"}, kUsage, "unknown argument '--ste'"},
      {{"generate", "surplus"}, kUsage, "unknown argument 'surplus'"},
      {{"generate", "-p"}, kUsage, "--prompt needs a value"},
      {{"generate", "-p", "a", "-p", "b"}, kUsage, "--prompt is given more than once"},
      {{"generate", "-p", "\xff\xfe"}, kUsage, "UTF-8"},
      {{"generate", "-p", "\xed\xa0\x80"}, kUsage, "UTF-8"},
      {{"generate", "--steps", "x"}, kUsage, "--steps: 'x' is not a whole number"},
      {{"generate", "--steps", ""}, kUsage, "--steps"},
      {{"generate", "--steps="}, kUsage, "--steps"},
      {{"generate", "--steps", "4.5"}, kUsage, "--steps"},
      {{"generate", "--steps", "0"}, kUsage, "--steps"},
      {{"generate", "--steps", "-3"}, kUsage, "--steps"},
      {{"generate", "--steps", "99999999999999999999"}, kUsage, "--steps"},
      {{"generate", "-W", "0"}, kUsage, "--width"},
      {{"generate", "-H", "-8"}, kUsage, "--height"},
      {{"generate", "-b", "0"}, kUsage, "--batch"},
      {{"generate", "-s", "-1"}, kUsage, "--seed"},
      {{"generate", "-s", "18446744073709551616"}, kUsage, "--seed"},
      {{"generate", "--cfg", "nan"}, kUsage, "--cfg"},
      {{"generate", "--cfg", "inf"}, kUsage, "--cfg"},
      {{"generate", "--cfg", "-1"}, kUsage, "--cfg"},
      {{"generate", "--cfg-rescale", "2"}, kUsage, "--cfg-rescale"},
      {{"generate", "--eta", "x"}, kUsage, "--eta"},
      {{"generate", "--clip-skip", "-1"}, kUsage, "--clip-skip"},
      {{"generate", "--sampler", "magic"}, kUsage, "euler_a"},
      {{"generate", "--rng", "dice"}, kUsage, "torch|philox"},
      {{"generate", "--vae-tiling", "maybe"}, kUsage, "auto|on|off"},
      {{"generate", "--prompt-weights", "loud"}, kUsage, "--prompt-weights"},
      {{"generate", "-o", "picture.jpg"}, kUsage, ".png"},
      {{"generate", "-t", "0"}, kUsage, "--threads"},
      {{"generate", "-t", "1000000"}, kUsage, "--threads"},
      {{"generate", "--dtype", "f64"}, kUsage, "auto|f32|bf16|f16"},
      {{"generate", "--dtype", "f16"}, kUnsupported, "f16"},
      {{"forward", "--dtype", "f16"}, kUnsupported, "f16"},
      {{"generate", "--device", "cuda:1023"}, kDevice, "cuda:1023: "},
      {{"info", "--device", "cuda:1"}, kDevice, "no CUDA"},
      {{"generate", "--device", "cuda:x"}, kUsage, "--device"},
      {{"generate", "--device", "tpu"}, kUsage, "auto|cpu|cuda"},
      {{"generate", "--json=3"}, kUsage, "json"},
      {{"forward"}, kUsage, "--in"},
      {{"forward", "--in", "x.safetensors"}, kUsage, "--out"},
      {{"forward", "--step", "3", "--steps", "3", "--in", "x", "--out", "y"}, kUsage, "--step 3"},
      {{"info", "a", "b"}, kUsage, "unknown argument 'b'"},
      {{"info", "--samplers", "--operators"}, kUsage, "one of"},
      {{"bench", "model", "--repeat", "0"}, kUsage, "--repeat"},
  };
  const TempDir temp;
  for (const Refusal& refusal : refusals) {
    std::string line;
    for (const std::string& word : refusal.arguments) line += word + " ";
    INFO("fovea " << line);
    CheckFails(RunFovea(refusal.arguments, {.folder = temp.Path()}), refusal.exit_code,
               refusal.says);
  }
  CHECK(NamesIn(temp.Path()).empty());
}

TEST_CASE("lists come as lines and as JSON") {
  const ProgramResult lines = RunFovea({"info", "--samplers"});
  CheckDone(lines);
  CHECK_THAT(lines.out, Catch::StartsWith("ddim\n"));
  const ProgramResult samplers = RunFovea({"info", "--samplers", "--json"});
  const auto names = nlohmann::json::parse(samplers.out).at("samplers");
  for (const char* name : {"ddim", "pndm", "euler", "euler_a", "dpmpp_2m"}) {
    CHECK(std::find(names.begin(), names.end(), name) != names.end());
  }
  const ProgramResult operators = RunFovea({"info", "--operators", "--json"});
  const auto report = nlohmann::json::parse(operators.out);
  CHECK(report.at("operators").at(0) == "dense");
  CHECK(report.at("operators").size() == report.at("details").size());
  for (const auto& op : report.at("details")) {
    CAPTURE(op.dump());
    for (const char* key : {"what", "source", "cost", "refuses"}) {
      CHECK(op.at(key).get<std::string>().size() > 5);
    }
    for (const auto& argument : op.at("arguments")) CHECK(argument.size() == 3);
  }
  CHECK(report.at("presets").size() > 10);
  const ProgramResult text = RunFovea({"info", "--operators"});
  CheckDone(text);
  CHECK_THAT(text.out, Catch::Contains("clear: ") && Catch::Contains("r=16") &&
                           Catch::Contains("arXiv:2412.16112") && Catch::Contains("clear-8"));
}

TEST_CASE("waits are passive: the program starts itself again once") {
  // A wrong value would make libgomp warn; an unset one must not stay unset.
  const ProgramResult result =
      RunProgram("/usr/bin/env", {"-u", "OMP_WAIT_POLICY", "OMP_DISPLAY_ENV=true",
                                  (ProgramFolder() / "fovea").string(), "info", "--samplers"});
  CheckDone(result);
  CHECK_THAT(result.err, Catch::Contains("OMP_WAIT_POLICY = 'PASSIVE'"));
}

TEST_CASE("a policy that a person chose is kept") {
  const ProgramResult result =
      RunFovea({"info", "--samplers"},
               {.env = {{"OMP_WAIT_POLICY", "active"}, {"OMP_DISPLAY_ENV", "true"}}});
  CheckDone(result);
  CHECK_THAT(result.err, Catch::Contains("OMP_WAIT_POLICY = 'ACTIVE'"));
}

TEST_CASE("standard output that cannot be written is an error") {
  const ProgramResult result = RunProgram(
      "/bin/sh", {"-c", "exec \"$0\" info --samplers >/dev/full", ProgramFolder() / "fovea"});
  CheckFails(result, 3, "standard output");
}

TEST_CASE("every command has a page of the manual, in roff, with its flags") {
  const TempDir dir;
  CheckDone(RunFovea({"--manual", dir / "pages"}));
  const std::vector<std::string> pages = NamesIn(dir / "pages");
  const auto has = [&](const std::string& name) {
    return std::find(pages.begin(), pages.end(), name) != pages.end();
  };
  for (const char* name :
       {"fovea.1", "fovea-generate.1", "fovea-inspect.1", "fovea-bench.1", "fovea-bench-model.1"}) {
    INFO(name);
    CHECK(has(name));
  }
  const std::string page = ReadBytes(dir / "pages" / "fovea-bench-model.1");
  CHECK_THAT(page, Catch::StartsWith(".TH fovea\\-bench\\-model 1"));
  CHECK_THAT(page, Catch::Contains("\\fB\\-\\-repeat\\fR \\fIN\\fR"));
  // No line of text is taken for a request: each that begins with a dot is one of these.
  for (const std::string& name : pages) {
    const std::string text = "\n" + ReadBytes(dir / "pages" / name);
    for (size_t at = text.find("\n."); at != std::string::npos; at = text.find("\n.", at + 1)) {
      const std::string request = text.substr(at + 1, 3);
      INFO(name << ": " << request);
      CHECK((request == ".TH" || request == ".SH" || request == ".TP" || request == ".br"));
    }
  }
  CheckFails(RunFovea({"--manual", "/dev/null/pages"}), 3, "/dev/null");
}

TEST_CASE("completion is written for three shells, from the same flags") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const ProgramResult result = RunFovea({"--completion", shell});
    CheckDone(result);
    for (const char* word : {"generate", "cfg-rescale", "torch philox", "bench"}) {
      CHECK_THAT(result.out, Catch::Contains(std::string(word)));
    }
  }
  CheckFails(RunFovea({"--completion", "tcsh"}), kUsage, "one of bash|zsh|fish");
}

TEST_CASE("the program asks for no window system") {
  const ProgramResult result =
      RunProgram("/usr/bin/env", {"readelf", "-d", ProgramFolder() / "fovea"});
  CheckDone(result);
  CHECK_THAT(result.out, Catch::Contains("NEEDED"));
  for (const char* library : {"libGL", "libglfw", "libX", "libwayland", "libEGL"}) {
    CHECK_THAT(result.out, !Catch::Contains(std::string(library)));
  }
}

}  // namespace
}  // namespace fovea
