// fovea-scenes: renders a data set of still lifes with masks and captions into a folder.
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

#include "tools/scenes/dataset.h"
#include "tools/scenes/whole_number.h"

namespace {

using namespace fovea::scenes;

constexpr const char* kUsage =
    "usage: fovea-scenes --out DIR --count N --seed S [--size 128|WxH] [--mix "
    "single|early|full|P1,P2,P3]"
    "\n                    [--threads N] [--first I]\n";

DataSetOptions ParseOptions(int argc, char** argv) {
  DataSetOptions options;
  bool has_seed = false;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 >= argc) throw std::invalid_argument(flag + ": a value must follow");
    const std::string value = argv[i + 1];
    if (flag == "--out") {
      options.out = value;
    } else if (flag == "--count") {
      options.count = ParseWholeNumber(flag, value, 1, 100'000'000);
    } else if (flag == "--seed") {
      options.seed = ParseWholeNumber(flag, value, 0, UINT64_MAX);
      has_seed = true;
    } else if (flag == "--first") {
      options.first = ParseWholeNumber(flag, value, 0, UINT64_MAX / 2);
    } else if (flag == "--size") {
      const size_t cross = value.find('x');
      const auto side = [&](const std::string& text) {
        return static_cast<int>(ParseWholeNumber(flag, text, 8, 8192));
      };
      options.width = side(value.substr(0, cross));
      options.height = cross == std::string::npos ? options.width : side(value.substr(cross + 1));
    } else if (flag == "--threads") {
      options.threads = static_cast<int>(ParseWholeNumber(flag, value, 1, 256));
    } else if (flag == "--mix") {
      options.mix = ParseMix(value);
    } else {
      throw std::invalid_argument(flag + ": unknown option");
    }
  }
  if (options.out.empty() || options.count == 0 || !has_seed) {
    throw std::invalid_argument("--out, --count and --seed are required");
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && (std::string(argv[1]) == "--help" || std::string(argv[1]) == "-h")) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  try {
    RenderDataSet(ParseOptions(argc, argv));
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "fovea-scenes: %s\n%s", error.what(), kUsage);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fovea-scenes: %s\n", error.what());
    return 1;
  }
  return 0;
}
