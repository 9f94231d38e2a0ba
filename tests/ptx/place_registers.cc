// PTX names every value anew: thousands of registers, few alive at once. Where does each lie?
#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include "tests/ptx/builder.h"

namespace fovea::ptx {
namespace {

struct Life {
  int first = -1, last = -1;
};

struct BasicBlock {
  int begin = 0, end = 0;
  std::vector<int> next;
  std::vector<bool> read, written, live_in, live_out;  // by register
};

std::vector<BasicBlock> Blocks(const Kernel& kernel) {
  const int size = static_cast<int>(kernel.code.size());
  std::set<int> begins = {0};
  const auto jumps = [](const Instr& in) { return in.branch && in.mode == 1; };
  for (int i = 0; i < size; ++i) {
    const Instr& in = kernel.code[static_cast<size_t>(i)];
    if (!in.branch) continue;
    begins.insert(i + 1);
    if (jumps(in)) begins.insert(static_cast<int>(in.offset));
  }
  std::vector<BasicBlock> blocks;
  std::map<int, int> at;
  for (const int begin : begins) {
    if (begin >= size) continue;
    at[begin] = static_cast<int>(blocks.size());
    blocks.emplace_back().begin = begin;
  }
  for (size_t i = 0; i < blocks.size(); ++i) {
    BasicBlock& block = blocks[i];
    block.end = i + 1 < blocks.size() ? blocks[i + 1].begin : size;
    const Instr& last = kernel.code[static_cast<size_t>(block.end - 1)];
    if (jumps(last) && at.count(static_cast<int>(last.offset))) {
      block.next.push_back(at[static_cast<int>(last.offset)]);
    }
    if ((!last.branch || last.guard >= 0) && at.count(block.end)) {
      block.next.push_back(at[block.end]);
    }
  }
  return blocks;
}

// f(register, whether it is read) for an instruction. What is written under a guard stays what it
// was in other lanes, so it counts as read.
template <class F>
void ForRegisters(const Builder& b, int at, F&& f) {
  const size_t i = static_cast<size_t>(at);
  const Instr& in = b.kernel.code[i];
  for (int k = 0; k < in.ns; ++k) {
    if (!(b.operands[i].s >> k & 1)) f(in.s[k], true);
  }
  for (int k = 0; k < in.nd; ++k) {
    if (b.operands[i].d >> k & 1) continue;
    if (in.guard >= 0) f(in.d[k], true);
    f(in.d[k], false);
  }
}

std::vector<Life> Lives(const Builder& b) {
  const size_t count = b.registers.size();
  std::vector<BasicBlock> blocks = Blocks(b.kernel);
  for (BasicBlock& block : blocks) {
    for (auto* set : {&block.read, &block.written, &block.live_out}) set->assign(count, false);
    for (int i = block.begin; i < block.end; ++i) {
      ForRegisters(b, i, [&](uint32_t id, bool reads) {
        if (!reads) block.written[id] = true;
        if (reads && !block.written[id]) block.read[id] = true;
      });
    }
    block.live_in = block.read;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = blocks.size(); i-- > 0;) {
      BasicBlock& block = blocks[i];
      for (const int next : block.next) {
        const std::vector<bool>& in = blocks[static_cast<size_t>(next)].live_in;
        for (size_t id = 0; id < count; ++id) {
          if (!in[id] || block.live_out[id]) continue;
          block.live_out[id] = true;
          if (!block.written[id]) block.live_in[id] = true;
          changed = true;
        }
      }
    }
  }
  std::vector<Life> lives(count);
  const auto touch = [&](uint32_t id, int at) {
    Life& life = lives[id];
    if (life.first < 0 || at < life.first) life.first = at;
    life.last = std::max(life.last, at);
  };
  for (const BasicBlock& block : blocks) {
    for (uint32_t id = 0; id < count; ++id) {
      if (block.live_in[id]) touch(id, block.begin);
      if (block.live_out[id]) touch(id, block.end);
    }
    for (int i = block.begin; i < block.end; ++i) {
      ForRegisters(b, i, [&](uint32_t id, bool) { touch(id, i); });
    }
  }
  return lives;
}

}  // namespace

void PlaceRegisters(Builder& b) {
  const std::vector<Life> lives = Lives(b);
  std::vector<uint32_t> order, place(b.registers.size(), 0);
  uint32_t top = 0;
  const auto take = [&](uint32_t id) {
    place[id] = top;
    top += static_cast<uint32_t>(kLanes) * (b.registers[id].bytes == 8 ? 8 : 4);
  };
  for (uint32_t id = 0; id < b.registers.size(); ++id) {
    if (lives[id].first < 0) continue;
    if (!b.registers[id].constant) {
      order.push_back(id);
      continue;
    }
    take(id);
    b.kernel.constants.push_back(
        {place[id], b.registers[id].bytes == 8 ? 8 : 4, b.registers[id].bits});
  }
  std::sort(order.begin(), order.end(),
            [&](uint32_t x, uint32_t y) { return lives[x].first < lives[y].first; });
  std::multimap<int, uint32_t> alive;            // by end
  std::map<bool, std::vector<uint32_t>> unused;  // places, of 8 bytes or of 4
  for (const uint32_t id : order) {
    while (!alive.empty() && alive.begin()->first < lives[id].first) {
      const uint32_t ended = alive.begin()->second;
      unused[b.registers[ended].bytes == 8].push_back(place[ended]);
      alive.erase(alive.begin());
    }
    std::vector<uint32_t>& places = unused[b.registers[id].bytes == 8];
    if (places.empty()) {
      take(id);
    } else {
      place[id] = places.back();
      places.pop_back();
    }
    alive.emplace(lives[id].last, id);
  }
  b.kernel.register_bytes = top;
  for (size_t i = 0; i < b.kernel.code.size(); ++i) {
    Instr& in = b.kernel.code[i];
    for (int k = 0; k < in.ns; ++k) {
      if (!(b.operands[i].s >> k & 1)) in.s[k] = place[in.s[k]];
    }
    for (int k = 0; k < in.nd; ++k) {
      if (!(b.operands[i].d >> k & 1)) in.d[k] = place[in.d[k]];
    }
  }
}

}  // namespace fovea::ptx
