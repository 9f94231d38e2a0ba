// Renders many scenes into a folder of arrays and descriptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "tools/scenes/scene.h"

namespace fovea::scenes {

struct DataSetOptions {
  std::string out;
  size_t count = 0;
  uint64_t seed = 0, first = 0;
  int width = 128, height = 128, threads = 1;
  SceneMix mix = ParseMix("full");
};

// Writes images.npy, masks.npy and scenes.jsonl into the folder `out`, each under a temporary name
// until all is done. Line and picture i show SampleScene(seed, first + i, mix, width / height),
// whatever count and threads are. Throws std::runtime_error when a file cannot be written.
void RenderDataSet(const DataSetOptions& options);

}  // namespace fovea::scenes
