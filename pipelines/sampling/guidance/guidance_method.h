// How the answers to the prompt and to the negative prompt become one: what --guidance names.
//
// One file a method, one line of the table in guidance_method.cc.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "attention/plans/plan.h"

namespace fovea {

// The space that a method's arithmetic is about. All of them are given the network's raw output.
enum class GuidanceSpace : unsigned char {
  kAny,     // a weighted sum, weights adding up to 1: the same in every space
  kOutput,  // the raw output: norms and angles differ from space to space
};

// One picture at one step; c*h*w numbers each.
struct GuidedPicture {
  int step = 0;      // the sampler's, 0-based
  size_t index = 0;  // of the batch
  double scale = 1;
  std::span<const float> conditional, unconditional;
};

class GuidanceMethod {
 public:
  virtual ~GuidanceMethod() = default;
  // `out`: as many numbers. Once a picture and step, in order; only at steps with both branches.
  virtual void Combine(const GuidedPicture& picture, std::span<double> out) = 0;
  // The step's answer is zero, whatever the network says: no branch but the prompt's is asked.
  virtual bool IsZero(int /*step*/) const { return false; }
  virtual bool KeepsState() const { return false; }
};

struct GuidanceMethodInfo {
  std::string_view name;
  std::span<const OpArg> args;
  GuidanceSpace space;
  std::string_view about;
  std::unique_ptr<GuidanceMethod> (*make)(const OpArgs& args, bool flow);
};

std::span<const GuidanceMethodInfo> GuidanceMethods();
// Throws kUsage for an unknown method or argument, kUnsupported for what does not fit `flow`.
std::unique_ptr<GuidanceMethod> MakeGuidanceMethod(const OperatorSpec& method, bool flow);

// Rows of the table.
GuidanceMethodInfo CfgMethod();
GuidanceMethodInfo CfgZeroStarMethod();
GuidanceMethodInfo ApgMethod();

}  // namespace fovea
