// Our matrix products beside oneDNN's, in turns, at the shapes of linear layers.
//
// Times are of the processor, one thread, lower quartiles: they can be compared on a busy machine.
//
// OMP_WAIT_POLICY=passive fovea-bench-linear [f32|f16|bf16 of weights] [f32|bf16 of activations]
// [avx2]
#include <hwy/targets.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <vector>

#include "tensor/context.h"
#include "tensor/cpu/onednn.h"
#include "tensor/machine/cpu_info.h"
#include "tensor/machine/instruction_set.h"
#include "tensor/machine/threads.h"
#include "tensor/memory/host_tensor.h"
#include "tensor/ops/product/linear.h"

namespace fovea {
namespace {

struct Size {
  int64_t rows, in, out;
};

// Stable Diffusion 1.5 at 512x512, its text encoder, a few rows, FLUX.
constexpr Size kSizes[] = {
    {4096, 320, 320},  {4096, 320, 2560}, {4096, 1280, 320},  {1024, 640, 640},   {1024, 640, 5120},
    {1024, 2560, 640}, {256, 1280, 1280}, {256, 1280, 10240}, {256, 5120, 1280},  {77, 768, 320},
    {77, 768, 768},    {77, 768, 3072},   {77, 3072, 768},    {2, 320, 1280},     {1, 1280, 1280},
    {1, 1280, 320},    {16, 1280, 1280},  {1024, 3072, 9216}, {4096, 1024, 1024}, {64, 1280, 1280}};

HostTensor Random(const Shape& shape, DType dtype) {
  HostTensor x(shape, DType::kF32), out(shape, dtype);
  std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int64_t i = 0; i < x.NumElements(); ++i) x.Data<float>()[i] = uniform(generator);
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 64);
  Context ctx{*backend, arena};
  backend->Copy(ctx, x.View(), out.View());
  return out;
}

double Now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

double Seconds(const std::function<void()>& run) {
  const double begin = Now();
  run();
  return Now() - begin;
}

double Quartile(std::vector<double> values) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 4);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void Compare(const Size& size, DType wtype, DType dtype, double peak) {
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, size_t{512} << 20);
  Context ctx{*backend, arena, {}, dtype};
  const HostTensor x = Random({size.rows, size.in}, dtype), w = Random({size.out, size.in}, wtype);
  const HostTensor their_w = Random({size.out, size.in}, dtype);
  HostTensor y({size.rows, size.out}, dtype), bias({size.out}, DType::kF32);
  const Weight weight{w.View(), bias.View()};
  onednn::Library library;
  const onednn::MatmulSpec spec{size.rows, size.in, size.out, size.in, size.out, dtype, {true}};
  const bool in_place = wtype == DType::kF32 && dtype == DType::kF32;
  const onednn::Layout plain = onednn::Library::PlainMatmulWeights(size.out, size.in, DType::kF32);
  const auto primitive = library.Matmul(spec, in_place ? &plain : nullptr);
  std::vector<std::byte> scratch, packed;
  if (primitive) {
    scratch.resize(primitive->ScratchBytes() + 64);
    packed.resize(primitive->Weights().get_size() + 64);
  }
  const auto ours = [&] { ops::Linear(ctx, x.View(), weight, y.View()); };
  const auto theirs = [&] {
    library.Run(*primitive, x.View().data, in_place ? w.View().data : packed.data(),
                bias.View().data, scratch.data(), y.View().data);
  };
  const double flops = 2.0 * double(size.rows) * double(size.in) * double(size.out);
  ours();
  if (primitive) theirs();
  std::vector<double> a, b;
  const int rounds = std::clamp(int(4e9 / flops), 7, 200);
  for (int i = 0; i < rounds; ++i) {
    a.push_back(Seconds(ours));
    if (primitive) b.push_back(Seconds(theirs));
  }
  const double mine = Quartile(a), other = primitive ? Quartile(b) : 0;
  std::printf("%6ld x %5ld -> %5ld  %9.3f ms %5.1f %%   oneDNN %9.3f ms %5.1f %%  ratio %.2f  %s\n",
              long(size.rows), long(size.in), long(size.out), mine * 1e3, flops / mine / peak / 1e7,
              other * 1e3, other > 0 ? flops / other / peak / 1e7 : 0, other / mine,
              primitive ? primitive->Implementation().c_str() : "refused");
}

void Main(int argc, char** argv) {
  SetNumThreads(1);
  std::vector<DType> types;
  double share = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "avx2") == 0) {
      hwy::SetSupportedTargetsForTest(HWY_AVX2);
      dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
      share = 0.5;
    } else {
      types.push_back(*ParseDType(argv[i]));
    }
  }
  types.resize(2, DType::kF32);
  const double peak = share * MeasurePeakGflops(DType::kF32);
  std::printf("weights %s, activations %s, f32 peak %.0f GFLOP/s, %s\n",
              std::string(Name(types[0])).c_str(), std::string(Name(types[1])).c_str(), peak,
              std::string(InstructionSetName()).c_str());
  for (const Size& size : kSizes) Compare(size, types[0], types[1], peak);
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  fovea::Main(argc, argv);
}
