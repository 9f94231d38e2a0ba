// Standard input, output and error that the caller closed.
#pragma once

namespace fovea {

// Opens what is closed, so that no file of ours takes its number and with it our messages. Writing
// to such an output fails, as before. Call first in main().
void OpenStandardStreams();

}  // namespace fovea
