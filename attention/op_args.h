// The arguments of an operator, parsed and checked: "r=16,down=4".
#pragma once

#include <array>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fovea {

using OpParams = std::vector<std::pair<std::string, std::string>>;  // "window" -> "24x24"

// An operator as a plan writes it.
struct OperatorSpec {
  std::string name;
  OpParams params;
  std::string Text() const;  // "clear(r=16)"
};

// One argument as `info --operators` lists it.
struct OpArg {
  std::string_view name, otherwise, help;
};

// A value for each axis of a grid that is not known yet: frames, rows, columns.
class AxisValues {
 public:
  AxisValues(std::vector<int> values, std::string on_frames)
      : values_(std::move(values)), on_frames_(std::move(on_frames)) {}
  // Throws kUsage where there are two values and the grid has several frames.
  std::array<int, 3> On(const std::array<int, 3>& grid) const;

 private:
  std::vector<int> values_;  // 1 to 3
  std::string on_frames_;    // begins the message
};

// Reads what an operator asks for. Throws kUsage naming the operator, the argument and what it
// takes; the constructor refuses arguments that the operator does not have, and repeated ones.
class OpArgs {
 public:
  OpArgs(std::string_view op, std::span<const OpArg> known, const OpParams& params);

  bool Has(std::string_view name) const;
  int Int(std::string_view name, int low, int high) const;
  double Number(std::string_view name, double low, double high) const;
  // One of the words of `choices`.
  std::string_view Word(std::string_view name,
                        std::initializer_list<std::string_view> choices) const;
  // "A", or one value for each axis of the grid: "AxB" for rows and columns (one frame), "AxBxC"
  // with frames first. A single value serves every axis.
  AxisValues PerAxis(std::string_view name, int low, int high) const;

 private:
  std::string_view Text(std::string_view name) const;  // as given, or the default
  [[noreturn]] void Bad(std::string_view name, const std::string& expected) const;
  std::string op_;
  std::span<const OpArg> known_;
  const OpParams& params_;
};

}  // namespace fovea
