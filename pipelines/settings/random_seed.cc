#include "pipelines/settings/random_seed.h"

#include <random>

namespace fovea {

uint64_t RandomSeed() {
  return std::random_device{}();
}

}  // namespace fovea
