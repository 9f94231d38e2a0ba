// The one wrapper of oneDNN: matrix products and convolutions as cached primitives.
//
// Works with oneDNN 2.6 and with 3; what differs between them is in onednn.cc. Scratch memory is
// the caller's, so that it can come from the arena and a dry run can count it. One thread at a
// time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <vector>

#include "tensor/backend.h"

namespace fovea::onednn {

// How a primitive wants its weights: dtype, padded extents, blocking. Comparable.
using Layout = dnnl::memory::desc;

DType ElementType(const Layout& layout);  // f32, bf16 or f16
int NumAxes(const Layout& layout);

// Where the elements lie: offset(i0, i1, ..) = sum of Offsets(layout, axis)[i], in elements.
// Blocked layouts split every index into digits with one stride each, so offsets of axes add up.
std::vector<int64_t> Offsets(const Layout& layout, int axis);

// What to compute after the sum of products: act(y + bias) + out.
struct PostOps {
  bool bias = false;
  Act act = Act::kNone;
  bool accumulate = false;  // adds what `out` holds
};

struct MatmulSpec {  // (rows, in) by (out, in) -> (rows, out)
  int64_t rows, in, out, x_stride, out_stride;
  DType dtype;
  PostOps post;
};

struct ConvSpec {  // (n,h,w,in), dense -> (n,H,W,out), dense
  int64_t n, h, w, in, out, kh, kw, out_h, out_w;
  Conv2dParams params;
  DType dtype;
  PostOps post;
};

class Primitive {
 public:
  Primitive(dnnl::primitive primitive, const dnnl::engine& engine, Layout x, Layout weights,
            Layout bias, Layout out, Layout scratch, std::string implementation);

  const Layout& Weights() const { return weights_layout_; }
  int64_t ScratchBytes() const { return scratch_bytes_; }
  const std::string& Implementation() const { return implementation_; }
  // Not the reference loops, which are a hundred times slower.
  bool Fast() const;
  void Run(const dnnl::stream& stream, const void* x, const void* weights, const void* bias,
           void* scratch, void* out);

 private:
  dnnl::primitive primitive_;
  Layout weights_layout_;
  int64_t scratch_bytes_;
  std::string implementation_;
  dnnl::memory x_, weights_, bias_, out_, scratch_;
  std::vector<dnnl_exec_arg_t> args_;
};

class Library {
 public:
  Library();

  // Weights as the checkpoint has them, (out, in) dense f32 or bf16, or in a layout of oneDNN's
  // choice (`weights` null), or in the layout given. Null if oneDNN refuses.
  std::shared_ptr<Primitive> Matmul(const MatmulSpec& spec, const Layout* weights);
  std::shared_ptr<Primitive> Conv2d(const ConvSpec& spec, const Layout* weights);
  // (out, in) dense, for Matmul.
  static Layout PlainMatmulWeights(int64_t out, int64_t in, DType dtype);
  // (out / 16, 3, 3, in, 16), for Winograd's algorithm; f16 too.
  static Layout WinogradFilters(int64_t out, int64_t in, DType dtype);
  // (out, 3, 3, in), f32, for convolutions to a few channels.
  static Layout NarrowFilters(int64_t out, int64_t in);

  void Run(Primitive& primitive, const void* x, const void* weights, const void* bias,
           void* scratch, void* out);

 private:
  using Key = std::array<int64_t, 24>;
  template <class Make>
  std::shared_ptr<Primitive> Cached(const Key& key, Make make);
  int64_t LayoutNumber(const Layout* layout);

  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<Layout> layouts_;  // numbered, for the keys of the cache
  std::map<Key, std::shared_ptr<Primitive>> cache_;
};

}  // namespace fovea::onednn
