// Kernels of a few lines for the interpreter's tests, written as PTX: they need no nvcc.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "tests/ptx/launch.h"

namespace fovea::ptx {

// Around `body`: %d1 and %d2 are the addresses of in and out, %r1 the thread, %d4 and %d5 the
// thread's own 4 bytes of them. Free: %p, %h (16 bits), %r2.., %f, %d6..; sm has 4096 bytes.
inline std::string SmallKernel(const std::string& body) {
  return R"(
.version 9.0
.target sm_80
.address_size 64
.visible .entry small(.param .u64 in, .param .u64 out)
.maxntid 256, 1, 1
{
  .reg .pred %p<8>;
  .reg .b16 %h<16>;
  .reg .b32 %r<64>;
  .reg .f32 %f<64>;
  .reg .b64 %d<32>;
  .shared .align 16 .b8 sm[4096];
  ld.param.u64 %d1, [in];
  ld.param.u64 %d2, [out];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %d3, %r1, 4;
  add.s64 %d4, %d1, %d3;
  add.s64 %d5, %d2, %d3;
)" + body +
         "\n  ret;\n}\n";
}

struct SmallRun {
  std::vector<uint32_t> out;
  Counters counters;
  std::string error;  // what the interpreter found, or empty
};

// `in` may be touched as it is; out has `out_words` words of ones.
inline SmallRun RunSmall(const std::string& body, const std::vector<uint32_t>& in, size_t out_words,
                         uint32_t threads, const LaunchOptions& options = {}, uint32_t blocks = 1) {
  SmallRun run;
  run.out.assign(out_words, ~0u);
  try {
    const Kernels kernels = ParsePtx(SmallKernel(body));
    DeviceMemory memory;
    struct alignas(256) Line {
      uint32_t words[64];
    };
    std::vector<Line> aligned(in.size() / 64 + 1);
    std::memcpy(aligned.data(), in.data(), in.size() * 4);
    memory.Add(aligned.data(), in.size() * 4, "in");
    memory.Add(run.out.data(), run.out.size() * 4, "out");
    const void* parameters[] = {aligned.data(), run.out.data()};
    Launch(*kernels.at("small"), memory, {blocks, 1, 1}, {threads, 1, 1}, 0, parameters, options,
           run.counters);
  } catch (const PtxError& error) {
    run.error = error.what();
  }
  return run;
}

}  // namespace fovea::ptx
