#include "app/flags/token_grid_flag.h"

#include <charconv>
#include <string_view>
#include <vector>

#include "tensor/error.h"

namespace fovea {

std::array<int, 3> ParseTokenGrid(const std::string& flag, const std::string& text) {
  std::vector<int> sides;
  std::string_view rest = text;
  for (bool more = true; more;) {
    const size_t cross = rest.find('x');
    const std::string_view side = rest.substr(0, cross);
    int value = 0;
    const auto [end, error] = std::from_chars(side.data(), side.data() + side.size(), value);
    if (error != std::errc() || end != side.data() + side.size() || value < 1 ||
        value > kMostGridTokens) {
      sides.clear();
      break;
    }
    sides.push_back(value);
    more = cross != std::string_view::npos;
    if (more) rest.remove_prefix(cross + 1);
  }
  if (sides.size() == 2) sides.insert(sides.begin(), 1);
  if (sides.size() != 3 || int64_t{sides[0]} * sides[1] > kMostGridTokens ||
      int64_t{sides[0]} * sides[1] * sides[2] > kMostGridTokens) {
    throw Error(ErrorCode::kUsage, flag + " must be HxW or FxHxW, as 64x48, not \"" + text + "\"");
  }
  return {sides[0], sides[1], sides[2]};
}

}  // namespace fovea
