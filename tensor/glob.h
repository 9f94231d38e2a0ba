// Globs on layer paths: "*" crosses dots, "[4-20]" is a range of whole numbers, "{a,b}"
// alternatives.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fovea {

// Whether the whole of `path` matches a glob without braces.
bool MatchGlob(std::string_view glob, std::string_view path);
// The globs without braces that one with braces stands for. Throws kUsage if they do not pair.
std::vector<std::string> ExpandBraces(std::string_view glob);

}  // namespace fovea
