// Completion of commands, flags and their values in shells, made from the flags' own descriptions.
#pragma once

#include <string>
#include <vector>

#include "app/flags/cli_args.h"

namespace fovea {

inline const std::vector<std::string> kShells = {"bash", "zsh", "fish"};

// The script that this shell reads; `shell` is one of kShells.
std::string CompletionScript(const std::string& program, const std::vector<CommandText>& commands,
                             const std::string& shell);

// "a", "b", "c" of the placeholder "a|b|c"; empty where a value may be anything.
std::vector<std::string> ChoicesOf(const FlagText& flag);

}  // namespace fovea
