// What ran where: the uses of operators in a run, grouped for people, reports and pictures.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "attention/attention_runtime.h"

namespace fovea {

// A dry run sees only the steps at which something changes; what it saw then holds until the next
// of them. `changes` rise and begin with 0.
std::vector<AttentionUse> UntilNextChange(std::vector<AttentionUse> uses,
                                          std::span<const int> changes, int steps);

// Sites at which the same happened.
struct AttentionGroup {
  std::string op;
  std::vector<std::string> layers;
  std::string heads;  // "0-3,5"; empty: all
  std::string steps;  // "0-14"
  double density = 1, visited = 1;
  std::string refusal;  // of a rule that left these layers dense; usually empty
};

std::vector<AttentionGroup> GroupUses(std::span<const AttentionUse> uses);

// [{"operator","layers","heads","steps","density","visited","refused"}]; heads and refused only
// where they say something.
nlohmann::ordered_json ToJson(std::span<const AttentionGroup> groups);
// The reverse; `where` names the file in messages. Throws kBadFile.
std::vector<AttentionGroup> GroupsFromJson(const nlohmann::json& json, const std::string& where);

// "clear(r=8) in 5 layers, heads 0-3, steps 0-14: density 0.12, visits 0.19", one line each,
// the layers behind it where something else than usual happened.
std::vector<std::string> Lines(std::span<const AttentionGroup> groups);

}  // namespace fovea
