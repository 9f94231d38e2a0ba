// The pages of the manual (man 1), made from the flags' own descriptions: one for the program, one
// for each command.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/flags/cli_args.h"

namespace fovea {

// One page in the language of man(7). `command` is one of `commands`.
std::string ManualPage(const CommandLine& line, const std::vector<CommandText>& commands,
                       const CommandText& command);

// Writes PROGRAM.1, PROGRAM-generate.1, ... into `folder`, which is made where it is missing.
// Throws kBadFile.
void WriteManual(const std::filesystem::path& folder, const CommandLine& line,
                 const std::vector<CommandText>& commands);

}  // namespace fovea
