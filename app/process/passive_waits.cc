#include "app/process/passive_waits.h"

#include <unistd.h>

#include <cstdlib>

namespace fovea {

void RestartWithPassiveWaits(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  // The variable is set before the restart, so the new program does not come here again.
  if (setenv("OMP_WAIT_POLICY", "passive", 1) != 0) return;
  execv("/proc/self/exe", argv);
}

}  // namespace fovea
