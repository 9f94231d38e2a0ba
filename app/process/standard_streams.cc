#include "app/process/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

namespace fovea {

void OpenStandardStreams() {
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream) {
    if (fcntl(stream, F_GETFD) != -1) continue;
    // The lowest free number is this one, for all below are open. Only for reading: a write then
    // says that there is no output.
    if (open("/dev/null", O_RDONLY) != stream) return;
  }
}

}  // namespace fovea
