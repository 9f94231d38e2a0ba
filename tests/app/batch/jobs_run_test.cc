// `fovea batch`: pictures as generate makes them, once each, whatever happens in between.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <set>
#include <thread>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Tiny {
  TempDir temp;

  Tiny() { WritePipeline(temp / "tiny", Sd15SchedulerJson()); }

  ProgramResult Run(std::vector<std::string> arguments, const RunOptions& options = {}) const {
    RunOptions here = options;
    here.folder = temp.Path();
    return RunFovea(arguments, here);
  }
  ProgramResult Batch(std::vector<std::string> arguments) const {
    std::vector<std::string> words = {"batch", "j.jsonl", "-m", "tiny", "--steps", "2"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return Run(words);
  }
  void Jobs(const std::string& text) const { WriteBytes(temp / "j.jsonl", text); }
  std::map<std::string, std::string> Pictures(const std::string& folder) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(temp / folder)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".png")) all[name] = ReadBytes(entry.path());
    }
    return all;
  }
  std::vector<json> Log(const std::string& file) const {
    std::vector<json> lines;
    std::ifstream in(temp / file);
    for (std::string line; std::getline(in, line);) {
      if (!line.empty()) lines.push_back(json::parse(line));
    }
    return lines;
  }
};

TEST_CASE("pictures of a batch are those of generate, byte for byte", "[determinism]") {
  const Tiny tiny;
  tiny.Jobs(
      "{\"prompt\":[\"a\",\"b\"],\"seed\":[1,18446744073709551615]}\n"
      "{\"prompt\":\"c\",\"seed\":7,\"batch\":2,\"sampler\":\"euler_a\"}\n");
  CheckDone(tiny.Batch({"-o", "out", "--name", "{seed}-{prompt}-{id}", "-t", "2"}));
  CheckDone(tiny.Batch({"-o", "one", "--name", "{seed}-{prompt}-{id}", "-t", "1"}));
  const auto pictures = tiny.Pictures("out");
  CHECK(pictures.size() == 6);
  for (const auto& [name, bytes] : pictures) {
    INFO(name);
    const std::string seed = name.substr(0, name.find('-'));
    const std::string prompt = name.substr(seed.size() + 1, 1);
    std::vector<std::string> words = {"generate", "-m", "tiny", "--steps", "2",  "-t",   "2",
                                      "-s",       seed, "-p",   prompt,    "-o", "g.png"};
    if (prompt == "c") words.insert(words.end(), {"--sampler", "euler_a"});
    CheckDone(tiny.Run(words));
    CHECK(ReadBytes(tiny.temp / "g.png") == bytes);
  }
  CHECK(tiny.Pictures("one").size() == 6);  // other bytes: they say the number of threads
}

TEST_CASE("a list of jobs says which pictures it means, whatever its order") {
  const Tiny tiny;
  const std::string a = "{\"prompt\":\"a\",\"steps\":3,\"cfg\":2}\n";
  tiny.Jobs(a + a + "{\"cfg\":2.0,\"prompt\":\"b\",\"seed\":5}\n{\"steps\":\"x\"}\n");
  const ProgramResult listed = tiny.Batch({"--list"});
  CHECK(listed.exit_code == 7);
  std::istringstream lines(listed.out);
  std::vector<json> jobs;
  for (std::string line; std::getline(lines, line);) jobs.push_back(json::parse(line));
  REQUIRE(jobs.size() == 4);
  CHECK(jobs[0].at("settings").at("seed") != jobs[1].at("settings").at("seed"));
  CHECK(jobs[3].at("error").at("code") == 2);
  CHECK_FALSE(fs::exists(tiny.temp / "out"));
  tiny.Jobs(
      "{\"seed\":5,\"prompt\":\"b\",\"cfg\":2}\n{\"defaults\":{\"cfg\":2,\"steps\":3}}\n"
      "{\"prompt\":\"a\"}\n{\"prompt\":\"a\",\"batch\":1}\n{\"prompt\":\"a\",\"seed\":" +
      jobs[0].at("settings").at("seed").dump() + "}\n");
  const ProgramResult again = tiny.Batch({"--list"});
  CHECK(again.exit_code == 0);
  std::istringstream more(again.out);
  std::vector<json> others;
  for (std::string line; std::getline(more, line);) others.push_back(json::parse(line));
  REQUIRE(others.size() == 4);
  CHECK(others[0].at("id") == jobs[2].at("id"));
  CHECK(others[1].at("id") == jobs[0].at("id"));
  CHECK(others[2].at("id") == jobs[1].at("id"));
  CHECK(others[3].at("duplicate_of") == 2);
}

