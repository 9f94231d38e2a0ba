// fovea-scenes: renders a data set of still lifes with masks and captions into a folder.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tools/scenes/describe.h"
#include "tools/scenes/npy.h"
#include "tools/scenes/render.h"

namespace {

using namespace fovea::scenes;

constexpr const char* kUsage =
    "usage: fovea-scenes --out DIR --count N --seed S [--size 128] [--mix single|early|full|P1,P2,P3]"
    "\n                    [--threads N] [--first I]\n";
constexpr size_t kChunk = 256;  // pictures in memory at a time

struct Options {
  std::string out;
  size_t count = 0;
  uint64_t seed = 0, first = 0;
  int size = 128, threads = 1;
  SceneMix mix = ParseMix("full");
};

uint64_t ParseNumber(const std::string& flag, const std::string& text, uint64_t low,
                     uint64_t high) {
  char* end = nullptr;
  errno = 0;
  const unsigned long long value = std::strtoull(text.c_str(), &end, 10);
  if (text.empty() || text[0] == '-' || *end || errno || value < low || value > high) {
    throw std::invalid_argument(flag + " " + text + ": give a whole number from " +
                                std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  bool has_seed = false;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i];
    if (i + 1 >= argc) throw std::invalid_argument(flag + ": a value must follow");
    const std::string value = argv[i + 1];
    if (flag == "--out") {
      options.out = value;
    } else if (flag == "--count") {
      options.count = ParseNumber(flag, value, 1, 100'000'000);
    } else if (flag == "--seed") {
      options.seed = ParseNumber(flag, value, 0, UINT64_MAX);
      has_seed = true;
    } else if (flag == "--first") {
      options.first = ParseNumber(flag, value, 0, UINT64_MAX / 2);
    } else if (flag == "--size") {
      options.size = static_cast<int>(ParseNumber(flag, value, 8, 8192));
    } else if (flag == "--threads") {
      options.threads = static_cast<int>(ParseNumber(flag, value, 1, 256));
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

struct Result {
  Picture picture;
  std::string line;
};

// Renders pictures [begin, begin + results->size()) on all threads.
void RenderChunk(const Options& options, size_t begin, std::vector<Result>* results) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i; (i = next++) < results->size();) {
      const Scene scene = SampleScene(options.seed, options.first + begin + i, options.mix);
      Result& result = (*results)[i];
      result.picture = RenderScene(scene, options.size);
      result.line = DescribeScene(scene, result.picture) + "\n";
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

void Run(const Options& options) {
  const std::filesystem::path out = options.out;
  std::filesystem::create_directories(out);
  AtomicFile images((out / "images.npy").string()), masks((out / "masks.npy").string()),
      lines((out / "scenes.jsonl").string());
  const size_t side = static_cast<size_t>(options.size);
  const std::string image_header = NpyHeader({options.count, side, side, 3});
  const std::string mask_header = NpyHeader({options.count, side, side});
  images.Write(image_header.data(), image_header.size());
  masks.Write(mask_header.data(), mask_header.size());
  for (size_t begin = 0; begin < options.count; begin += kChunk) {
    std::vector<Result> results(std::min(kChunk, options.count - begin));
    RenderChunk(options, begin, &results);
    for (const Result& result : results) {
      images.Write(result.picture.rgb.data(), result.picture.rgb.size());
      masks.Write(result.picture.mask.data(), result.picture.mask.size());
      lines.Write(result.line.data(), result.line.size());
    }
  }
  masks.Commit();
  lines.Commit();
  images.Commit();  // last: its presence means that the set is complete
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && (std::string(argv[1]) == "--help" || std::string(argv[1]) == "-h")) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  try {
    Run(ParseOptions(argc, argv));
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "fovea-scenes: %s\n%s", error.what(), kUsage);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fovea-scenes: %s\n", error.what());
    return 1;
  }
  return 0;
}
