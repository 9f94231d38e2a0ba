// What `info --devices` reports: the processor, the driver, the GPUs and the kernels of this build.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace fovea {

// {"cpu": {"instruction_set", "threads"}, "cuda": {"problem" or "driver", "devices": [{"index",
// "name", "capability", "bytes", "multiprocessors", "problem"}]}, "kernels": {"architectures",
// "bytes"}}. Loads NVIDIA's driver where there is one, and no other library.
nlohmann::ordered_json DescribeDevices();

void PrintDevices(const nlohmann::ordered_json& report);

}  // namespace fovea
