#include "pipelines/metadata/attention_report.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

bool Same(const AttentionGroup& a, const AttentionGroup& b) {
  return a.op == b.op && a.heads == b.heads && a.steps == b.steps && a.density == b.density &&
         a.visited == b.visited && a.refusal == b.refusal;
}

// "0-3,8"
std::string StepsText(const AttentionUse& use) {
  std::string text;
  for (const auto& [first, last] : use.steps) {
    if (!text.empty()) text += ',';
    text += std::to_string(first);
    if (last > first) text.append(1, '-').append(std::to_string(last));
  }
  return text;
}

double Rounded(double share) {
  return std::round(share * 1e6) / 1e6;
}

}  // namespace

std::vector<AttentionUse> UntilNextChange(std::vector<AttentionUse> uses,
                                          std::span<const int> changes, int steps) {
  for (AttentionUse& use : uses) {
    std::vector<std::pair<int, int>> held;
    for (size_t i = 0; i < changes.size(); ++i) {
      const auto covers = [&](const auto& range) {
        return range.first <= changes[i] && changes[i] <= range.second;
      };
      if (std::none_of(use.steps.begin(), use.steps.end(), covers)) continue;
      const int last = (i + 1 < changes.size() ? changes[i + 1] : steps) - 1;
      if (!held.empty() && held.back().second + 1 == changes[i])
        held.back().second = last;
      else
        held.emplace_back(changes[i], last);
    }
    use.steps = std::move(held);
  }
  return uses;
}

std::vector<AttentionGroup> GroupUses(std::span<const AttentionUse> uses) {
  std::vector<AttentionGroup> groups;
  for (const AttentionUse& use : uses) {
    const AttentionGroup alone{
        use.op,     {}, use.heads, StepsText(use), Rounded(use.density), Rounded(use.visited),
        use.refusal};
    auto found = std::find_if(groups.begin(), groups.end(),
                              [&](const AttentionGroup& group) { return Same(group, alone); });
    if (found == groups.end()) found = groups.insert(found, alone);
    found->layers.push_back(use.path);
  }
  return groups;
}

nlohmann::ordered_json ToJson(std::span<const AttentionGroup> groups) {
  auto json = nlohmann::ordered_json::array();
  for (const AttentionGroup& group : groups) {
    nlohmann::ordered_json item;
    item["operator"] = group.op;
    item["layers"] = group.layers;
    if (!group.heads.empty()) item["heads"] = group.heads;
    item["steps"] = group.steps;
    item["density"] = group.density;
    item["visited"] = group.visited;
    if (!group.refusal.empty()) item["refused"] = group.refusal;
    json.push_back(std::move(item));
  }
  return json;
}

std::vector<AttentionGroup> GroupsFromJson(const nlohmann::json& json, const std::string& where) {
  std::vector<AttentionGroup> groups;
  try {
    for (const auto& item : json) {
      AttentionGroup group;
      group.op = item.at("operator").get<std::string>();
      group.layers = item.at("layers").get<std::vector<std::string>>();
      group.heads = item.value("heads", std::string());
      group.steps = item.at("steps").get<std::string>();
      group.density = item.at("density").get<double>();
      group.visited = item.at("visited").get<double>();
      group.refusal = item.value("refused", std::string());
      groups.push_back(std::move(group));
    }
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kBadFile,
                where + ": settings of the picture: attention is not a list of what ran where");
  }
  return groups;
}

std::vector<std::string> Lines(std::span<const AttentionGroup> groups) {
  std::vector<std::string> lines;
  for (const AttentionGroup& group : groups) {
    std::string line = group.op + " in " + std::to_string(group.layers.size()) +
                       (group.layers.size() == 1 ? " layer" : " layers");
    if (!group.heads.empty()) line += ", heads " + group.heads;
    line += ", steps " + group.steps;
    char shares[64];
    std::snprintf(shares, sizeof shares, ": density %.3g, visits %.3g", group.density,
                  group.visited);
    line += shares;
    if (!group.refusal.empty()) line += "; left dense, since " + group.refusal;
    lines.push_back(std::move(line));
    if (group.op == "dense" && group.refusal.empty()) continue;  // most layers, and as ever
    for (const std::string& layer : group.layers) lines.push_back("  " + layer);
  }
  return lines;
}

}  // namespace fovea
