// The axes of a grid: which setting varies, over which values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fovea {

struct GridAxis {
  std::string key;  // a setting, an input of a job, "size" or "prompt~"
  std::vector<std::string> values;
};

// "KEY=VALUES": values are split at commas outside of brackets and quotes; of numbers "1-5",
// "1-5(+2)", "5-1(-2)" and "0-1[5]" (5 values, ends included) are ranges, which never pass their
// end. Throws kUsage: an unknown key, an empty value, a range without values. Pure; fuzzed.
GridAxis ParseGridAxis(std::string_view text);

}  // namespace fovea
