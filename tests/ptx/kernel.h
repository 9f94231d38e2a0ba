// A kernel as the interpreter runs it: instructions with functions instead of names.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace fovea::ptx {

inline constexpr int kLanes = 32;
inline constexpr uint32_t kAllLanes = ~0u;

// What the text lacks or what a kernel does wrong: kernel, source line, instruction, block, lane.
struct PtxError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Warp;
struct Instr;
using Execute = void (*)(Warp&, const Instr&, uint32_t lanes);

enum class Space : uint8_t { kGeneric, kGlobal, kShared, kLocal, kParam };

// Operands are offsets into a warp's registers in bytes (32 lanes side by side), or numbers of
// predicates.
struct Instr {
  Execute execute = nullptr;
  int guard = -1;  // predicate, or -1: always
  bool guard_not = false;
  bool branch = false;     // may change the group's place
  bool all_lanes = false;  // .aligned: every living lane of the warp must take part
  Space space = Space::kGeneric;
  uint8_t bytes = 0;   // of one element in memory
  uint8_t vector = 1;  // elements of a load or store
  uint8_t mode = 0;    // of the instruction
  uint8_t nd = 0, ns = 0;
  uint32_t d[4] = {}, s[10] = {};
  int64_t offset = 0, offset2 = 0;  // of addresses; the target of a branch; a count
  int line = 0;                     // of the CUDA source where known
  const std::string* text = nullptr;
};

struct Constant {
  uint32_t offset;
  int bytes;
  uint64_t bits;
};

struct Kernel {
  std::string name;
  std::vector<Instr> code;
  std::map<std::string, int64_t> parameters;  // offsets
  std::vector<int> parameter_offset, parameter_bytes;
  int64_t parameters_bytes = 0;
  uint32_t register_bytes = 0;  // of a warp
  int predicates = 0;
  std::vector<Constant> constants;
  uint32_t static_shared = 0, local_bytes = 0;  // of a block; of a thread
  int max_threads = 0;                          // .maxntid, or 0
  std::vector<std::unique_ptr<std::string>> texts;
};

using Kernels = std::map<std::string, std::shared_ptr<const Kernel>>;

// Reads PTX 9.0 as nvcc writes it. Throws PtxError for whatever it does not know.
Kernels ParsePtx(const std::string& text);

}  // namespace fovea::ptx