TEST_CASE("broken jobs cost nothing but themselves, and are tried again") {
  const Tiny tiny;
  tiny.Jobs(
      "{\"seed\":1}\nbroken\n{\"seed\":2,\"image\":\"absent.png\"}\n"
      "{\"seed\":3,\"attention\":\"nosuch*: halo\"}\n{\"seed\":1}\n{\"seed\":4}\n");
  const ProgramResult first = tiny.Batch({"-o", "out", "--json"});
  CHECK(first.exit_code == 7);
  CHECK(first.err.find("j.jsonl:2:") != std::string::npos);
  const json report = json::parse(first.out);
  CHECK(report.at("jobs") == 6);
  CHECK(report.at("done") == 2);
  CHECK(report.at("duplicates") == 1);
  CHECK(report.at("failed") == 3);
  std::map<int, int> codes;
  for (const json& line : tiny.Log("out/results.jsonl")) {
    if (line.at("status") == "failed") codes[line.at("number")] = line.at("error").at("code");
  }
  CHECK(codes == std::map<int, int>{{2, 2}, {3, 3}, {4, 4}});
  const ProgramResult second = tiny.Batch({"-o", "out", "--json"});
  CHECK(second.exit_code == 7);
  CHECK(json::parse(second.out).at("skipped") == 2);
  CHECK(json::parse(second.out).at("done") == 0);
  CHECK(tiny.Batch({"-o", "out", "--max-failures", "1", "--force"}).exit_code == 7);
  tiny.Jobs("{\"seed\":1}\n");
  CHECK(tiny.Batch({"-o", "out", "--name", "{seed}"}).exit_code == 2);
  CHECK(tiny.Batch({"-o", "out", "--dump", "d"}).exit_code == 2);
  CHECK(tiny.Batch({"-o", "/proc/none"}).exit_code == 3);
  tiny.Jobs("\n");
  CHECK(tiny.Batch({"-o", "out"}).exit_code == 2);
}

TEST_CASE("a killed batch is taken up again: every picture once, the same bytes") {
  const Tiny tiny;
  std::string jobs;
  for (int i = 0; i < 40; ++i) {
    jobs += "{\"prompt\":\"a\",\"seed\":" + std::to_string(i) +
            ",\"steps\":" + std::to_string(1 + i % 5) + "}\n";
  }
  tiny.Jobs(jobs);
  CheckDone(tiny.Batch({"-o", "whole"}));
  const std::string fovea = (ProgramFolder() / "fovea").string();
  for (int kill_at = 0; kill_at < 5; ++kill_at) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      if (chdir(tiny.temp.Path().c_str()) == 0 && freopen("/dev/null", "w", stderr) != nullptr &&
          freopen("/dev/null", "w", stdout) != nullptr) {
        execl(fovea.c_str(), fovea.c_str(), "batch", "j.jsonl", "-m", "tiny", "--steps", "2", "-o",
              "killed", nullptr);
      }
      _exit(1);
    }
    // Whenever some more pictures are there.
    for (int wait = 0; wait < 2000; ++wait) {
      std::error_code error;
      const auto there =
          fs::exists(tiny.temp / "killed", error) ? NamesIn(tiny.temp / "killed").size() : 0;
      if (there > static_cast<size_t>(3 * kill_at + 1)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
  }
  // A power cut: a name with half a picture behind it, and half a line.
  const auto some = tiny.Pictures("killed");
  REQUIRE(some.size() >= 2);
  WriteBytes(tiny.temp / "killed" / some.begin()->first, some.begin()->second.substr(0, 90));
  std::ofstream(tiny.temp / "killed/results.jsonl", std::ios::app) << "{\"id\":\"x";
  CheckDone(tiny.Batch({"-o", "killed"}));
  CHECK(tiny.Pictures("killed") == tiny.Pictures("whole"));
  std::set<std::string> ids;
  std::ifstream log(tiny.temp / "killed/results.jsonl");
  for (std::string line; std::getline(log, line);) {
    const json read = json::parse(line, nullptr, false);
    if (read.is_object() && read.at("status") != "failed") ids.insert(read.at("id"));
  }
  CHECK(ids.size() == 40);
  for (const std::string& name : NamesIn(tiny.temp / "killed")) CHECK_FALSE(name.starts_with('.'));
}

