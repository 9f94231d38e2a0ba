// Are the tests of kernels able to fail? Faults are planted in what nvcc wrote of the attention
// kernel, one at a time: each must be named by a check, or seen in the numbers.
#include "attention/kernels/tile/tile_attention.h"
#include "tests/ptx/cuda_op_test.h"
#include "tests/reference/reference_attention.h"

namespace fovea::ptx {
namespace {

// The text of one kernel between its name and the next one's.
struct KernelText {
  size_t begin, end;
};
KernelText Find(const std::string& text, const std::string& kernel) {
  const size_t begin = text.find(".entry " + kernel + "(");
  REQUIRE(begin != std::string::npos);
  return {begin, std::min(text.find(".entry ", begin + 8), text.size())};
}

// The `which`-th `from` of the kernel becomes `to`.
std::string Replace(std::string text, const std::string& kernel, const std::string& from, int which,
                    const std::string& to) {
  const KernelText range = Find(text, kernel);
  size_t at = range.begin;
  for (int i = 0; i <= which; ++i) {
    at = text.find(from, i == 0 ? at : at + 1);
    REQUIRE(at < range.end);
  }
  return text.replace(at, from.size(), to);
}

struct Outcome {
  std::string error;
  double distance = 0;  // relative L2
};

Outcome Attend(const std::function<std::string(std::string)>& change, bool check) {
  CudaOpTest test;
  TheEmulated().options.check = check;
  TheEmulated().change = [&](const std::string& image, std::string text) {
    return image == "tile_core" ? change(std::move(text)) : text;
  };
  const HostTensor q = Random({1, 200, 1, 64}, DType::kBF16, 1),
                   k = Random(q.shape(), q.dtype(), 2);
  const HostTensor v = Random(q.shape(), q.dtype(), 3);
  const auto sees = [](int64_t, int64_t j) { return j < 190; };
  const TileMap map = [] {
    TileMap dense = DenseTileMap(200, 200, false);
    // Keys 190 and 191 lie in the third tile, keys from 192 on in the fourth.
    TileMask third;
    third.fill(~uint64_t{0});
    third[62] = third[63] = 0;
    dense.masks = {third};
    dense.visits = {{0, -1}, {1, -1}, {2, 0}};
    dense.rows.assign(dense.q.tiles.size(), TileMap::Row{0, 3});
    return dense;
  }();
  const auto want = reference::Attention(q.View(), k.View(), v.View(), 0.125, sees);
  Outcome outcome;
  try {
    const Tensor out = test.Out(q.shape(), DType::kBF16);
    TileAttention(test.ctx, map, 0.125f, {test.Put(q), test.Put(k), test.Put(v), out});
    const Reference got = Reference::Of(test.Get(out).View());
    double square = 0, norm = 0;
    for (size_t i = 0; i < want.out.size(); ++i) {
      square += (got.v[i] - want.out[i]) * (got.v[i] - want.out[i]);
      norm += want.out[i] * want.out[i];
    }
    outcome.distance = std::sqrt(square / norm);
  } catch (const Error& error) {
    outcome.error = error.what();
  }
  TheEmulated().Clear();
  return outcome;
}

constexpr char kKernel[] = "tile_core_64_bf16";

TEST_CASE("ptx planted: the kernel as it is passes") {
  FOVEA_NEEDS_KERNELS();
  FOVEA_EMULATED_ONLY();
  const Outcome right = Attend([](std::string text) { return text; }, true);
  CHECK(right.error == "");
  CHECK(right.distance <= 4e-3);
}

TEST_CASE("ptx planted: each missing barrier and each wait of one too many is named") {
  FOVEA_NEEDS_KERNELS();
  FOVEA_EMULATED_ONLY();
  // Keys landed; values landed; the stage is free; rows may be written, which the barrier before
  // orders already where there was a visit; rows are written.
  for (const int barrier : {0, 1, 2, 4}) {
    INFO("barrier " << barrier);
    const auto change = [&](std::string text) {
      return Replace(std::move(text), kKernel, "bar.sync \t0;", barrier, "");
    };
    CHECK_THAT(Attend(change, true).error,
               Catch::Contains("race") || Catch::Contains("not waited for"));
  }
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"wait_group 3", "wait_group 4"},
        {"wait_group 2", "wait_group 3"}}) {
    INFO(from << " as " << to);
    const auto change = [&, from = from, to = to](std::string text) {
      return Replace(std::move(text), kKernel, from, 0, to);
    };
    CHECK_THAT(Attend(change, true).error, Catch::Contains("not waited for"));
    // Unchecked, late data is seen as what lay there before: NaN, or an older tile.
    CHECK_FALSE(Attend(change, false).distance <= 0.1);
  }
}

TEST_CASE("ptx planted: wrong places and wrong fragments are seen") {
  FOVEA_NEEDS_KERNELS();
  FOVEA_EMULATED_ONLY();
  const auto beyond = [](std::string text) {
    const size_t copy = text.find("cp.async.cg.shared.global [", Find(text, kKernel).begin);
    return text.insert(text.find("]", copy), "+65536");
  };
  CHECK_THAT(Attend(beyond, true).error, Catch::Contains("writes shared memory"));
  const auto untransposed = [](std::string text) {
    return Replace(std::move(text), kKernel, "x4.trans.shared", 0, "x4.shared");
  };
  CHECK(Attend(untransposed, true).distance >= 0.05);
  // Registers 1 and 2 of a left operand swapped, in the first product of scores.
  const auto swapped = [](std::string text) {
    const KernelText range = Find(text, kKernel);
    const size_t product = text.find("mma.sync", range.begin);
    const size_t open = text.find("{", text.find("}", product)), close = text.find("}", open);
    REQUIRE(close < range.end);
    std::vector<std::string> names;
    std::string list = text.substr(open + 1, close - open - 1), name;
    for (const char c : list + ",") {
      if (c == ',') {
        names.push_back(name);
        name.clear();
      } else {
        name += c;
      }
    }
    REQUIRE(names.size() == 4);
    return text.replace(open + 1, close - open - 1,
                        names[0] + "," + names[2] + "," + names[1] + "," + names[3]);
  };
  CHECK(Attend(swapped, true).distance >= 0.02);
  const auto one_twice = [](std::string text) {
    return Replace(std::move(text), kKernel, "shfl.sync.bfly.b32", 0, "shfl.sync.up.b32");
  };
  const Outcome shuffled = Attend(one_twice, true);
  CHECK((shuffled.error != "" || !(shuffled.distance <= 4e-3)));
}

}  // namespace
}  // namespace fovea::ptx
