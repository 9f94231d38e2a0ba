// Loads, stores, atomic additions and asynchronous copies.
#include "tests/ptx/forms.h"
#include "tests/ptx/machine.h"

namespace fovea::ptx {
namespace {

// s[0] is the base where the instruction has one: 64 bits, or 32 for shared and local addresses.
// Returns the space that the address means.
Space AddressOf(Warp& w, const Instr& in, int lane, uint64_t* address) {
  uint64_t a = static_cast<uint64_t>(in.offset);
  if (in.ns > 0 && in.mode & 4) a += w.Reg<uint32_t>(in.s[0])[lane];
  if (in.ns > 0 && in.mode & 8) a += w.Reg<uint64_t>(in.s[0])[lane];
  if (in.mode & 4 && in.space != Space::kGlobal) a &= 0xffffffff;
  Space space = in.space;
  if (space == Space::kGeneric) {
    if (a >> 56 == kSharedWindow >> 56) {
      a -= kSharedWindow;
      space = Space::kShared;
    } else if (a >> 56 == kLocalWindow >> 56) {
      a -= kLocalWindow;
      space = Space::kLocal;
    } else {
      space = Space::kGlobal;
    }
  }
  *address = a;
  return space;
}

uint8_t* Local(Warp& w, int lane, uint64_t address, uint32_t bytes) {
  const size_t each = w.local.size() / kLanes;
  if (address + bytes > each) w.block->Fail(w, lane, "local memory out of range");
  return w.local.data() + static_cast<size_t>(lane) * each + address;
}

// Bytes in memory -> the register of a lane.
void PutElement(Warp& w, const Instr& in, int which, int lane, const uint8_t* from) {
  uint64_t v = 0;
  std::memcpy(&v, from, in.bytes);
  if (in.mode & 1) {
    const int unused = 64 - 8 * in.bytes;
    v = static_cast<uint64_t>(static_cast<int64_t>(v << unused) >> unused);
  }
  if (in.mode & 2) {
    w.Reg<uint64_t>(in.d[which])[lane] = v;
  } else {
    w.Reg<uint32_t>(in.d[which])[lane] = static_cast<uint32_t>(v);
  }
}

}  // namespace

void LoadElements(Warp& w, const Instr& in, uint32_t lanes) {
  Block& block = *w.block;
  const uint32_t bytes = uint32_t{in.bytes} * in.vector;
  uint32_t shared_at[kLanes] = {}, shared_lanes = 0, global_lanes = 0;
  uint64_t global_at[kLanes] = {};
  ForLanes(lanes, [&](int lane) {
    uint64_t a;
    const uint8_t* from = nullptr;
    switch (AddressOf(w, in, lane, &a)) {
      case Space::kParam:
        if (a + bytes > static_cast<uint64_t>(block.kernel->parameters_bytes)) {
          block.Fail(w, lane, "reads beyond the parameters");
        }
        from = block.parameters + a;
        break;
      case Space::kShared:
        from = block.ReadShared(w, lane, a, bytes);
        shared_at[lane] = static_cast<uint32_t>(a);
        shared_lanes |= 1u << lane;
        break;
      case Space::kLocal:
        from = Local(w, lane, a, bytes);
        break;
      default:
        from = block.Global(w, lane, a, bytes, false);
        global_at[lane] = a;
        global_lanes |= 1u << lane;
    }
    for (int i = 0; i < in.vector; ++i) PutElement(w, in, i, lane, from + i * in.bytes);
  });
  if (!block.options->check) return;
  if (shared_lanes) block.CountShared(shared_at, shared_lanes, bytes);
  if (global_lanes) block.CountGlobal(global_at, global_lanes, bytes);
}

void StoreElements(Warp& w, const Instr& in, uint32_t lanes) {
  Block& block = *w.block;
  const uint32_t bytes = uint32_t{in.bytes} * in.vector;
  const int first = in.ns - in.vector;
  uint32_t shared_at[kLanes] = {}, shared_lanes = 0, global_lanes = 0;
  uint64_t global_at[kLanes] = {};
  ForLanes(lanes, [&](int lane) {
    uint64_t a;
    uint8_t* to = nullptr;
    switch (AddressOf(w, in, lane, &a)) {
      case Space::kShared:
        to = block.WriteShared(w, lane, a, bytes, ShadowState::kValid);
        shared_at[lane] = static_cast<uint32_t>(a);
        shared_lanes |= 1u << lane;
        break;
      case Space::kLocal:
        to = Local(w, lane, a, bytes);
        break;
      case Space::kGlobal:
        to = block.Global(w, lane, a, bytes, true);
        global_at[lane] = a;
        global_lanes |= 1u << lane;
        break;
      default:
        block.Fail(w, lane, "stores to parameters");
    }
    for (int i = 0; i < in.vector; ++i) {
      const uint32_t reg = in.s[first + i];
      const uint64_t v = in.mode & 2 ? w.Reg<uint64_t>(reg)[lane] : w.Reg<uint32_t>(reg)[lane];
      std::memcpy(to + i * in.bytes, &v, in.bytes);
    }
  });
  if (!block.options->check) return;
  if (shared_lanes) block.CountShared(shared_at, shared_lanes, bytes);
  if (global_lanes) block.CountGlobal(global_at, global_lanes, bytes);
}

void AtomicAddF32(Warp& w, const Instr& in, uint32_t lanes) {
  ForLanes(lanes, [&](int lane) {
    uint64_t a;
    if (AddressOf(w, in, lane, &a) != Space::kGlobal) w.block->Fail(w, lane, "global sums only");
    float v;
    uint8_t* const at = w.block->Global(w, lane, a, 4, true);
    std::memcpy(&v, at, 4);
    if (in.nd) w.Reg<float>(in.d[0])[lane] = v;
    v += w.Reg<float>(in.s[1])[lane];
    std::memcpy(at, &v, 4);
  });
}

// s: destination (32 bits), source (64), and the source's size (32) or none; bytes: the copy's.
void CopyAsync(Warp& w, const Instr& in, uint32_t lanes) {
  Block& block = *w.block;
  uint64_t global_at[kLanes] = {};
  uint32_t global_lanes = 0, shared_at[kLanes] = {};
  ForLanes(lanes, [&](int lane) {
    const uint32_t to = w.Reg<uint32_t>(in.s[0])[lane] + static_cast<uint32_t>(in.offset);
    const uint64_t from = w.Reg<uint64_t>(in.s[1])[lane] + static_cast<uint64_t>(in.offset2);
    const uint32_t size = in.ns > 2 ? w.Reg<uint32_t>(in.s[2])[lane] : in.bytes;
    if (size > in.bytes) block.Fail(w, lane, "a source larger than the copy");
    if (size > 0) {
      if (from % in.bytes) block.Fail(w, lane, "misaligned source of a copy");
      if (size == in.bytes) {
        block.Global(w, lane, from, size, false);
      } else {
        for (uint32_t b = 0; b < size; ++b) block.Global(w, lane, from + b, 1, false);
      }
      global_at[lane] = from;
      global_lanes |= 1u << lane;
    }
    std::memset(block.WriteShared(w, lane, to, in.bytes, ShadowState::kInFlight), 0xff, in.bytes);
    shared_at[lane] = to;
    w.copies.push_back({lane, w.committed[lane], to, in.bytes, size, from});
  });
  if (!block.options->check) return;
  if (global_lanes) block.CountGlobal(global_at, global_lanes, in.bytes);
  block.CountShared(shared_at, lanes, in.bytes);
}

void CommitCopies(Warp& w, const Instr&, uint32_t lanes) {
  ForLanes(lanes, [&](int lane) { ++w.committed[lane]; });
}

// mode 1: wait_all, which commits, too.
void WaitCopies(Warp& w, const Instr& in, uint32_t lanes) {
  if (in.mode == 1) CommitCopies(w, in, lanes);
  w.block->FinishCopies(w, lanes, static_cast<int>(in.offset));
}

void ToShared(Warp& w, const Instr& in, uint32_t lanes) {
  ForLanes(lanes, [&](int lane) {
    const uint64_t a = w.Reg<uint64_t>(in.s[0])[lane];
    if (a >> 56 != kSharedWindow >> 56) w.block->Fail(w, lane, "not an address of shared memory");
    w.Reg<uint64_t>(in.d[0])[lane] = a - kSharedWindow;
  });
}

void OfShared(Warp& w, const Instr& in, uint32_t lanes) {
  ForLanes(lanes, [&](int lane) {
    w.Reg<uint64_t>(in.d[0])[lane] = w.Reg<uint64_t>(in.s[0])[lane] + kSharedWindow;
  });
}

}  // namespace fovea::ptx
