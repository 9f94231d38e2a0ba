// A kernel while it is read: names, registers by number, branches without targets.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/ptx/kernel.h"

namespace fovea::ptx {

struct Register {
  uint32_t id = 0;
  int bytes = 4;
  bool predicate = false;
};

// Which operands of an instruction are numbers of predicates, one bit each.
struct PredicateOperands {
  uint32_t d = 0, s = 0;
};

struct Builder {
  struct Scope {
    int id = 0;
    std::map<std::string, Register> registers;
  };
  struct Jump {
    size_t at;
    std::string label;
    std::vector<int> scopes;  // innermost last
  };
  struct Info {
    int bytes = 4;
    bool constant = false;
    uint64_t bits = 0;
  };

  Kernel kernel;
  std::vector<Scope> scopes;
  int scope_count = 0;
  std::map<std::pair<int, std::string>, int> labels;
  std::vector<Jump> jumps;
  std::vector<Info> registers;                    // by id
  std::vector<PredicateOperands> operands;        // of each instruction
  std::map<std::string, uint32_t> shared, local;  // addresses
  std::set<std::string> dynamic_shared;           // they begin behind the static ones
  int dynamic_align = 1;
  int line = 0;

  uint32_t DynamicShared() const {
    const auto align = static_cast<uint32_t>(dynamic_align);
    return (kernel.static_shared + align - 1) / align * align;
  }
  uint32_t NewRegister(int bytes) {
    registers.push_back({bytes, false, 0});
    return static_cast<uint32_t>(registers.size() - 1);
  }
  uint32_t Constant(uint64_t bits, int bytes);
  const Register* Find(const std::string& name) const;
};

// One instruction without its guard: appends it. Throws PtxError.
void Decode(Builder& builder, const std::string& name, std::vector<std::string> operands,
            Instr instruction);

// Gives every register its place; those that are never alive together share one.
void PlaceRegisters(Builder& builder);

std::string Trimmed(const std::string& text);
// At commas outside of braces and brackets.
std::vector<std::string> SplitOperands(const std::string& text);
std::vector<std::string> SplitName(const std::string& name);  // at dots
int BytesOfType(const std::string& type);                     // 0: no such type

}  // namespace fovea::ptx
