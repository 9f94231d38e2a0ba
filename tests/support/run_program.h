// Runs a program of ours as a person would and captures what it says: tests of the command line.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace fovea {

struct ProgramResult {
  int exit_code = -1;  // -1 when a signal ended it
  int signal = 0;      // that signal, or 0
  bool timed_out = false;
  std::string out, err;
  double seconds = 0;
};

struct RunOptions {
  std::filesystem::path folder = {};            // to run in; empty: the test's own
  std::map<std::string, std::string> env = {};  // added to, or replacing, the test's own
  std::chrono::milliseconds timeout{60000};     // then it is killed and timed_out is set
  // Not empty: SIGINT is sent once, when standard error contains it.
  std::string interrupt_after = {};
};

// The folder of the built programs: the environment variable FOVEA_BIN, else the test's own folder.
std::filesystem::path ProgramFolder();

// Runs FOVEA_BIN/fovea with these arguments; standard input is empty. Throws std::runtime_error if
// the program cannot be started.
ProgramResult RunFovea(const std::vector<std::string>& arguments, const RunOptions& options = {});
ProgramResult RunProgram(const std::filesystem::path& program,
                         const std::vector<std::string>& arguments, const RunOptions& options = {});

}  // namespace fovea
