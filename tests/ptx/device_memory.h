// Global memory: which bytes belong to a buffer, and which block wrote them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace fovea::ptx {

struct Range {
  uint64_t begin = 0, end = 0;
  std::string name;
  // For each 2 bytes the block that wrote it or read it last in launch `launch`, from 1; empty
  // until a checked launch touches the buffer.
  std::vector<uint32_t> writer, reader;
  uint64_t launch = 0;
};

class DeviceMemory {
 public:
  void Add(const void* begin, size_t bytes, const std::string& name);
  void Remove(const void* begin);
  bool Has(const void* begin) const { return ranges_.count(reinterpret_cast<uint64_t>(begin)) > 0; }
  size_t Bytes(const void* begin) const;
  // The buffer that holds these bytes, or null.
  Range* Find(uint64_t address, uint64_t bytes);
  // "12 bytes behind buffer x": for messages.
  std::string Nearest(uint64_t address) const;
  void BeginLaunch() { ++launch_; }
  // Says what is wrong with this access of a block (from 1), or nothing.
  std::string CheckAccess(Range& range, uint64_t address, uint64_t bytes, uint32_t block,
                          bool write) const;

 private:
  std::map<uint64_t, Range> ranges_;
  Range* last_ = nullptr;
  uint64_t launch_ = 0;
};

}  // namespace fovea::ptx
