// `fovea attend`: what it writes and what it refuses.
#include <algorithm>
#include <cmath>
#include <tuple>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "tests/support/cli_checks.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

HostTensor Wave(const Shape& shape, double frequency) {
  HostTensor tensor(shape, DType::kF32);
  for (int64_t i = 0; i < tensor.NumElements(); ++i) {
    tensor.Data<float>()[i] = static_cast<float>(std::sin(frequency * static_cast<double>(i)));
  }
  return tensor;
}

struct Qkv {
  TempDir temp;

  Qkv() {
    const Shape shape = {1, 2, 35, 16};
    WriteSafetensors(temp / "qkv.safetensors",
                     {{"q", Wave(shape, 0.7)}, {"k", Wave(shape, 1.3)}, {"v", Wave(shape, 0.3)}});
  }
  ProgramResult Attend(std::vector<std::string> more) const {
    std::vector<std::string> words = {"attend", "--in", "qkv.safetensors"};
    words.insert(words.end(), more.begin(), more.end());
    return RunFovea(words, {.folder = temp.Path()});
  }
};

TEST_CASE("attend writes o and the log of the sum of exponentials") {
  const Qkv qkv;
  const ProgramResult result = qkv.Attend({"--grid", "5x7", "--out", "o.safetensors", "--json"});
  CheckDone(result);
  CHECK(nlohmann::json::parse(result.out).at("dtype") == "f32");
  const NamedTensors out = ReadSafetensors(qkv.temp / "o.safetensors");
  CHECK(out.at("o").shape() == Shape{1, 2, 35, 16});
  CHECK(out.at("lse").shape() == Shape{1, 2, 35});

  // A window that covers the grid is dense attention.
  CheckDone(
      qkv.Attend({"--attention", "gna(window=5x7)", "--grid", "5x7", "--out", "w.safetensors"}));
  const NamedTensors wide = ReadSafetensors(qkv.temp / "w.safetensors");
  for (const char* name : {"o", "lse"}) {
    const HostTensor &a = out.at(name), &b = wide.at(name);
    for (int64_t i = 0; i < a.NumElements(); ++i) {
      REQUIRE(std::abs(a.Data<float>()[i] - b.Data<float>()[i]) < 1e-5f);
    }
  }
}

TEST_CASE("attend gives agentsd what the block was given") {
  const Qkv qkv;
  const NamedTensors in = ReadSafetensors(qkv.temp / "qkv.safetensors");
  const auto run = [&](const Shape& hidden) {
    WriteSafetensors(
        qkv.temp / "more.safetensors",
        {{"q", in.at("q")}, {"k", in.at("k")}, {"v", in.at("v")}, {"hidden", Wave(hidden, 2.9)}});
    return RunFovea({"attend", "--in", "more.safetensors", "--grid", "5x7", "--attention",
                     "agentsd(sx=2,sy=2,random=off)", "--out", "with.safetensors"},
                    {.folder = qkv.temp.Path()});
  };
  CheckDone(run({1, 35, 12}));
  CheckDone(qkv.Attend({"--grid", "5x7", "--attention", "agentsd(sx=2,sy=2,random=off)", "--out",
                        "without.safetensors"}));
  const NamedTensors with = ReadSafetensors(qkv.temp / "with.safetensors");
  CHECK_FALSE(with.contains("lse"));
  CHECK(ReadBytes(qkv.temp / "with.safetensors") != ReadBytes(qkv.temp / "without.safetensors"));
  CheckFails(run({1, 34, 12}), 3, "hidden");
}

TEST_CASE("attend refuses what does not fit") {
  const Qkv qkv;
  const std::vector<std::tuple<std::vector<std::string>, int, std::string>> refusals = {
      {{}, 2, "--"},
      {{"--grid", "5x8"}, 2, "40"},
      {{"--grid", "five"}, 2, "--grid"},
      {{"--grid", "5x7", "--attention", "magic"}, 2, "magic"},
      {{"--grid", "5x7", "--attention", "gna(window=0)"}, 2, "window"},
      {{"--grid", "5x7", "--attention", "gna(size=3)"}, 2, "size"},
      {{"--grid", "5x7", "--attention", "gna(window=3"}, 2, "parenthesis"},
      {{"--grid", "5x7", "--attention", "dense(x=1)"}, 2, "takes none"},
      {{"--grid", "5x7", "--attention", "*: dense"}, 2, "operator's name"},
      {{"--grid", "5x7", "--attention", "window(shift=1,quarter=2)"}, 2, "give one"},
      {{"--grid", "5x7", "--attention", "radial(model=2d,block=64)"}, 2, "rule and tile"},
      {{"--grid", "5x7", "--attention", "agentsd(ratio=2)"}, 2, "ratio"},
      {{"--grid", "5x7", "--attention", "clear(down=3)"}, 4, "divides"},
      {{"--grid", "5x7x1", "--attention", "clear"}, 4, "frame"},
      {{"--grid", "5x7", "--attention", "window(grid=6x1)"}, 4, "windows"},
      {{"--grid", "5x7", "--attention", "radial"}, 4, "multiple"},
      {{"--grid", "5x7x1", "--attention", "radial(model=2d)"}, 4, "frame"},
      {{"--grid", "5x7", "--attention", "agent(agents=4096)"}, 4, "65536"},
      {{"--grid", "5x7", "--attention", "agentsd(sy=6)"}, 4, "cell"},
      {{"--grid", "5x6", "--text", "5", "--attention", "agentsd"}, 4, "text"},
      {{"--grid", "5x7", "--dtype", "f16"}, 4, "f16"},
      {{"--grid", "5x7", "--out", "absent/o.safetensors"}, 3, "absent"},
      {{"--grid", "5x7", "--in", "absent.safetensors"}, 2, "--in"},
  };
  for (const auto& [flags, code, says] : refusals) {
    std::vector<std::string> words = flags;
    if (std::find(words.begin(), words.end(), "--out") == words.end()) {
      words.insert(words.end(), {"--out", "o.safetensors"});
    }
    CheckFails(qkv.Attend(words), code, says);
  }
  CHECK(NamesIn(qkv.temp.Path()) == std::vector<std::string>{"qkv.safetensors"});
}

}  // namespace
}  // namespace fovea