TEST_CASE("shards make the whole, in one folder at once, too, and their logs merge") {
  const Tiny tiny;
  tiny.Jobs("{\"seed\":{\"range\":[1,9,1]}}\n{\"seed\":2}\n");
  CheckDone(tiny.Batch({"-o", "whole"}));
  CheckDone(tiny.Batch({"-o", "parts", "--shard", "1/2"}));
  CHECK(tiny.Pictures("parts").size() == 5);
  const auto merge = [&] {
    return tiny.Run(
        {"batch", "--merge", "parts", "--jobs", "j.jsonl", "-m", "tiny", "--steps", "2", "--json"});
  };
  const ProgramResult half = merge();
  CHECK(half.exit_code == 7);
  CHECK(json::parse(half.out).at("missing") == 4);
  CheckDone(tiny.Batch({"-o", "parts", "--shard", "2/2"}));
  CHECK(tiny.Pictures("parts") == tiny.Pictures("whole"));
  CHECK(merge().exit_code == 0);
  // More parts than jobs: one of them is empty.
  CheckDone(tiny.Batch({"-o", "empty", "--shard", "20/20"}));
  // Two at once on the same jobs.
  std::thread other([&] { tiny.Batch({"-o", "both"}); });
  const ProgramResult both = tiny.Batch({"-o", "both"});
  other.join();
  CheckDone(both);
  CHECK(tiny.Pictures("both") == tiny.Pictures("whole"));
}

TEST_CASE("a gentle signal finishes the picture, a second one stops it") {
  for (const char* signals : {"INT", "USR1", "TERM", "HUP", "INT INT"}) {
    INFO(signals);
    const Tiny tiny;
    tiny.Jobs("{\"seed\":{\"range\":[1,400,1]}}\n");
    RunOptions options;
    options.folder = tiny.temp.Path();
    std::string script =
        "\"$FOVEA\" batch j.jsonl -m tiny --steps 20 -t 1 -o out >names 2>err & "
        "while ! [ -s names ]; do sleep 0.02; done; for s in " +
        std::string(signals) + "; do kill -$s $!; sleep 0.01; done; wait $!";
    options.env["FOVEA"] = (ProgramFolder() / "fovea").string();
    const ProgramResult result = RunProgram("/bin/sh", {"-c", script}, options);
    CHECK(result.exit_code == 130);
    const auto pictures = tiny.Pictures("out");
    CHECK(pictures.size() >= 1);
    CHECK(pictures.size() < 400);
    for (const auto& [name, bytes] : pictures) CHECK(bytes.ends_with("IEND\xae\x42\x60\x82"));
    for (const std::string& name : NamesIn(tiny.temp / "out")) CHECK_FALSE(name.starts_with('.'));
  }
}

}  // namespace
}  // namespace fovea
