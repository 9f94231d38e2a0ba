// One block of threads at work: warps in lockstep, their memory, who may see whose writes.
//
// A warp's 32 lanes are arrays, an instruction is one loop over them. Lanes that went different
// ways are groups of (place, mask); the lowest place runs first, and groups that meet are one
// again. A warp runs until it waits. Ordering is kept by vector clocks, one entry a warp: what a
// barrier did not order is an error, whatever the values were.
#pragma once

#include <bit>
#include <cstring>
#include <string>
#include <vector>

#include "tests/ptx/device_memory.h"
#include "tests/ptx/kernel.h"
#include "tests/ptx/launch.h"

namespace fovea::ptx {

inline constexpr int kMaxWarps = 32;
// Where shared and local memory appear among generic addresses.
inline constexpr uint64_t kSharedWindow = 0x7000000000000000, kLocalWindow = 0x7100000000000000;

struct Block;

struct Group {
  int place;
  uint32_t lanes;
};

// cp.async, under way until its thread waits for its group.
struct PendingCopy {
  int lane, group;
  uint32_t to, bytes, source_bytes;
  uint64_t from;
};

struct Warp {
  Block* block = nullptr;
  int id = 0;
  uint32_t alive = 0;
  std::vector<uint8_t> registers;
  std::vector<uint32_t> predicates;
  std::vector<Group> groups;  // the front one runs
  std::vector<PendingCopy> copies;
  int committed[kLanes] = {};  // groups of copies
  int barrier = -1;            // waited for, or -1
  uint32_t barrier_threads = 0;
  uint32_t clock[kMaxWarps] = {};
  const Instr* at = nullptr;
  std::vector<uint8_t> local;

  bool Done() const { return alive == 0; }
  template <class T>
  T* Reg(uint32_t offset) {
    return reinterpret_cast<T*>(registers.data() + offset);
  }
};

enum class ShadowState : uint8_t { kUnwritten, kValid, kInFlight };

// Of 2 bytes of shared memory.
struct Shadow {
  uint32_t write_clock = 0;
  uint8_t writer = 0, writer_lane = 0, reader_lane = 0;
  ShadowState state = ShadowState::kUnwritten;
};

struct Block {
  const Kernel* kernel = nullptr;
  DeviceMemory* memory = nullptr;
  const LaunchOptions* options = nullptr;
  Counters* counters = nullptr;
  Dim3 grid, threads, id;
  uint32_t number = 0;  // of the block, from 1
  const uint8_t* parameters = nullptr;
  std::vector<uint8_t> shared;
  std::vector<Shadow> shadow;
  std::vector<uint32_t> read_clock;  // of each 2 bytes and warp
  std::vector<Warp> warps;

  void Start(const Dim3& block);
  void Run();

  [[noreturn]] void Fail(Warp& warp, int lane, const std::string& what) const;
  // Each checks place, alignment and, where asked for, ordering; they say who did what.
  uint8_t* ReadShared(Warp& warp, int lane, uint64_t address, uint32_t bytes);
  uint8_t* WriteShared(Warp& warp, int lane, uint64_t address, uint32_t bytes, ShadowState becomes);
  uint8_t* Global(Warp& warp, int lane, uint64_t address, uint32_t bytes, bool write);
  void FinishCopies(Warp& warp, uint32_t lanes, int keep);
  void CountShared(const uint32_t* address, uint32_t lanes, uint32_t bytes);
  void CountGlobal(const uint64_t* address, uint32_t lanes, uint32_t bytes);

 private:
  bool RunWarp(Warp& warp);  // until it waits or ends; false: nothing ran
  void MergeGroups(Warp& warp);
  bool ReleaseBarriers();
  uint64_t executed_ = 0;
};

template <class F>
void ForLanes(uint32_t lanes, F&& f) {
  for (; lanes; lanes &= lanes - 1) f(std::countr_zero(lanes));
}

inline void SetPredicate(Warp& w, uint32_t predicate, uint32_t lanes, uint32_t bits) {
  w.predicates[predicate] = (w.predicates[predicate] & ~lanes) | (bits & lanes);
}

}  // namespace fovea::ptx
