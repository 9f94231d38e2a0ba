// How a checkpoint names what a model asks for, where its names are not the model's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fovea {

// Where a tensor lies in the file.
struct StoredTensor {
  std::string name;         // of the file's tensor
  int part = 0, parts = 1;  // which of its equal runs of rows (axis 0)
  bool transposed = false;  // it is a matrix, and the model's is its transpose
  bool swapped = false;     // the model has the second half of its rows first
  int count = 1;            // of the parts, from that one on

  bool operator==(const StoredTensor&) const = default;
};

class TensorNames {
 public:
  virtual ~TensorNames() = default;
  // Where the model's `tensor` may lie, in order of preference; empty: such files never have it.
  virtual std::vector<StoredTensor> Find(std::string_view tensor) const = 0;
  // Whether a tensor of the file belongs to this component at all.
  virtual bool Owns(std::string_view file_tensor) const = 0;
  // Whether such a tensor may be left unread.
  virtual bool Excuses(std::string_view file_tensor) const = 0;
};

}  // namespace fovea
