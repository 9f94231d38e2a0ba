#include "app/cli_commands/reports/device_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "tensor/cuda/device_list.h"
#include "tensor/machine/instruction_set.h"
#include "tensor/machine/threads.h"

namespace fovea {

using Json = nlohmann::ordered_json;

Json DescribeDevices() {
  const cuda::DeviceList list = cuda::ListDevices(cuda::OpenDriver());
  Json devices = Json::array();
  for (const cuda::DeviceInfo& each : list.devices) {
    Json device = {{"index", each.index},
                   {"name", each.name},
                   {"capability", std::to_string(each.major) + "." + std::to_string(each.minor)},
                   {"bytes", each.bytes},
                   {"multiprocessors", each.multiprocessors},
                   {"clock_khz", each.clock_khz},
                   {"l2_bytes", each.l2_bytes},
                   {"shared_bytes", each.shared_bytes}};
    if (!each.problem.empty()) device["problem"] = each.problem;
    devices.push_back(device);
  }
  Json of_cuda = Json::object();
  if (!list.problem.empty()) of_cuda["problem"] = list.problem;
  if (list.driver_version != 0) of_cuda["driver"] = list.driver_version;
  of_cuda["devices"] = devices;
  return {{"cpu", {{"instruction_set", InstructionSetName()}, {"threads", NumThreads()}}},
          {"cuda", of_cuda},
          {"kernels",
           {{"architectures", cuda::KernelArchitectures()}, {"bytes", cuda::KernelBytes()}}}};
}

void PrintDevices(const Json& report) {
  const Json& cpu = report.at("cpu");
  std::printf("cpu      %s, %d threads\n", cpu.at("instruction_set").get<std::string>().c_str(),
              cpu.at("threads").get<int>());
  const Json& of_cuda = report.at("cuda");
  if (of_cuda.contains("problem")) {
    std::printf("cuda     none: %s\n", of_cuda.at("problem").get<std::string>().c_str());
  }
  for (const Json& device : of_cuda.at("devices")) {
    std::printf("cuda:%-3d %s, compute capability %s, %s, %d multiprocessors\n",
                device.at("index").get<int>(),
                OneLine(device.at("name").get<std::string>()).c_str(),
                device.at("capability").get<std::string>().c_str(),
                FormatBytes(device.at("bytes").get<double>()).c_str(),
                device.at("multiprocessors").get<int>());
    if (device.contains("problem")) {
      std::printf("         cannot be used: %s\n", device.at("problem").get<std::string>().c_str());
    }
  }
  const Json& kernels = report.at("kernels");
  const std::string architectures = kernels.at("architectures").get<std::string>();
  if (architectures.empty()) {
    std::printf("kernels  none: this build was made without nvcc\n");
  } else {
    std::printf("kernels  %s, %.0f KB\n", architectures.c_str(),
                kernels.at("bytes").get<double>() / 1e3);
  }
}

}  // namespace fovea
