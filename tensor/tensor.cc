#include "tensor/tensor.h"

#include <string>

namespace fovea {

Tensor Tensor::Contiguous(void* data, const Shape& shape, DType dtype, DeviceKind device) {
  Tensor t;
  t.data = data;
  t.shape = shape;
  t.dtype = dtype;
  t.device = device;
  int64_t stride = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    t.stride[i] = stride;
    stride *= shape.dim[i];
  }
  return t;
}

bool Tensor::IsContiguous() const {
  int64_t expected = 1;
  for (int i = shape.rank - 1; i >= 0; --i) {
    if (shape.dim[i] == 0) return true;
    if (shape.dim[i] != 1 && stride[i] != expected) return false;
    expected *= shape.dim[i];
  }
  return true;
}

Tensor Tensor::Slice(int axis, int64_t begin, int64_t size) const {
  if (axis < 0) axis += shape.rank;
  ENSURE(axis >= 0 && axis < shape.rank,
         "axis " + std::to_string(axis) + " of " + shape.ToString());
  ENSURE(begin >= 0 && size >= 0 && begin <= shape[axis] - size,
         std::to_string(begin) + "+" + std::to_string(size) + " of " + shape.ToString());
  Tensor t = *this;
  t.data = static_cast<std::byte*>(data) + begin * stride[axis] * int64_t(SizeOf(dtype));
  t.shape[axis] = size;
  return t;
}

Tensor Tensor::Reshape(const Shape& target) const {
  ENSURE(target.NumElements() == NumElements(),
         shape.ToString() + " reshaped to " + target.ToString());
  Tensor t = *this;
  t.shape = target;
  if (NumElements() == 0) return Contiguous(data, target, dtype, device);

  // Walk both shapes from the right in groups of equal element count; each group of ours must be
  // dense in itself, and then has one innermost stride from which the target's strides follow.
  int ours = shape.rank - 1;
  int theirs = target.rank - 1;
  while (theirs >= 0) {
    while (ours >= 0 && shape.dim[ours] == 1) --ours;
    if (ours < 0) {  // only ones are left on both sides
      t.stride[theirs--] = 1;
      continue;
    }
    const int64_t inner = stride[ours];
    int64_t have = shape.dim[ours];
    int64_t dense = inner * shape.dim[ours];
    --ours;
    int64_t want = 1;
    while (want < have || (theirs >= 0 && target.dim[theirs] == 1)) {
      ENSURE(theirs >= 0, shape.ToString() + " reshaped to " + target.ToString());
      t.stride[theirs] = inner * want;
      want *= target.dim[theirs--];
      while (want > have && ours >= 0) {
        if (shape.dim[ours] != 1) {
          ENSURE(stride[ours] == dense, "a view of shape " + shape.ToString() +
                                            " needs a copy to become " + target.ToString());
          have *= shape.dim[ours];
          dense *= shape.dim[ours];
        }
        --ours;
      }
      if (want == have) break;
    }
    ENSURE(want == have, shape.ToString() + " reshaped to " + target.ToString());
  }
  return t;
}

Tensor Tensor::Permute(std::initializer_list<int> axes) const {
  ENSURE(static_cast<int>(axes.size()) == shape.rank, "permutation of " + shape.ToString());
  Tensor t = *this;
  unsigned seen = 0;
  int i = 0;
  for (int axis : axes) {
    ENSURE(axis >= 0 && axis < shape.rank && !(seen & (1u << axis)),
           "permutation of " + shape.ToString());
    seen |= 1u << axis;
    t.shape.dim[i] = shape.dim[axis];
    t.stride[i] = stride[axis];
    ++i;
  }
  return t;
}

}  // namespace fovea
