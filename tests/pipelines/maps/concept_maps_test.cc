// Concepts that ride along a transformer leave the picture as it is, and read it as defined.
#include "pipelines/maps/concept_maps.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <numeric>

#include "models/config.h"
#include "models/files/safetensors.h"
#include "pipelines/forward/forward.h"
#include "tests/reference/reference_attention.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

// Of one joint attention: softmax over concepts of <o_c, o_x>, from q, k and v of the concept pass.
struct Naive final : AttentionListener {
  void Attended(Context&, const AttentionCall& call) override {
    if (call.site.kind != SiteKind::kJoint) return;
    const Segment grid = *GridOfLayout(call.spec.q);
    Segment text;
    for (const Segment& segment : call.spec.q) {
      if (segment.kind == SegmentKind::kText) text = segment;
    }
    const AttentionIo& io = call.io;
    const int64_t tokens = io.q.shape[1], heads = io.q.shape[2], d = io.q.shape[3];
    std::vector<std::vector<double>> scores(static_cast<size_t>(text.length));
    for (int c = 0; c < text.length; ++c) {
      std::vector<double> out(static_cast<size_t>(heads * d));
      for (int64_t h = 0; h < heads; ++h) {
        std::vector<double> p;
        for (int64_t j = 0; j < tokens; ++j) {
          double s = 0;
          for (int64_t i = 0; i < d; ++i) {
            s += reference::At(io.q, {0, text.begin + c, h, i}) * reference::At(io.k, {0, j, h, i});
          }
          p.push_back(std::exp(s / std::sqrt(static_cast<double>(d))));
        }
        const double sum = std::accumulate(p.begin(), p.end(), 0.0);
        for (int64_t j = 0; j < tokens; ++j) {
          for (int64_t i = 0; i < d; ++i) {
            out[static_cast<size_t>(h * d + i)] +=
                p[static_cast<size_t>(j)] / sum * reference::At(io.v, {0, j, h, i});
          }
        }
      }
      for (int t = 0; t < grid.length; ++t) {
        double dot = 0;
        for (int64_t i = 0; i < heads * d; ++i) {
          dot += out[static_cast<size_t>(i)] *
                 reference::At(image->Find(call.site.index)->View(), {t, i / d, i % d});
        }
        scores[static_cast<size_t>(c)].push_back(dot);
      }
    }
    ++layers;
    map.resize(scores[0].size());
    for (size_t t = 0; t < map.size(); ++t) {
      double sum = 0;
      for (const auto& of_concept : scores) sum += std::exp(of_concept[t]);
      map[t] += std::exp(scores[1][t]) / sum;
    }
  }
  const ImageStreamKeeper* image = nullptr;
  std::vector<double> map;  // of concept 1, summed over layers
  int layers = 0;
};

TEST_CASE("concepts read a transformer's picture and leave it as it is", "[golden]") {
  for (const char* name : {"sd3", "sd3_dual", "sd3_qk_norm", "flux_dev"}) {
    CAPTURE(name);
    const GoldenCase golden = GoldenCase::Read(GoldenFolder() / "forward" / name);
    const TempDir temp;
    golden.WriteModel(temp / "model");
    const auto backend = MakeCpuBackend();
    const auto component =
        Component::Load(OpenModelFolder(temp / "model").components.front(), *backend);
    // One sample of the first run.
    NamedTensors inputs;
    for (const auto& [input, tensor] : golden.runs.at(0).inputs) {
      Shape shape = tensor.shape();
      const bool of_samples = input != "img_ids" && input != "txt_ids";
      if (of_samples) shape[0] = 1;
      HostTensor one(shape, tensor.dtype());
      std::memcpy(one.data(), tensor.data(), one.Bytes());
      inputs[input] = std::move(one);
    }
    ImageStreamKeeper keeper;
    ForwardOptions options;
    options.listeners = {&keeper};
    const NamedTensors plain = component->Forward(inputs, options).outputs;

    constexpr int64_t kConcepts = 3;
    const int64_t width = inputs.at("encoder_hidden_states").shape()[2];
    NamedTensors with = inputs;
    HostTensor concepts({1, kConcepts, width}, DType::kF32);
    for (int64_t i = 0; i < concepts.NumElements(); ++i) {
      concepts.Data<float>()[i] = std::sin(static_cast<float>(3 * i + 1));
    }
    with["encoder_hidden_states"] = std::move(concepts);
    if (with.contains("txt_ids")) with["txt_ids"] = HostTensor({kConcepts, 3}, DType::kF32);
    Naive naive;
    naive.image = &keeper;
    ConceptReader reader({"a", "b", "c"}, keeper, {});
    options.listeners = {&naive, &reader};
    const NamedTensors again = component->Forward(with, options).outputs;
    CHECK(std::memcmp(plain.at("sample").data(), again.at("sample").data(),
                      plain.at("sample").Bytes()) == 0);

    const auto maps = reader.Finish();
    REQUIRE(maps.size() == kConcepts);
    CHECK(maps[1].word == "b");
    REQUIRE(naive.layers > 0);
    for (size_t t = 0; t < naive.map.size(); ++t) {
      CHECK(maps[1].map.values[t] == Approx(naive.map[t] / naive.layers).margin(2e-5));
      double sum = 0;
      for (const AttentionMap& map : maps) sum += static_cast<double>(map.map.values[t]);
      CHECK(sum == Approx(1).epsilon(1e-5));
    }
  }
}

}  // namespace
}  // namespace fovea
