// Matrix products x Wᵀ that use the weights where the file has them, in the file's type.
//
// A panel of W (32 outputs by up to 256 inputs) is widened and transposed into the first-level
// cache, where it serves up to 480 rows of x. So no weight needs a second copy, and the cost of
// widening is shared by many rows. Each further format of weights is one more case of `WeightRows`.
//
// A row's result does not depend on the other rows, on their number or on the threads. The sum over
// the inputs is cut into blocks whose size is a function of the number of inputs. Within a block,
// terms are added one after the other with the same instruction for every row; then the blocks'
// sums are added in order.
#pragma once

#include <cstdint>

#include "tensor/backend.h"

namespace fovea {

// What is multiplied and how it is summed.
enum class Arithmetic : uint8_t {
  kF32,   // f32 multiply-adds
  kBF16,  // pairs of bf16 are multiplied and summed in f32
};

// Where the weights lie: (out, in), dense rows of f32, f16 or bf16, aligned to their elements. A
// format of blocks joins as one more dtype here and one more case where a strip is packed.
struct WeightRows {
  const void* data;
  DType dtype;
  int64_t out, in;
};

// Sizes of one product and how it is divided. Results depend on `in` and `arithmetic` alone.
class PanelPlan {
 public:
  static constexpr int64_t kStrip = 32;              // outputs that are packed side by side
  static constexpr int64_t kMaxSteps = 256;          // four-byte steps of the sum in a panel
  static constexpr int64_t kPitch = kMaxSteps + 16;  // of copied rows; no multiple of 4096 bytes
  static constexpr int64_t kRows = 96;        // of x that are multiplied by a panel in one call
  static constexpr int64_t kBlockRows = 480;  // of x that a panel serves

  PanelPlan(int64_t rows, int64_t in, int64_t out, Arithmetic arithmetic, int threads);

  int64_t BlockRows() const { return rows < kBlockRows ? rows : kBlockRows; }
  int64_t SumWords() const;
  // Rows of weights that become bf16 before they are transposed.
  int64_t ConvertedWords() const { return arithmetic == Arithmetic::kBF16 ? 16 * kPitch : 0; }
  // Scratch of one part, in four-byte words; and of all, in bytes, to be 64-byte aligned.
  int64_t ThreadWords() const;
  int64_t ScratchBytes() const { return row_parts * strip_parts * ThreadWords() * 4; }

  int64_t rows, in, out;
  Arithmetic arithmetic;
  int64_t steps, blocks, depth;    // of the whole sum; blocks of it, each of up to `depth` steps
  int64_t strips, strips_at_once;  // at once: whose sums of several blocks are kept
  int64_t row_unit;                // rows are divided among threads in these units
  int64_t row_parts, strip_parts;  // row_parts * strip_parts threads at the most
};

// Arguments as Backend::Linear; rows of x and out may have any strides. f32 arithmetic takes x in
// f32 or bf16, bf16 arithmetic takes x in bf16. `scratch` has plan.ScratchBytes(), 64-byte aligned.
// Parallel over ParallelFor.
void PanelProductCpu(const PanelPlan& plan, const Tensor& x, const WeightRows& weights,
                     const Tensor& bias, const Epilogue& epilogue, void* scratch,
                     const Tensor& out);

// Memory that is read soon: an inner loop asks for some of it now and then.
class Upcoming {
 public:
  // `rows` rows of `bytes` bytes, `pitch` bytes apart, over `calls` calls of Some.
  void Set(const void* first, int64_t pitch, int64_t rows, int64_t bytes, int64_t calls) {
    row_ = static_cast<const char*>(first);
    pitch_ = pitch;
    rows_ = rows;
    bytes_ = bytes;
    at_ = 0;
    lines_ = (rows * ((bytes + 63) / 64) + calls - 1) / calls;
  }
  void Some() {
    for (int64_t i = 0; i < lines_ && rows_ > 0; ++i) {
      __builtin_prefetch(row_ + at_, 0, 2);
      at_ += 64;
      if (at_ >= bytes_) {
        at_ = 0;
        row_ += pitch_;
        --rows_;
      }
    }
  }

 private:
  const char* row_ = nullptr;
  int64_t pitch_ = 0, rows_ = 0, bytes_ = 0, at_ = 0, lines_ = 0;
};

// The inner loop, chosen once a product: c (rows, kStrip) (+)= a b over `steps` steps. Rows of a
// are kPitch words apart, steps of b and rows of c kStrip words. `fresh`: c is overwritten. Words
// are f32 or pairs of bf16; at most kRows rows.
using PanelMultiply = void (*)(const float* a, int64_t rows, const float* b, int64_t steps,
                               bool fresh, Upcoming& upcoming, float* c);
// Null where the processor lacks bf16 arithmetic.
PanelMultiply Bf16PanelMultiply();

}  // namespace fovea
