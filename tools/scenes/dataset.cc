// Chunks of scenes, rendered on all threads and appended in order.
#include "tools/scenes/dataset.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "tools/scenes/describe.h"
#include "tools/scenes/npy.h"
#include "tools/scenes/render.h"

namespace fovea::scenes {
namespace {

constexpr size_t kChunk = 256;  // pictures in memory at a time

struct Result {
  Picture picture;
  std::string line;
};

// Renders pictures [begin, begin + results->size()) on all threads.
void RenderChunk(const DataSetOptions& options, size_t begin, std::vector<Result>* results) {
  const float aspect = static_cast<float>(options.width) / static_cast<float>(options.height);
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i; (i = next++) < results->size();) {
      const Scene scene = SampleScene(options.seed, options.first + begin + i, options.mix, aspect);
      Result& result = (*results)[i];
      result.picture = RenderScene(scene, options.width, options.height);
      result.line = DescribeScene(scene, result.picture) + "\n";
    }
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < options.threads; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

void RenderDataSet(const DataSetOptions& options) {
  const std::filesystem::path out = options.out;
  std::filesystem::create_directories(out);
  AtomicFile images((out / "images.npy").string()), masks((out / "masks.npy").string()),
      lines((out / "scenes.jsonl").string());
  const auto width = static_cast<size_t>(options.width);
  const auto height = static_cast<size_t>(options.height);
  const std::string image_header = NpyHeader({options.count, height, width, 3});
  const std::string mask_header = NpyHeader({options.count, height, width});
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

}  // namespace fovea::scenes
