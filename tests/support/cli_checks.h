// What every run of the program must keep to, checked with Catch2.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/run_program.h"

namespace fovea {

// Exit code 0, or the test fails with what the program said.
void CheckDone(const ProgramResult& result);
// This exit code, nothing on standard output, exactly one line on standard error that begins with
// "fovea: " and contains `says`.
void CheckFails(const ProgramResult& result, int exit_code, const std::string& says);

std::string ReadBytes(const std::filesystem::path& path);
void WriteBytes(const std::filesystem::path& path, const std::string& bytes);
// Names of everything in a folder, hidden files included, sorted.
std::vector<std::string> NamesIn(const std::filesystem::path& folder);

}  // namespace fovea
