// Waiting threads must sleep, not spin: OMP_WAIT_POLICY=passive, which libgomp reads before main().
#pragma once

namespace fovea {

// Starts this program again, once, with the variable set, if it is not set. Call first in main():
// before any thread or OpenMP region. Returns if nothing is to be done or the restart fails.
void RestartWithPassiveWaits(char** argv);

}  // namespace fovea
