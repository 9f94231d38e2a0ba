// Steps of a run again: listeners see what they would have seen then, and nothing changes.
#include "pipelines/generation/replay.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>

#include "attention/probe/attention_probe.h"
#include "attention/probe/matrix_passes.h"
#include "pipelines/generation/text_to_image.h"
#include "tests/support/error_code.h"
#include "tests/support/source_dir.h"

namespace fovea {
namespace {

TEST_CASE("a replayed step shows what the run showed, and the probe changes nothing") {
  const auto backend = MakeCpuBackend();
  const auto pipeline =
      TextToImage::Load(OpenModelFolder(SourceDir() / "assets/models/still-life-unet"), *backend);
  GenerateSettings settings;
  settings.prompt = "a red cube";
  settings.seed = 5;
  settings.steps = 4;
  settings.width = 64, settings.height = 96;
  const std::string layer = "up_blocks.3.attentions.1.transformer_blocks.0.attn1";
  for (const char* sampler : {"ddim", "heun", "euler_a"}) {
    for (const char* plan : {"", "*: window else dense", "*attn1: agentsd(sx=2,sy=2) else dense"}) {
      CAPTURE(sampler, plan);
      settings.sampler = sampler;
      settings.attention = plan;
      const GenerateSettings run = pipeline->Resolve(settings);
      const Generated plain = pipeline->Run(run, {}, {});
      StepStore store;
      AttentionProbe probe({.pins = {{layer, 2, 2, {}}}});
      const Generated watched = pipeline->Run(
          run, {},
          {.on_step = [&](const StepView& view) { store.Keep(view); }, .listeners = {&probe}});
      CHECK(std::memcmp(plain.latents.data(), watched.latents.data(), plain.latents.Bytes()) == 0);
      CHECK(plain.images[0].rgb == watched.images[0].rgb);
      const auto scalars = probe.Snapshot();
      CHECK(!scalars->calls.empty());

      const StoredStep* step = store.Find(2);
      REQUIRE(step != nullptr);
      AttentionProbe later({.pins = {{layer, 0, 99, {}}}});
      CHECK(pipeline->Replay(run, {}, *step, {.listeners = {&later}}));
      const auto then = probe.Find(layer, 2), now = later.Find(layer, 2);
      REQUIRE(then != nullptr);
      REQUIRE(now != nullptr);
      Arena arena(*backend, 16 << 20);
      Context ctx{*backend, arena};
      std::vector<float> a(static_cast<size_t>(then->Spec().heads) * 96), b = a;
      RowOfHeads(then->Matrix(ctx), 1, 17, a.data());
      RowOfHeads(now->Matrix(ctx), 1, 17, b.data());
      CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
      CHECK(std::abs(a[0]) <= 1);

      StoredStep other = *step;
      other.model_output[3] = std::nextafter(other.model_output[3], 9.0f);
      CHECK(CodeOf([&] { pipeline->Replay(run, {}, other, {}); }) == ErrorCode::kUnsupported);
      CHECK(store.Find(99) == nullptr);
      CHECK(store.Bytes() > 0);
    }
  }
}

}  // namespace
}  // namespace fovea
