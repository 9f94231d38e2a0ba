// RAU-Net and its windows against the official HiDiffusion code: single passes at chosen steps of a
// run, with their sizes and draws, and whole guided runs.
#include <catch2/catch.hpp>

#include "attention/ops/window.h"
#include "models/files/safetensors.h"
#include "pipelines/sampling/denoise_loop.h"
#include "pipelines/sampling/hires.h"
#include "tensor/ops/conv/conv2d.h"
#include "tensor/ops/resample/average_pool.h"
#include "tensor/ops/resample/resize_bicubic.h"
#include "tensor/ops/resample/upsample.h"
#include "tests/support/hidiffusion_case.h"
#include "tests/support/model_run.h"

namespace fovea {
namespace {

constexpr const char* kUpstream = "schedule=upstream,odd=resample";

// Notes the sizes that 3x3 convolutions make.
class SizeRecorder final : public StoppingBackend {
 public:
  explicit SizeRecorder(Backend& real) : StoppingBackend(real, -1) {}
  void Conv2d(Context& ctx, const Tensor& x, const Weight& weight, const Conv2dParams& params,
              const Epilogue& epilogue, const Tensor& out) override {
    if (weight.w.shape[2] == 3) sizes.emplace_back(out.shape[1], out.shape[2]);
    StoppingBackend::Conv2d(ctx, x, weight, params, epilogue, out);
  }
  std::vector<std::pair<int64_t, int64_t>> sizes;
};

// One pass, where the case says; parts can be replaced to see that they matter.
struct Pass {
  const UNet2DConditionModel& unet;
  const HidiffusionCase& golden;
  std::string plan;
  RaunetStage stage;

  Pass(const UNet2DConditionModel& unet_in, const HidiffusionCase& golden_in)
      : unet(unet_in), golden(golden_in) {
    const Shape& latent = golden.inputs.at("sample").shape();
    const Hires hires(golden.Hires(), unet.Traits(), latent[2], latent[3], golden.steps);
    stage = hires.StageAt(golden.step);
    if (golden.windows) plan = WindowRule(*ParseRaunetSchedule(golden.schedule), kUpstream);
  }

  AttentionRuntime Runtime() const {
    return {AttentionPlan::Parse(plan), unet.AttentionSites(), golden.steps, {golden.seed}};
  }

  HostTensor Forward(Context& ctx, AttentionRuntime& attention) const {
    attention.BeginStep(golden.step, golden.steps);
    ArenaScope scope(ctx.arena);
    DenoiserInput input;
    input.latent = Upload(ctx, golden.inputs.at("sample"));
    input.context = Upload(ctx, golden.inputs.at("encoder_hidden_states"));
    input.timestep = std::span(&golden.timestep, 1);
    if (golden.inputs.contains("text_embeds")) {
      input.text_embeds = Upload(ctx, golden.inputs.at("text_embeds"));
      const HostTensor& ids = golden.inputs.at("time_ids");
      input.time_ids = {ids.Data<float>(), static_cast<size_t>(ids.NumElements())};
    }
    input.raunet = stage;
    const Shape& s = input.latent.shape;
    const Tensor out = ctx.arena.New({s[0], s[1], s[2], unet.Traits().out_channels}, DType::kF32);
    unet.Forward(ctx, attention, input, out);
    if (ctx.backend.IsPlanning()) return {};
    HostTensor nchw(golden.output.shape(), DType::kF32);
    ctx.backend.Copy(ctx, out.Permute({0, 3, 1, 2}), nchw.View());
    return nchw;
  }

  HostTensor Run(DType dtype = DType::kF32) const {
    const auto backend = MakeCpuBackend();
    Arena arena(*backend, size_t{256} << 20);
    Context ctx{*backend, arena, {}, dtype};
    AttentionRuntime attention = Runtime();
    return Forward(ctx, attention);
  }

