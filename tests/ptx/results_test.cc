// What instructions give: fragments of matrices against the documented tables, arithmetic against
// the host's, lanes that part and meet again.
#include <bit>
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "tests/ptx/half.h"
#include "tests/ptx/small_kernel.h"
#include "tests/support/worst.h"

namespace fovea::ptx {
namespace {

// Which element of its matrix is the `half` of register `r` of a lane? From the tables of the PTX
// manual (docs.nvidia.com, "Matrix Fragments for mma.m16n8k8" and "... m16n8k16").
struct Element {
  int row, column;
};
struct Fragments {
  std::string name;
  int k;
  int a_registers, b_registers;
  Element (*a)(int lane, int r, int half);
  Element (*b)(int lane, int r, int half);
  float (*value)(uint32_t bits);
  uint32_t (*bits)(float value);
  bool pairs;
};

Element A16(int lane, int r, int half) {
  const int row = r == 0 || r == 2 ? lane / 4 : lane / 4 + 8;
  return {row, r < 2 ? lane % 4 * 2 + half : lane % 4 * 2 + half + 8};
}
Element B16(int lane, int r, int half) {
  return {r == 0 ? lane % 4 * 2 + half : lane % 4 * 2 + half + 8, lane / 4};
}
Element ATf32(int lane, int r, int) {
  return {r == 0 || r == 2 ? lane / 4 : lane / 4 + 8, r < 2 ? lane % 4 : lane % 4 + 4};
}
Element BTf32(int lane, int r, int) {
  return {r == 0 ? lane % 4 : lane % 4 + 4, lane / 4};
}
float OfTf32(uint32_t bits) {
  return std::bit_cast<float>(bits);
}
uint32_t RoundTf32(float x) {
  return std::bit_cast<uint32_t>(x) & 0xffffe000u;
}

const Fragments kForms[] = {
    {"m16n8k16.row.col.f32.bf16.bf16.f32", 16, 4, 2, A16, B16, FromBf16, ToBf16, true},
    {"m16n8k16.row.col.f32.f16.f16.f32", 16, 4, 2, A16, B16, FromF16, ToF16, true},
    {"m16n8k8.row.col.f32.bf16.bf16.f32", 8, 2, 1, A16, B16, FromBf16, ToBf16, true},
    {"m16n8k8.row.col.f32.f16.f16.f32", 8, 2, 1, A16, B16, FromF16, ToF16, true},
    {"m16n8k8.row.col.f32.tf32.tf32.f32", 8, 4, 2, ATf32, BTf32, OfTf32, RoundTf32, false}};

TEST_CASE("ptx results: mma multiplies matrices spread as the manual says") {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal;
  for (const Fragments& form : kForms) {
    INFO(form.name);
    float a[16][16], b[16][8], c[16][8];
    for (auto& row : a) {
      for (float& x : row) x = form.value(form.bits(normal(generator)));
    }
    for (auto& row : b) {
      for (float& x : row) x = form.value(form.bits(normal(generator)));
    }
    for (auto& row : c) {
      for (float& x : row) x = normal(generator);
    }
    std::vector<uint32_t> in(32 * 10);
    const auto pack = [&](const auto& matrix, Element (*at)(int, int, int), int lane, int r) {
      const Element low = at(lane, r, 0), high = at(lane, r, 1);
      const uint32_t bits = form.bits(matrix[low.row][low.column]);
      return form.pairs ? bits | form.bits(matrix[high.row][high.column]) << 16 : bits;
    };
    for (int lane = 0; lane < 32; ++lane) {
      uint32_t* words = &in[static_cast<size_t>(lane) * 10];
      for (int r = 0; r < form.a_registers; ++r) words[r] = pack(a, form.a, lane, r);
      for (int r = 0; r < form.b_registers; ++r) words[4 + r] = pack(b, form.b, lane, r);
      for (int r = 0; r < 4; ++r) {
        words[6 + r] = std::bit_cast<uint32_t>(c[lane / 4 + (r < 2 ? 0 : 8)][lane % 4 * 2 + r % 2]);
      }
    }
    std::string body = "mul.wide.u32 %d6, %r1, 40; add.s64 %d6, %d1, %d6;";
    for (int r = 0; r < 10; ++r) {
      body +=
          "ld.global.u32 %r" + std::to_string(10 + r) + ", [%d6+" + std::to_string(4 * r) + "];";
    }
    const bool full = form.a_registers == 4;
    body += "mma.sync.aligned." + form.name + " {%f0, %f1, %f2, %f3}, " +
            (full ? "{%r10, %r11, %r12, %r13}, {%r14, %r15}" : "{%r10, %r11}, {%r14}") +
            ", {%r16, %r17, %r18, %r19};"
            "mul.wide.u32 %d7, %r1, 16; add.s64 %d7, %d2, %d7;"
            "st.global.v4.f32 [%d7], {%f0, %f1, %f2, %f3};";
    const SmallRun run = RunSmall(body, in, 128, 32);
    REQUIRE(run.error == "");
    CHECK(run.counters.matrix_products == 1);
    Worst worst;
    for (int lane = 0; lane < 32; ++lane) {
      for (int r = 0; r < 4; ++r) {
        const int row = lane / 4 + (r < 2 ? 0 : 8), column = lane % 4 * 2 + r % 2;
        double want = c[row][column];
        for (int k = 0; k < form.k; ++k) want += double{a[row][k]} * b[k][column];
        const float got = std::bit_cast<float>(run.out[static_cast<size_t>(lane * 4 + r)]);
        worst.Add(got, want, std::max(1.0, std::fabs(want)));
      }
    }
    CHECK(worst.Value() <= 4e-6);
  }
}

TEST_CASE("ptx results: ldmatrix gives each lane its two elements of a row, or of a column") {
  // 32 rows of 8 halves, 80 bytes apart; row 8i + j of matrix i holds 64 i + 8 j + column.
  std::vector<uint32_t> rows(32 * 4);
  for (uint32_t row = 0; row < 32; ++row) {
    for (uint32_t pair = 0; pair < 4; ++pair) {
      const uint32_t first = row * 8 + pair * 2;
      rows[row * 4 + pair] = first | (first + 1) << 16;
    }
  }
  const std::string fill =
      "mul.lo.s32 %r2, %r1, 80; mov.u32 %r3, sm; add.s32 %r3, %r3, %r2; mul.wide.u32 %d6, %r1, 16;"
      "add.s64 %d6, %d1, %d6; ld.global.v4.u32 {%r4,%r5,%r6,%r7}, [%d6];"
      "st.shared.v4.u32 [%r3], {%r4,%r5,%r6,%r7}; bar.warp.sync -1; mul.wide.u32 %d7, %r1, 16;"
      "add.s64 %d7, %d2, %d7;";
  for (const int count : {1, 2, 4}) {
    for (const bool transposed : {false, true}) {
      INFO(count << " matrices, transposed " << transposed);
      std::string to, put;
      for (int i = 0; i < count; ++i) {
        to += (i ? ", %r" : "%r") + std::to_string(10 + i);
        put +=
            "st.global.u32 [%d7+" + std::to_string(4 * i) + "], %r" + std::to_string(10 + i) + ";";
      }
      const SmallRun run =
          RunSmall(fill + "ldmatrix.sync.aligned.m8n8.x" + std::to_string(count) +
                       (transposed ? ".trans" : "") + ".shared.b16 {" + to + "}, [%r3];" + put,
                   rows, 128, 32);
      REQUIRE(run.error == "");
      for (uint32_t lane = 0; lane < 32; ++lane) {
        for (uint32_t i = 0; i < static_cast<uint32_t>(count); ++i) {
          const uint32_t g = lane / 4, t = lane % 4 * 2;
          const uint32_t low = 64 * i + (transposed ? t * 8 + g : g * 8 + t);
          const uint32_t high = 64 * i + (transposed ? (t + 1) * 8 + g : g * 8 + t + 1);
          CHECK(run.out[lane * 4 + i] == (low | high << 16));
        }
      }
    }
  }
}

TEST_CASE("ptx results: lanes part, take turns and meet again") {
  // Sums 0 .. tid by a loop of its own length in each lane, then shuffles together.
  const std::string body =
      "mov.u32 %r2, 0; mov.u32 %r3, 0; LOOP: setp.gt.u32 %p1, %r3, %r1; @%p1 bra DONE;"
      "add.s32 %r2, %r2, %r3; add.s32 %r3, %r3, 1; bra LOOP; DONE:"
      "shfl.sync.bfly.b32 %r4, %r2, 1, 31, -1; st.global.u32 [%d5], %r4;";
  const SmallRun run = RunSmall(body, {0}, 64, 64);
  REQUIRE(run.error == "");
  for (uint32_t i = 0; i < 64; ++i) CHECK(run.out[i] == (i ^ 1) * ((i ^ 1) + 1) / 2);
}

TEST_CASE("ptx results: a value of the first round of a loop is kept through its others") {
  // %r5 is written in the first round alone; %r6 .. %r9 come and go and must not take its place.
  const std::string body =
      "mov.u32 %r3, 0; mov.u32 %r10, 0; LOOP: setp.ne.s32 %p1, %r3, 0; @%p1 bra NEXT;"
      "ld.global.u32 %r5, [%d4]; NEXT: add.s32 %r6, %r3, 100; add.s32 %r7, %r6, 1;"
      "add.s32 %r8, %r7, 1; add.s32 %r9, %r8, %r5; add.s32 %r10, %r10, %r9;"
      "add.s32 %r3, %r3, 1; setp.lt.s32 %p2, %r3, 3; @%p2 bra LOOP; st.global.u32 [%d5], %r10;";
  std::vector<uint32_t> in(32);
  for (uint32_t i = 0; i < 32; ++i) in[i] = 1000 * i;
  const SmallRun run = RunSmall(body, in, 32, 32);
  REQUIRE(run.error == "");
  for (uint32_t i = 0; i < 32; ++i) CHECK(run.out[i] == 3 * (1000 * i + 102) + 3);
}

TEST_CASE("ptx results: labels and registers of an inner scope are its own") {
  const std::string twice =
      "{ .reg .pred q; .reg .b32 x; mov.u32 x, 0; WAIT: add.s32 x, x, 1; setp.lt.u32 q, x, 3;"
      "@q bra WAIT; add.s32 %r2, %r2, x; }";
  const SmallRun run =
      RunSmall("mov.u32 %r2, 0;" + twice + twice + "st.global.u32 [%d5], %r2;", {0}, 1, 1);
  REQUIRE(run.error == "");
  CHECK(run.out[0] == 6);
}

TEST_CASE("ptx results: shuffles, votes and their predicates") {
  const auto shuffle = [](const std::string& form) {
    return RunSmall("shfl.sync." + form +
                        ", -1; selp.b32 %r3, 1000, 0, %p1; add.s32 %r2, %r2, %r3;"
                        "st.global.u32 [%d5], %r2;",
                    {0}, 32, 32)
        .out;
  };
  CHECK(shuffle("up.b32 %r2|%p1, %r1, 1, 0")[5] == 1004);
  CHECK(shuffle("up.b32 %r2|%p1, %r1, 1, 0")[0] == 0);
  CHECK(shuffle("down.b32 %r2|%p1, %r1, 2, 31")[5] == 1007);
  CHECK(shuffle("down.b32 %r2|%p1, %r1, 2, 31")[31] == 31);
  CHECK(shuffle("idx.b32 %r2|%p1, %r1, 9, 31")[20] == 1009);
  CHECK(shuffle("idx.b32 %r2|%p1, %r1, 1, 6175")[20] == 1017);  // segments of 8: 0x181f
  const SmallRun vote = RunSmall(
      "setp.lt.u32 %p1, %r1, 3; vote.sync.ballot.b32 %r2, %p1, -1;"
      "vote.sync.any.pred %p2, %p1, -1; vote.sync.all.pred %p3, %p1, -1;"
      "selp.b32 %r3, 100, 0, %p2; selp.b32 %r4, 1000, 0, %p3; add.s32 %r2, %r2, %r3;"
      "add.s32 %r2, %r2, %r4; st.global.u32 [%d5], %r2;",
      {0}, 32, 32);
  REQUIRE(vote.error == "");
  CHECK(vote.out[17] == 107);
}

// One instruction with two words of input; the word that it gives.
uint32_t Evaluate(const std::string& instruction, uint32_t a, uint32_t b = 0) {
  const SmallRun run = RunSmall(
      "ld.global.u32 %r2, [%d1]; ld.global.u32 %r3, [%d1+4]; mov.b32 %f2, %r2; mov.b32 %f3, %r3;"
      "cvt.u16.u32 %h2, %r2; cvt.s64.s32 %d6, %r2;" +
          instruction + "; st.global.u32 [%d2], %r4;",
      {a, b}, 1, 1);
  INFO(instruction << ": " << run.error);
  REQUIRE(run.error == "");
  return run.out[0];
}
float EvaluateFloat(const std::string& instruction, float a, float b = 0) {
  return std::bit_cast<float>(Evaluate(instruction + "; mov.b32 %r4, %f4",
                                       std::bit_cast<uint32_t>(a), std::bit_cast<uint32_t>(b)));
}

TEST_CASE("ptx results: arithmetic at its edges") {
  CHECK(Evaluate("div.s32 %r4, %r2, %r3", static_cast<uint32_t>(-7), 2) ==
        static_cast<uint32_t>(-3));
  CHECK(Evaluate("rem.s32 %r4, %r2, %r3", static_cast<uint32_t>(-7), 2) ==
        static_cast<uint32_t>(-1));
  CHECK(Evaluate("mul.hi.u32 %r4, %r2, %r3", 0x80000000, 6) == 3);
  CHECK(Evaluate("mad.lo.s32 %r4, %r2, %r3, 5", 7, 9) == 68);
  CHECK(Evaluate("shr.s32 %r4, %r2, 40", 0x80000000) == 0xffffffff);
  CHECK(Evaluate("shl.b32 %r4, %r2, 32", 1) == 0);
  CHECK(Evaluate("bfe.s32 %r4, %r2, 4, 4", 0xf0) == 0xffffffff);
  CHECK(Evaluate("bfi.b32 %r4, %r3, %r2, 8, 8", 0x11223344, 0xab) == 0x1122ab44);
  CHECK(Evaluate("prmt.b32 %r4, %r2, %r3, 0x5410", 0x33221100, 0x77665544) == 0x55441100);
  CHECK(Evaluate("shf.l.wrap.b32 %r4, %r2, %r3, 8", 0xaabbccdd, 0x11223344) == 0x223344aa);
  CHECK(Evaluate("cvt.s32.s16 %r4, %h2", 0xfffe) == 0xfffffffe);
  CHECK(Evaluate("cvt.u32.u16 %r4, %h2", 0x1fffe) == 0xfffe);
  CHECK(Evaluate("cvt.u32.u64 %r4, %d6", 77) == 77);
  CHECK(Evaluate("mov.b64 {%r5, %r4}, %d6", static_cast<uint32_t>(-1)) == 0xffffffff);
  CHECK(Evaluate("cvt.rzi.s32.f32 %r4, %f2", std::bit_cast<uint32_t>(-2.7f)) ==
        static_cast<uint32_t>(-2));
  CHECK(Evaluate("cvt.rni.s32.f32 %r4, %f2", std::bit_cast<uint32_t>(1e20f)) == 0x7fffffff);
  CHECK(Evaluate("cvt.rn.bf16x2.f32 %r4, %f2, %f3", std::bit_cast<uint32_t>(1.f),
                 std::bit_cast<uint32_t>(2.f)) == 0x3f804000);
  CHECK(EvaluateFloat("max.f32 %f4, %f2, %f3", NAN, 2) == 2);
  CHECK(EvaluateFloat("min.f32 %f4, %f2, %f3", -1, NAN) == -1);
  CHECK(EvaluateFloat("copysign.f32 %f4, %f3, %f2", 3, -1) == -3);
  CHECK(EvaluateFloat("cvt.sat.f32.f32 %f4, %f2", NAN) == 0);
  CHECK(EvaluateFloat("ex2.approx.ftz.f32 %f4, %f2", -INFINITY) == 0);
  // 1 + 2^-24 lies between two floats; down is 1, and below -1 it is the next.
  CHECK(EvaluateFloat("fma.rm.f32 %f4, %f2, 0f3F800000, %f3", 5.9604645e-8f, 1) == 1);
  CHECK(EvaluateFloat("fma.rm.f32 %f4, %f2, 0f3F800000, %f3", -1e-20f, 1) ==
        std::nextafter(1.f, 0.f));
  CHECK(EvaluateFloat("cvt.f32.f16 %f4, %h2", std::bit_cast<float>(0x3e00u)) == 1.5f);
}

}  // namespace
}  // namespace fovea::ptx
