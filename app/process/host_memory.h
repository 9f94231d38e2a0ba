// How much memory this process has used, and how much it may still use.
#pragma once

#include <cstddef>
#include <string>

namespace fovea {

size_t PeakMemoryBytes();     // high-water mark of the resident set
size_t CurrentMemoryBytes();  // the resident set
// What a new process could use without swapping: the system's available memory or, if less, what is
// left under the limits of this process and its control groups; plus what it holds already.
size_t AvailableMemoryBytes();

// "1.53 GB", "412 MB": decimal units.
std::string FormatBytes(double bytes);

// Throws kOutOfMemory when `needed` exceeds what is available; `advice` names the setting to lower.
void RequireMemory(size_t needed, const std::string& advice);

}  // namespace fovea