  std::string Difference() const {
    return fovea::Difference(Run(), golden.output,
                             ForwardLimit(golden.output, golden.reference_f32_error));
  }
};

const char* const kModels[] = {"sd", "sdxl", "sdxl_inpaint"};

TEST_CASE("single passes equal the official HiDiffusion code", "[golden]") {
  for (const char* name : kModels) {
    const HidiffusionModel model = HidiffusionModel::Read(name);
    REQUIRE(!model.cases.empty());
    for (const HidiffusionCase& golden : model.cases) {
      INFO(golden.name);
      const auto unet = model.Load(golden.trained);
      CHECK(Pass(*unet, golden).Difference() == "");
    }
  }
}

TEST_CASE("feature maps have the sizes of the official code, and dry runs foresee them",
          "[golden]") {
  for (const char* name : kModels) {
    const HidiffusionModel model = HidiffusionModel::Read(name);
    for (const HidiffusionCase& golden : model.cases) {
      INFO(golden.name);
      const auto unet = model.Load(golden.trained);
      const Pass pass(*unet, golden);
      const auto backend = MakeCpuBackend();
      const auto planner = MakePlanningBackend(*backend);
      SizeRecorder recorder(*planner);
      Arena endless(recorder, kPlanningArenaBytes);
      Context dry{recorder, endless};
      AttentionRuntime attention = pass.Runtime();
      pass.Forward(dry, attention);
      CHECK(recorder.sizes == golden.sizes);

      Arena arena(*backend, endless.PeakBytes());
      Context ctx{*backend, arena};
      const int64_t allocations = backend->Allocations();
      pass.Forward(ctx, attention);
      CHECK(arena.PeakBytes() == endless.PeakBytes());
      CHECK(backend->PackedBytes() == planner->TotalCost().packed_bytes);
      CHECK(backend->Allocations() == allocations);
    }
  }
}

TEST_CASE("windows are drawn as the official code draws them", "[golden]") {
  for (const char* name : kModels) {
    for (const HidiffusionCase& golden : HidiffusionModel::Read(name).cases) {
      if (!golden.windows) continue;
      INFO(golden.name);
      const auto per_step = static_cast<int64_t>(golden.quarters.size());
      CHECK(per_step == (golden.schedule == "sd" ? 5 : 10));
      for (int64_t k = 0; k < per_step; ++k) {
        CHECK(UpstreamQuarter(golden.seed, golden.step * per_step + k) ==
              golden.quarters[static_cast<size_t>(k)]);
      }
    }
  }
}

TEST_CASE("the comparison would notice a missing stage, other shifts and missing windows",
          "[golden]") {
  const auto far = [](const Pass& pass) {
    const HostTensor& want = pass.golden.output;
    const double limit = ForwardLimit(want, pass.golden.reference_f32_error);
    return fovea::Difference(pass.Run(), want, 100 * limit) != "";
  };
  for (const char* name : {"sd", "sdxl"}) {
    const HidiffusionModel model = HidiffusionModel::Read(name);
    const HidiffusionCase& golden = model.cases[name == std::string("sd") ? 6 : 1];
    INFO(golden.name);
    const auto unet = model.Load(golden.trained);
    const Pass right(*unet, golden);
    REQUIRE(right.stage.Active());
    CHECK_FALSE(far(right));

    Pass no_raunet = right;
    no_raunet.stage = {};
    CHECK(far(no_raunet));
    Pass other_stage = right;
    other_stage.stage = StageAt({*ParseRaunetSchedule(golden.schedule), golden.steps, 32, 48,
                                 golden.trained, golden.trained, RaunetTask::kPlain},
                                golden.step == 1 ? 0 : golden.steps / 2);
    REQUIRE_FALSE(other_stage.stage == right.stage);
    CHECK(far(other_stage));
    Pass dense = right;
    dense.plan = "";
    CHECK(far(dense));
    Pass shifted = right;
    shifted.plan = WindowRule(*ParseRaunetSchedule(golden.schedule), "quarter=3,odd=resample");
    CHECK(far(shifted));
  }
}

TEST_CASE("bf16 stays near f32 under RAU-Net and its windows", "[golden]") {
  const HidiffusionModel model = HidiffusionModel::Read("sd");
  const HidiffusionCase& golden = model.cases[6];
  const auto unet = model.Load(golden.trained);
  const HostTensor got = Pass(*unet, golden).Run(DType::kBF16);
  // 8 bits of mantissa through about 40 layers. Measured as a whole: the largest of 6144
  // differences depends on how single values round.
  CHECK(RelativeL2(got, golden.output) < 0.05);
}

TEST_CASE("whole guided runs equal the official HiDiffusion code", "[golden]") {
  for (const char* name : {"sd", "sdxl"}) {
    const HidiffusionModel model = HidiffusionModel::Read(name);
    for (const HidiffusionLoop& golden : model.loops) {
      INFO(golden.name);
      const auto unet = model.Load(golden.trained);
      const auto backend = MakeCpuBackend();
      Arena arena(*backend, size_t{256} << 20);
      Context ctx{*backend, arena};
      const auto scheduler =
          MakeScheduler(Config::Parse(golden.scheduler_config, "scheduler_config.json"),
                        {.sampler = {}, .steps = golden.steps});
      const HostTensor& sample = golden.inputs.at("sample");  // of both halves; the first counts
      const Shape shape{1, sample.shape()[1], sample.shape()[2], sample.shape()[3]};
      Conditioning conditioning;
      conditioning.context = Upload(ctx, golden.inputs.at("encoder_hidden_states"));
      if (golden.inputs.contains("text_embeds")) {
        conditioning.text_embeds = Upload(ctx, golden.inputs.at("text_embeds"));
        const HostTensor& ids = golden.inputs.at("time_ids");
        conditioning.time_ids.assign(ids.Data<float>(), ids.Data<float>() + ids.NumElements());
      }
      AttentionRuntime attention(
          AttentionPlan::Parse(WindowRule(*ParseRaunetSchedule(golden.schedule), kUpstream)),
          unet->AttentionSites(), golden.steps, {golden.seed});
      std::map<int, HostTensor> latents;
      DenoiseLoop loop{*unet, *scheduler, MakeGuidance({.scale = golden.cfg}), shape, {}, {}};
      loop.hires =
          Hires("raunet=" + golden.schedule, unet->Traits(), shape[2], shape[3], golden.steps);
      loop.on_step = [&](const StepView& view) {
        latents[view.step] =
            HostTensor(shape, std::vector<float>(view.latents_out.begin(), view.latents_out.end()));
      };
      std::vector<float> values(sample.Data<float>(), sample.Data<float>() + shape.NumElements());
      REQUIRE(loop.Run(ctx, attention, conditioning, values));
      for (const auto& [step, want] : golden.latents) {
        INFO("after step " << step);
        const double limit = ForwardLimit(want, golden.reference_f32_error.at(step));
        CHECK(Difference(latents.at(step), want, limit) == "");
      }
    }
  }
}

// PyTorch's results, NCHW.
TEST_CASE("the operations of RAU-Net equal PyTorch's", "[golden]") {
  const NamedTensors io = ReadSafetensors(GoldenFolder() / "hidiffusion" / "ops.safetensors");
  const auto backend = MakeCpuBackend();
  Arena arena(*backend, 1 << 20);
  Context ctx{*backend, arena};
  int compared = 0;
  for (const auto& [name, want] : io) {
    if (!name.ends_with(".out")) continue;
    INFO(name);
    ArenaScope scope(ctx.arena);
    const std::string stem = name.substr(0, name.size() - 4);
    const std::string kind = stem.substr(0, stem.find('.')), size = stem.substr(kind.size() + 1);
    const Shape& s = want.shape();
    const Tensor out = ctx.New({s[0], s[2], s[3], s[1]});  // (n,h,w,c)
    double limit = 0;
    if (kind == "conv") {
      const Weight weight{io.at(stem + ".weight").View(), io.at(stem + ".bias").View()};
      ops::Conv2d(ctx, Upload(ctx, io.at(stem + ".x")), weight, {4, 2, 2, 2, 2, 2}, out);
      limit = 1e-5;
    } else if (kind == "pool") {
      ops::AveragePool2x2(ctx, Upload(ctx, io.at("conv." + size + ".x")), out);
      limit = 1e-6;
    } else if (kind == "bicubic") {
      ops::ResizeBicubic(ctx, Upload(ctx, io.at(stem + ".x")), out);
      limit = 1e-6;
    } else {
      const int64_t from = std::stoll(size);
      HostTensor line({1, 1, 1, from}, DType::kF32);
      for (int64_t i = 0; i < from; ++i) line.Data<float>()[i] = static_cast<float>(i);
      ops::UpsampleNearest(ctx, Upload(ctx, line), out);
    }
    HostTensor got(s, DType::kF32);
    ctx.backend.Copy(ctx, out.Permute({0, 3, 1, 2}), got.View());
    CHECK(Difference(got, want, limit) == "");
    ++compared;
  }
  CHECK(compared == 3 + 3 + 5 + 5);
}

}  // namespace
}  // namespace fovea
