// Linear attention: out_i = sum over j of (f(q)_i . g(k)_j) w(|i - j|) v_j, in O(n d^2).
//
// What all such operators share: the sums, their rows for looking, what they refuse. An operator is
// one short file with its features, and a line of linear_ops.cc. Text is a token like all others:
// it is part of every sum. There is no softmax over keys and so no lse.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "attention/attention_op.h"

namespace fovea {

// One head of one sample, packed rows (tokens, dim).
struct LinearHead {
  int64_t tokens = 0, dim = 0;
  int layer_head = 0, layer_heads = 1;
  std::vector<float> q = {}, k = {};
};

// Rows (tokens, dim) whose products are the weights of values.
struct LinearFeatures {
  std::vector<double> q, k;
  double decay = 1;  // for each token of distance, in the order of the sequence
};

class LinearForm {
 public:
  virtual ~LinearForm() = default;
  virtual LinearFeatures Of(const LinearHead& head) const = 0;  // thread-safe
};

struct LinearEntry {
  std::string_view name;
  OpAbout about;
  std::span<const OpArg> args;
  std::unique_ptr<const LinearForm> (*bind)(const OpArgs& args);
};

// One for each file of this folder; linear_ops.cc lists them.
extern const LinearEntry kFlow, kLightning, kLightNet;

// As an entry of the operators' table. `entry` must outlive it.
std::unique_ptr<const AttentionOp> LinearAttention(const LinearEntry& entry);

// The rows of the table.
const std::vector<const AttentionOp*>& LinearOps();

}  // namespace fovea
