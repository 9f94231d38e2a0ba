// Faults planted in small kernels: each must be named, and its repair must pass.
#include <catch2/catch.hpp>

#include "tests/ptx/small_kernel.h"

namespace fovea::ptx {
namespace {

using Catch::Contains;

std::vector<uint32_t> Count(size_t n) {
  std::vector<uint32_t> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = static_cast<uint32_t>(i);
  return v;
}

// Each thread stores its number and reads that of thread ^ `partner`.
std::string Exchange(int partner, const std::string& between) {
  return "shl.b32 %r2, %r1, 2; mov.u32 %r3, sm; add.s32 %r4, %r3, %r2; st.shared.u32 [%r4], %r1; " +
         between + " xor.b32 %r5, %r1, " + std::to_string(partner) +
         "; shl.b32 %r5, %r5, 2; add.s32 %r5, %r3, %r5; ld.shared.u32 %r6, [%r5]; "
         "st.global.u32 [%d5], %r6;";
}

TEST_CASE("ptx faults: shared memory without a barrier is a race between warps") {
  const SmallRun right = RunSmall(Exchange(32, "bar.sync 0;"), {0}, 64, 64);
  CHECK(right.error == "");
  CHECK(right.out[3] == 35);
  CHECK(right.out[40] == 8);
  for (const WarpOrder order : {WarpOrder::kForward, WarpOrder::kReverse, WarpOrder::kShuffled}) {
    LaunchOptions options;
    options.order = order;
    const SmallRun wrong = RunSmall(Exchange(32, ""), {0}, 64, 64, options);
    // The first warp reads what nothing wrote; a later one what was written without a barrier.
    CHECK_THAT(wrong.error, Contains("which nothing wrote") || Contains("race: reads"));
    CHECK(RunSmall(Exchange(32, "bar.sync 0;"), {0}, 64, 64, options).out == right.out);
  }
}

TEST_CASE("ptx faults: lanes of one warp need bar.warp.sync") {
  CHECK_THAT(RunSmall(Exchange(1, ""), {0}, 32, 32).error,
             Contains("of the same warp with no __syncwarp"));
  const SmallRun right = RunSmall(Exchange(1, "bar.warp.sync -1;"), {0}, 32, 32);
  CHECK(right.error == "");
  CHECK(right.out[6] == 7);
}

TEST_CASE("ptx faults: a write after another warp's read needs a barrier") {
  const std::string read_then_write = Exchange(32, "bar.sync 0;");
  const std::string write = "setp.ge.u32 %p1, %r1, 32; @%p1 st.shared.u32 [%r4], %r6;";
  CHECK_THAT(RunSmall(read_then_write + write, {0}, 64, 64).error,
             Contains("race: writes shared byte") && Contains("read by warp 0"));
  CHECK(RunSmall(read_then_write + "bar.sync 0;" + write, {0}, 64, 64).error == "");
}

// 16 bytes a thread into shared memory; reads its own first word back.
std::string CopyIn(const std::string& wait) {
  return "mul.wide.u32 %d6, %r1, 16; add.s64 %d6, %d1, %d6; shl.b32 %r2, %r1, 4; mov.u32 %r3, sm; "
         "add.s32 %r3, %r3, %r2; cp.async.cg.shared.global [%r3], [%d6], 16; "
         "cp.async.commit_group; " +
         wait + " ld.shared.u32 %r4, [%r3]; st.global.u32 [%d5], %r4;";
}

TEST_CASE("ptx faults: cp.async is not there before its group was waited for") {
  const SmallRun right = RunSmall(CopyIn("cp.async.wait_group 0;"), Count(128), 32, 32);
  CHECK(right.error == "");
  CHECK(right.out[5] == 20);
  CHECK_THAT(RunSmall(CopyIn(""), Count(128), 32, 32).error, Contains("was not waited for"));
  CHECK_THAT(RunSmall(CopyIn("cp.async.wait_group 1;"), Count(128), 32, 32).error,
             Contains("was not waited for"));
  LaunchOptions unchecked;
  unchecked.check = false;
  CHECK(RunSmall(CopyIn("cp.async.wait_group 1;"), Count(128), 32, 32, unchecked).out[5] == ~0u);
  // A later group, empty or not, moves the count on.
  CHECK(
      RunSmall(CopyIn("cp.async.commit_group; cp.async.wait_group 1;"), Count(128), 32, 32).error ==
      "");
}

TEST_CASE("ptx faults: a copy's end is filled with zeros") {
  const std::string body =
      "mov.u32 %r3, sm; mov.u32 %r5, 8; cp.async.cg.shared.global [%r3], [%d1], 16, %r5; "
      "cp.async.wait_all; ld.shared.v4.u32 {%r6, %r7, %r8, %r9}, [%r3]; "
      "st.global.v4.u32 [%d2], {%r6, %r7, %r8, %r9};";
  const SmallRun run = RunSmall(body, {5, 6}, 4, 1);
  CHECK(run.error == "");
  CHECK(run.out == std::vector<uint32_t>{5, 6, 0, 0});
}

TEST_CASE("ptx faults: places outside of buffers and misaligned ones") {
  CHECK_THAT(RunSmall("ld.global.u32 %r2, [%d4+128];", Count(32), 1, 32).error,
             Contains("reads 4 bytes 128 bytes into buffer in of 128"));
  CHECK_THAT(RunSmall("st.global.u32 [%d5], %r1;", {0}, 31, 32).error,
             Contains("lane 31") && Contains("buffer out"));
  CHECK_THAT(RunSmall("ld.global.u32 %r2, [%d1+2];", Count(32), 1, 1).error,
             Contains("misaligned"));
  CHECK_THAT(RunSmall("ld.global.v4.u32 {%r2,%r3,%r4,%r5}, [%d1+8];", Count(32), 1, 1).error,
             Contains("misaligned"));
  CHECK_THAT(RunSmall("mov.u32 %r3, sm; st.shared.u32 [%r3+4096], %r1;", {0}, 1, 1).error,
             Contains("writes shared memory [4096, 4100) of 4096"));
  CHECK_THAT(RunSmall("mov.u32 %r3, sm; ld.shared.u32 %r1, [%r3];", {0}, 1, 1).error,
             Contains("which nothing wrote"));
}

TEST_CASE("ptx faults: barriers that some threads miss") {
  CHECK_THAT(RunSmall("setp.lt.u32 %p1, %r1, 7; @%p1 bar.sync 0;", {0}, 1, 32).error,
             Contains("takes no part"));
  CHECK_THAT(RunSmall("setp.lt.u32 %p1, %r1, 32; @%p1 ret; bar.sync 0;", {0}, 1, 64).error,
             Contains("deadlock"));
  CHECK_THAT(RunSmall("setp.lt.u32 %p1, %r1, 9; @%p1 bra A; bra B; A: "
                      "shfl.sync.bfly.b32 %r2, %r1, 1, 31, -1; B: mov.u32 %r3, %r1;",
                      {0}, 1, 32)
                 .error,
             Contains("not every lane of the member mask"));
  LaunchOptions short_patience;
  short_patience.max_instructions = 1000;
  CHECK_THAT(RunSmall("A: bra A;", {0}, 1, 32, short_patience).error, Contains("runs too long"));
}

TEST_CASE("ptx faults: two blocks that write one place") {
  const std::string race = "st.global.u32 [%d5], %r1;";
  CHECK_THAT(RunSmall(race, {0}, 32, 32, {}, 2).error, Contains("race") && Contains("block"));
  CHECK(RunSmall(race, {0}, 32, 32, {}, 1).error == "");
}

TEST_CASE("ptx faults: what is not known is refused before anything runs") {
  for (const std::string body :
       {"frobnicate.b32 %r2, %r3;", "add.sat.s32 %r2, %r3, %r4;", "ld.global.v8.u32 %r2, [%d1];",
        "mma.sync.aligned.m8n8k4 %r2;", "add.s32 %r2, %r3;", "add.s32 %d2, %r3, %r4;",
        "bra NOWHERE;", "mov.u32 %r2, %clock;", "add.s32 %r2, %p1, %r3;",
        "cp.async.cg.shared.global [%r2], [%d1], 8;"}) {
    INFO(body);
    CHECK(RunSmall(body, {0}, 1, 1).error != "");
  }
}

TEST_CASE("ptx counters: bank conflicts and scattered sectors are counted") {
  const auto shared = [](int stride) {
    return RunSmall("mul.lo.s32 %r2, %r1, " + std::to_string(stride) +
                        "; mov.u32 %r3, sm; add.s32 %r3, %r3, %r2; st.shared.u32 [%r3], %r1;",
                    {0}, 1, 32)
        .counters;
  };
  CHECK(shared(4).shared_wavefronts == 1);
  CHECK(shared(8).shared_wavefronts == 2);
  CHECK(shared(128).shared_wavefronts == 32);
  CHECK(shared(128).shared_ideal == 1);
  const auto global = [](int stride) {
    return RunSmall("mul.wide.u32 %d6, %r1, " + std::to_string(stride) +
                        "; add.s64 %d6, %d1, %d6; ld.global.u32 %r2, [%d6];",
                    Count(1024), 1, 32)
        .counters;
  };
  CHECK(global(4).global_sectors == 4);
  CHECK(global(4).global_ideal == 4);
  CHECK(global(32).global_sectors == 32);
  CHECK(global(32).global_bytes == 128);
}

}  // namespace
}  // namespace fovea::ptx
