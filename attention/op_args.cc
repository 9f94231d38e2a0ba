#include "attention/op_args.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "tensor/error.h"

namespace fovea {
namespace {

// The whole text as a number, or false.
template <class T>
bool ParseWhole(std::string_view text, T* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

std::string Shown(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", number);
  return text;
}

}  // namespace

OpArgs::OpArgs(std::string_view op, std::span<const OpArg> known, const OpParams& params)
    : op_(op), known_(known), params_(params) {
  for (size_t i = 0; i < params.size(); ++i) {
    const std::string& name = params[i].first;
    const auto same = [&name](const auto& other) { return other.first == name; };
    if (std::count_if(params.begin(), params.end(), same) > 1) {
      throw Error(ErrorCode::kUsage, op_ + ": " + name + " is given twice; give it once");
    }
    if (std::any_of(known.begin(), known.end(),
                    [&name](const OpArg& arg) { return arg.name == name; })) {
      continue;
    }
    std::string names;
    for (const OpArg& arg : known) names += (names.empty() ? "" : ", ") + std::string(arg.name);
    throw Error(ErrorCode::kUsage, op_ + " has no argument \"" + name + "\"; it takes " +
                                       (names.empty() ? "none" : names));
  }
}

bool OpArgs::Has(std::string_view name) const {
  return std::any_of(params_.begin(), params_.end(),
                     [name](const auto& param) { return param.first == name; });
}

std::string_view OpArgs::Text(std::string_view name) const {
  for (const auto& [key, value] : params_) {
    if (key == name) return value;
  }
  for (const OpArg& arg : known_) {
    if (arg.name == name) return arg.otherwise;
  }
  ENSURE(false, op_ + " reads an argument that it does not declare: " + std::string(name));
  return {};
}

void OpArgs::Bad(std::string_view name, const std::string& expected) const {
  throw Error(ErrorCode::kUsage, op_ + ": " + std::string(name) + " must be " + expected +
                                     ", not \"" + std::string(Text(name)) + "\"");
}

int OpArgs::Int(std::string_view name, int low, int high) const {
  int value = 0;
  if (!ParseWhole(Text(name), &value) || value < low || value > high) {
    Bad(name, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

double OpArgs::Number(std::string_view name, double low, double high) const {
  double value = 0;
  if (!ParseWhole(Text(name), &value) || !std::isfinite(value) || value < low || value > high) {
    Bad(name, "a number from " + Shown(low) + " to " + Shown(high));
  }
  return value;
}

std::string_view OpArgs::Word(std::string_view name,
                              std::initializer_list<std::string_view> choices) const {
  const std::string_view text = Text(name);
  std::string list;
  for (std::string_view choice : choices) {
    if (choice == text) return choice;
    list += (list.empty() ? "" : ", ") + std::string(choice);
  }
  Bad(name, "one of " + list);
}

AxisValues OpArgs::PerAxis(std::string_view name, int low, int high) const {
  std::vector<int> values;
  std::string_view rest = Text(name);
  for (bool more = true; more;) {
    const size_t cross = rest.find('x');
    int value = 0;
    if (!ParseWhole(rest.substr(0, cross), &value) || value < low || value > high ||
        values.size() == 3) {
      Bad(name, "A, or AxB with one value for each axis, each from " + std::to_string(low) +
                    " to " + std::to_string(high));
    }
    values.push_back(value);
    more = cross != std::string_view::npos;
    if (more) rest.remove_prefix(cross + 1);
  }
  return {std::move(values), op_ + ": " + std::string(name) + " must be A or AxBxC, not \"" +
                                 std::string(Text(name)) + "\","};
}

std::array<int, 3> AxisValues::On(const std::array<int, 3>& grid) const {
  if (values_.size() == 1) return {values_[0], values_[0], values_[0]};
  if (values_.size() == 3) return {values_[0], values_[1], values_[2]};
  if (grid[0] > 1) {
    throw Error(ErrorCode::kUsage,
                on_frames_ + " on a grid of " + std::to_string(grid[0]) + " frames");
  }
  return {1, values_[0], values_[1]};
}

std::string OperatorSpec::Text() const {
  std::string text = name;
  for (size_t i = 0; i < params.size(); ++i) {
    text += (i == 0 ? '(' : ',');
    text.append(params[i].first).append(1, '=').append(params[i].second);
  }
  if (!params.empty()) text += ')';
  return text;
}

}  // namespace fovea
