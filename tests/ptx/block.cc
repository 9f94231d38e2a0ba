// How do the warps of a block take turns, and when may each go on?
#include <algorithm>
#include <numeric>

#include "tests/ptx/forms.h"
#include "tests/ptx/machine.h"

namespace fovea::ptx {

void Block::Start(const Dim3& block) {
  id = block;
  number = 1 + block.x + grid.x * (block.y + grid.y * block.z);
  executed_ = 0;
  const uint32_t count = threads.x * threads.y * threads.z;
  warps.resize((count + kLanes - 1) / kLanes);
  std::fill(shared.begin(), shared.end(), uint8_t{0xff});  // NaN
  if (options->check) {
    shadow.assign((shared.size() + 1) / 2, {});
    read_clock.assign(shadow.size() * warps.size(), 0);
  }
  for (size_t i = 0; i < warps.size(); ++i) {
    Warp& w = warps[i];
    w.block = this;
    w.id = static_cast<int>(i);
    const uint32_t first = static_cast<uint32_t>(i) * kLanes;
    w.alive = count - first >= kLanes ? kAllLanes : (1u << (count - first)) - 1;
    w.registers.assign(kernel->register_bytes, 0xff);
    w.predicates.assign(static_cast<size_t>(kernel->predicates), 0);
    w.local.assign(size_t{kernel->local_bytes} * kLanes, 0xff);
    for (const Constant& constant : kernel->constants) {
      for (int lane = 0; lane < kLanes; ++lane) {
        if (constant.bytes == 8) {
          w.Reg<uint64_t>(constant.offset)[lane] = constant.bits;
        } else {
          w.Reg<uint32_t>(constant.offset)[lane] = static_cast<uint32_t>(constant.bits);
        }
      }
    }
    w.groups.assign(1, {0, w.alive});
    w.copies.clear();
    std::fill(std::begin(w.committed), std::end(w.committed), 0);
    w.barrier = -1;
    std::fill(std::begin(w.clock), std::end(w.clock), 0u);
    w.clock[i] = 1;
  }
}

void Block::Fail(Warp& warp, int lane, const std::string& what) const {
  const auto text = [](uint32_t v) { return std::to_string(v); };
  throw PtxError(kernel->name + ", block (" + text(id.x) + "," + text(id.y) + "," + text(id.z) +
                 ") warp " + std::to_string(warp.id) + " lane " + std::to_string(lane) + ", line " +
                 std::to_string(warp.at ? warp.at->line : 0) + ", " +
                 (warp.at ? *warp.at->text : "") + ": " + what);
}

// The front group becomes the lowest; those at one place become one.
void Block::MergeGroups(Warp& warp) {
  auto& groups = warp.groups;
  std::sort(groups.begin(), groups.end(),
            [](const Group& a, const Group& b) { return a.place < b.place; });
  size_t kept = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].lanes == 0) continue;
    if (kept > 0 && groups[kept - 1].place == groups[i].place) {
      groups[kept - 1].lanes |= groups[i].lanes;
    } else {
      groups[kept++] = groups[i];
    }
  }
  groups.resize(kept);
}

bool Block::RunWarp(Warp& warp) {
  if (warp.Done() || warp.barrier >= 0) return false;
  const Instr* const code = kernel->code.data();
  const int size = static_cast<int>(kernel->code.size());
  uint64_t ran = 0;
  while (warp.alive != 0 && warp.barrier < 0) {
    const int limit = warp.groups.size() > 1 ? warp.groups[1].place : size;
    while (true) {
      Group& group = warp.groups.front();
      if (group.place >= size) Fail(warp, 0, "runs past the end");
      const Instr& in = code[group.place];
      warp.at = &in;
      uint32_t lanes = group.lanes;
      if (in.guard >= 0) {
        const uint32_t bits = warp.predicates[static_cast<size_t>(in.guard)];
        lanes &= in.guard_not ? ~bits : bits;
      }
      ++ran;
      if (in.all_lanes && lanes != warp.alive) {
        Fail(warp, std::countr_zero(warp.alive & ~lanes), "a lane of the warp takes no part");
      }
      if (!in.branch) {
        if (lanes) in.execute(warp, in, lanes);
        ++warp.groups.front().place;
        if (warp.barrier >= 0) break;
        if (warp.groups.front().place < limit) continue;
        break;
      }
      in.execute(warp, in, lanes);  // moves the group on
      break;
    }
    if (executed_ + ran > options->max_instructions) Fail(warp, 0, "runs too long");
    if (warp.groups.size() > 1 || warp.groups.front().lanes == 0) MergeGroups(warp);
  }
  executed_ += ran;
  counters->warp_instructions += ran;
  return true;
}

