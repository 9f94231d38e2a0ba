// May this lane touch these bytes now? Places, alignment, races and waits.
#include <algorithm>

#include "tests/ptx/machine.h"

namespace fovea::ptx {
namespace {

std::string Text(uint64_t v) {
  return std::to_string(v);
}

}  // namespace

uint8_t* Block::ReadShared(Warp& w, int lane, uint64_t address, uint32_t bytes) {
  if (address + bytes > shared.size()) {
    Fail(w, lane,
         "reads shared memory [" + Text(address) + ", " + Text(address + bytes) + ") of " +
             Text(shared.size()));
  }
  if (address % bytes) Fail(w, lane, "misaligned shared address " + Text(address));
  uint8_t* const at = shared.data() + address;
  if (!options->check) return at;
  for (size_t i = address / 2; i < (address + bytes + 1) / 2; ++i) {
    Shadow& s = shadow[i];
    if (s.state == ShadowState::kInFlight) {
      Fail(w, lane,
           "reads shared byte " + Text(2 * i) +
               ", the destination of a cp.async that was not waited for");
    }
    if (s.state == ShadowState::kUnwritten) {
      Fail(w, lane, "reads shared byte " + Text(2 * i) + ", which nothing wrote");
    }
    if (s.writer != w.id) {
      if (w.clock[s.writer] < s.write_clock) {
        Fail(w, lane,
             "race: reads shared byte " + Text(2 * i) + ", written by warp " + Text(s.writer) +
                 " lane " + Text(s.writer_lane) + " with no barrier between");
      }
    } else if (s.writer_lane != lane && s.write_clock == w.clock[w.id]) {
      Fail(w, lane,
           "race: reads shared byte " + Text(2 * i) + ", written by lane " + Text(s.writer_lane) +
               " of the same warp with no __syncwarp between");
    }
    read_clock[i * warps.size() + static_cast<size_t>(w.id)] = w.clock[w.id];
    s.reader_lane = static_cast<uint8_t>(lane);
  }
  return at;
}

uint8_t* Block::WriteShared(Warp& w, int lane, uint64_t address, uint32_t bytes,
                            ShadowState becomes) {
  if (address + bytes > shared.size()) {
    Fail(w, lane,
         "writes shared memory [" + Text(address) + ", " + Text(address + bytes) + ") of " +
             Text(shared.size()));
  }
  if (address % bytes) Fail(w, lane, "misaligned shared address " + Text(address));
  uint8_t* const at = shared.data() + address;
  if (!options->check) return at;
  const size_t own = static_cast<size_t>(w.id);
  for (size_t i = address / 2; i < (address + bytes + 1) / 2; ++i) {
    Shadow& s = shadow[i];
    const bool mine = s.writer == w.id && s.writer_lane == lane;
    if (s.state == ShadowState::kInFlight && !(mine && becomes == ShadowState::kValid)) {
      Fail(w, lane,
           "writes shared byte " + Text(2 * i) +
               ", the destination of a cp.async that was not waited for");
    }
    if (s.state != ShadowState::kUnwritten) {
      if (s.writer != w.id ? w.clock[s.writer] < s.write_clock
                           : !mine && s.write_clock == w.clock[w.id]) {
        Fail(w, lane,
             "race: writes shared byte " + Text(2 * i) + ", written by warp " + Text(s.writer) +
                 " lane " + Text(s.writer_lane) + " with no barrier between");
      }
      const uint32_t* const reads = &read_clock[i * warps.size()];
      for (size_t r = 0; r < warps.size(); ++r) {
        if (r != own && reads[r] > w.clock[r]) {
          Fail(w, lane,
               "race: writes shared byte " + Text(2 * i) + ", read by warp " + Text(r) +
                   " with no barrier between");
        }
      }
      if (reads[own] == w.clock[own] && s.reader_lane != lane) {
        Fail(w, lane,
             "race: writes shared byte " + Text(2 * i) + ", read by lane " + Text(s.reader_lane) +
                 " of the same warp with no __syncwarp between");
      }
    }
    s.write_clock = w.clock[w.id];
    s.writer = static_cast<uint8_t>(w.id);
    s.writer_lane = static_cast<uint8_t>(lane);
    s.state = becomes;
  }
  return at;
}

uint8_t* Block::Global(Warp& w, int lane, uint64_t address, uint32_t bytes, bool write) {
  if (address % bytes) {
    Fail(w, lane, "misaligned global address for " + Text(bytes) + " bytes");
  }
  Range* const range = memory->Find(address, bytes);
  if (!range) {
    Fail(w, lane,
         std::string(write ? "writes " : "reads ") + Text(bytes) + " bytes " +
             memory->Nearest(address));
  }
  if (options->check) {
    const std::string race = memory->CheckAccess(*range, address, bytes, number, write);
    if (!race.empty()) Fail(w, lane, race);
  }
  return reinterpret_cast<uint8_t*>(address);
}

// Groups older than the latest `keep` of each lane have landed.
void Block::FinishCopies(Warp& w, uint32_t lanes, int keep) {
  size_t kept = 0;
  for (const PendingCopy& copy : w.copies) {
    const bool lands = (lanes >> copy.lane & 1) && copy.group < w.committed[copy.lane] - keep;
    if (!lands) {
      w.copies[kept++] = copy;
      continue;
    }
    uint8_t* const to = WriteShared(w, copy.lane, copy.to, copy.bytes, ShadowState::kValid);
    std::memset(to, 0, copy.bytes);
    std::memcpy(to, reinterpret_cast<const void*>(copy.from), copy.source_bytes);
  }
  w.copies.resize(kept);
}

// A wavefront serves 32 lanes of 4 bytes, 16 of 8 or 8 of 16; a bank gives one word in each.
void Block::CountShared(const uint32_t* address, uint32_t lanes, uint32_t bytes) {
  ++counters->shared_requests;
  const int together = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8;
  for (int first = 0; first < kLanes; first += together) {
    uint32_t words[32][8];
    int count[32] = {}, most = 0;
    for (int lane = first; lane < first + together; ++lane) {
      if (!(lanes >> lane & 1)) continue;
      for (uint32_t b = 0; b < std::max(bytes, 4u); b += 4) {
        const uint32_t word = (address[lane] + b) / 4, bank = word % 32;
        const int held = std::min(count[bank], 8);
        if (std::find(words[bank], words[bank] + held, word) != words[bank] + held) continue;
        if (count[bank] < 8) words[bank][count[bank]] = word;
        most = std::max(most, ++count[bank]);
      }
    }
    counters->shared_wavefronts += static_cast<uint64_t>(most);
    counters->shared_ideal += most > 0;
  }
}

void Block::CountGlobal(const uint64_t* address, uint32_t lanes, uint32_t bytes) {
  uint64_t sectors[2 * kLanes];
  size_t count = 0;
  uint64_t total = 0;
  ForLanes(lanes, [&](int lane) {
    total += bytes;
    for (uint64_t s = address[lane] / 32; s <= (address[lane] + bytes - 1) / 32; ++s) {
      size_t i = count;
      while (i > 0 && sectors[i - 1] != s) --i;
      if (i == 0) sectors[count++] = s;
    }
  });
  counters->global_sectors += count;
  counters->global_bytes += total;
  counters->global_ideal += (total + 31) / 32;
}

}  // namespace fovea::ptx
