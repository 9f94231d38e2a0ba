#include "tests/ptx/device_memory.h"

#include <algorithm>

namespace fovea::ptx {

void DeviceMemory::Add(const void* begin, size_t bytes, const std::string& name) {
  const auto address = reinterpret_cast<uint64_t>(begin);
  ranges_[address] = {address, address + bytes, name, {}, {}, 0};
  last_ = nullptr;
}

void DeviceMemory::Remove(const void* begin) {
  ranges_.erase(reinterpret_cast<uint64_t>(begin));
  last_ = nullptr;
}

size_t DeviceMemory::Bytes(const void* begin) const {
  const Range& range = ranges_.at(reinterpret_cast<uint64_t>(begin));
  return range.end - range.begin;
}

Range* DeviceMemory::Find(uint64_t address, uint64_t bytes) {
  if (last_ && address >= last_->begin && address + bytes <= last_->end) return last_;
  auto it = ranges_.upper_bound(address);
  if (it == ranges_.begin()) return nullptr;
  Range& range = std::prev(it)->second;
  if (address + bytes > range.end || address + bytes < address) return nullptr;
  last_ = &range;
  return last_;
}

std::string DeviceMemory::Nearest(uint64_t address) const {
  auto it = ranges_.upper_bound(address);
  std::string text = "outside of every buffer";
  if (it != ranges_.begin()) {
    const Range& before = std::prev(it)->second;
    text = std::to_string(address - before.begin) + " bytes into buffer " + before.name + " of " +
           std::to_string(before.end - before.begin);
  } else if (it != ranges_.end()) {
    text = std::to_string(it->first - address) + " bytes before buffer " + it->second.name;
  }
  return text;
}

std::string DeviceMemory::CheckAccess(Range& range, uint64_t address, uint64_t bytes,
                                      uint32_t block, bool write) const {
  if (range.launch != launch_) {
    const size_t granules = (range.end - range.begin + 1) / 2;
    range.writer.assign(granules, 0);
    range.reader.assign(granules, 0);
    range.launch = launch_;
  }
  const size_t first = (address - range.begin) / 2, last = (address + bytes - 1 - range.begin) / 2;
  for (size_t i = first; i <= last; ++i) {
    const uint32_t wrote = range.writer[i], read = range.reader[i];
    if (wrote != 0 && wrote != block) {
      return std::string("race: ") + (write ? "writes" : "reads") + " byte " +
             std::to_string(2 * i) + " of buffer " + range.name + ", which block number " +
             std::to_string(wrote - 1) + " wrote";
    }
    if (write && read != 0 && read != block) {
      return "race: writes byte " + std::to_string(2 * i) + " of buffer " + range.name +
             ", which block number " + std::to_string(read - 1) + " read";
    }
    (write ? range.writer : range.reader)[i] = block;
  }
  return {};
}

}  // namespace fovea::ptx