// Opens barriers whose warps have all come.
bool Block::ReleaseBarriers() {
  for (Warp& first : warps) {
    if (first.barrier < 0) continue;
    std::vector<Warp*> here;
    for (Warp& w : warps) {
      if (w.barrier == first.barrier) here.push_back(&w);
    }
    const uint32_t whole = threads.x * threads.y * threads.z;
    const uint32_t wanted = first.barrier_threads ? first.barrier_threads : whole;
    if (here.size() < (wanted + kLanes - 1) / kLanes) continue;
    ++counters->barriers;
    uint32_t joined[kMaxWarps] = {};
    for (const Warp* w : here) {
      for (int i = 0; i < kMaxWarps; ++i) joined[i] = std::max(joined[i], w->clock[i]);
    }
    for (Warp* w : here) {
      std::copy(std::begin(joined), std::end(joined), std::begin(w->clock));
      ++w->clock[w->id];
      w->barrier = -1;
    }
    return true;
  }
  return false;
}

void Block::Run() {
  std::vector<size_t> order(warps.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (options->order == WarpOrder::kReverse) std::reverse(order.begin(), order.end());
  uint32_t seed = number;
  while (true) {
    if (options->order == WarpOrder::kShuffled) {
      for (size_t i = order.size(); i > 1; --i) {
        seed = seed * 1664525u + 1013904223u;
        std::swap(order[i - 1], order[(seed >> 8) % i]);
      }
    }
    bool any = false;
    for (const size_t i : order) any |= RunWarp(warps[i]);
    any |= ReleaseBarriers();
    if (any) continue;
    for (Warp& w : warps) {
      if (!w.Done()) Fail(w, 0, "deadlock: waits for warps that never come");
    }
    return;
  }
}

void Launch(const Kernel& kernel, DeviceMemory& memory, Dim3 grid, Dim3 threads,
            uint32_t dynamic_shared, const void* parameters, const LaunchOptions& options,
            Counters& counters) {
  const uint64_t count = uint64_t{threads.x} * threads.y * threads.z;
  const int limit = kernel.max_threads ? kernel.max_threads : 1024;
  if (count == 0 || count > static_cast<uint64_t>(limit)) {
    throw PtxError(kernel.name + ": a block of " + std::to_string(count) + " threads of at most " +
                   std::to_string(limit));
  }
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffff || grid.y > 65535 ||
      grid.z > 65535) {
    throw PtxError(kernel.name + ": a grid that no device takes");
  }
  memory.BeginLaunch();
  Block block;
  block.kernel = &kernel;
  block.memory = &memory;
  block.options = &options;
  block.counters = &counters;
  block.grid = grid;
  block.threads = threads;
  block.parameters = static_cast<const uint8_t*>(parameters);
  block.shared.resize(kernel.static_shared + dynamic_shared);
  for (uint32_t z = 0; z < grid.z; ++z) {
    for (uint32_t y = 0; y < grid.y; ++y) {
      for (uint32_t x = 0; x < grid.x; ++x) {
        block.Start({x, y, z});
        block.Run();
      }
    }
  }
}

// ---- what moves a group or makes a warp wait ----------------------------------------------------

void Branch(Warp& w, const Instr& in, uint32_t lanes) {
  Group& group = w.groups.front();
  const uint32_t stay = group.lanes & ~lanes;
  const int next = group.place + 1, target = static_cast<int>(in.offset);
  if (stay == 0) {
    group.place = target;
    return;
  }
  group = {next, stay};
  if (lanes) w.groups.push_back({target, lanes});
}

void Exit(Warp& w, const Instr&, uint32_t lanes) {
  Group& group = w.groups.front();
  w.alive &= ~lanes;
  group.lanes &= ~lanes;
  ++group.place;
}

void Nothing(Warp&, const Instr&, uint32_t) {}

void SyncWarp(Warp& w, const Instr& in, uint32_t lanes) {
  const uint32_t* members = w.Reg<uint32_t>(in.s[0]);
  ForLanes(lanes, [&](int lane) {
    if (members[lane] & w.alive & ~lanes) {
      w.block->Fail(w, lane, "not every lane of the member mask is here");
    }
  });
  ++w.clock[w.id];
}

void Barrier(Warp& w, const Instr& in, uint32_t lanes) {
  const int lane = std::countr_zero(lanes);
  w.barrier = static_cast<int>(w.Reg<uint32_t>(in.s[0])[lane]);
  w.barrier_threads = in.ns > 1 ? w.Reg<uint32_t>(in.s[1])[lane] : 0;
  if (w.barrier > 15) w.block->Fail(w, lane, "a barrier above 15");
}

}  // namespace fovea::ptx
