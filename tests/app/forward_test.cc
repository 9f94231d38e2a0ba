// `fovea forward`, `info` and `bench model` on tiny models, and what they say about broken ones.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "tests/support/cli_checks.h"
#include "tests/support/golden_case.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// One golden case as files: a component folder and its inputs.
struct Case {
  TempDir temp;
  GoldenCase golden;
  fs::path model = temp / "model", in = temp / "in.safetensors", out = temp / "out.safetensors";

  explicit Case(const char* name) : golden(GoldenCase::Read(GoldenFolder() / "forward" / name)) {
    golden.WriteModel(model);
    WriteSafetensors(in, golden.runs.at(0).inputs);
  }
  ProgramResult Forward(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"forward",   "-m",    model.string(), "--in",
                                      in.string(), "--out", out.string()};
    words.insert(words.end(), more.begin(), more.end());
    return RunFovea(words);
  }
  json ReadConfig() const { return json::parse(ReadBytes(model / "config.json")); }
  void WriteConfig(const json& config) const { WriteBytes(model / "config.json", config.dump()); }
  fs::path WeightFile() const {
    for (const auto& entry : fs::directory_iterator(model)) {
      if (entry.path().extension() == ".safetensors") return entry.path();
    }
    FAIL("no weights");
    return {};
  }
};

TEST_CASE("forward writes the outputs of a component folder alone") {
  const Case unet("unet_sd15");
  const ProgramResult result = unet.Forward({"--json"});
  CheckDone(result);
  const GoldenRun& run = unet.golden.runs.at(0);
  const NamedTensors got = ReadSafetensors(unet.out);
  REQUIRE(got.size() == 1);
  const HostTensor& want = run.outputs.at("sample");
  CHECK(Difference(got.at("sample"), want,
                   ForwardLimit(want, run.reference_f32_error.at("sample"))) == "");
  const json report = json::parse(result.out);
  CHECK(report.at("class") == "UNet2DConditionModel");
  CHECK(report.at("outputs").at("sample").size() == 4);
  CHECK(report.at("seconds") > 0.0);
  CHECK(report.at("gflop") > 0.0);
}

TEST_CASE("forward writes hidden states only when asked") {
  const Case clip("clip_sd15");
  CheckDone(clip.Forward());
  CHECK_FALSE(ReadSafetensors(clip.out).contains("hidden_states.0"));
  CheckDone(clip.Forward({"--hidden-states"}));
  CHECK(ReadSafetensors(clip.out).contains("hidden_states.0"));
}

TEST_CASE("forward picks a component of a pipeline") {
  const TempDir temp;
  WritePipeline(temp / "tiny", Sd15SchedulerJson());
  WriteSafetensors(temp / "z.safetensors", {{"z", HostTensor({1, 4, 3, 5}, DType::kF32)}});
  const auto run = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"forward",
                                      "-m",
                                      temp / "tiny",
                                      "--in",
                                      temp / "z.safetensors",
                                      "--out",
                                      temp / "y.safetensors"};
    words.insert(words.end(), more.begin(), more.end());
    return RunFovea(words);
  };
  CheckDone(run({"--component", "vae"}));
  CHECK(ReadSafetensors(temp / "y.safetensors").at("sample").shape() == Shape{1, 3, 24, 40});
  CheckFails(run({}), 2, "--component");
  CheckFails(run({"--component", "brain"}), 2, "unet");
  CheckFails(RunFovea({"forward", "-m", temp / "tiny/vae", "--component", "vae", "--in",
                       temp / "z.safetensors", "--out", temp / "y.safetensors"}),
             2, "omit --component");
}

TEST_CASE("forward replaces tensors by an overlay's, and leaves the model as it is") {
  const Case unet("unet_smallest");
  CheckDone(unet.Forward());
  const std::string plain = ReadBytes(unet.out);
  NamedTensors weights = ReadSafetensors(unet.WeightFile()), over;
  const std::string name = "conv_out.bias";
  HostTensor bias(weights.at(name).shape(), DType::kF32);
  for (int64_t i = 0; i < bias.NumElements(); ++i) bias.Data<float>()[i] = 100;
  const fs::path file = unet.temp / "over.safetensors";
  const auto with = [&](const std::string& tensor, const HostTensor& value) {
    WriteSafetensors(file, {{tensor, value}});
    return unet.Forward({"--overlay", file.string()});
  };
  CheckDone(with(name, bias));
  const NamedTensors moved = ReadSafetensors(unet.out);
  CHECK(moved.at("sample").Data<float>()[0] > 50);
  CheckFails(with("conv_out.bias_2", bias), 3, "conv_out.bias_2");
  CheckFails(with(name, HostTensor({1}, DType::kF32)), 3, name);
  CheckFails(unet.Forward({"--overlay", (unet.temp / "absent.safetensors").string()}), 3, "absent");
  CheckDone(unet.Forward());
  CHECK(ReadBytes(unet.out) == plain);
}

TEST_CASE("an overlay gives clear its pooling weights, and takes them away again") {
  const Case flux("flux_clear");
  const std::vector<std::string> pooled = {"--attention", "*: clear(r=3,down=2)"};
  const auto with_overlay = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--overlay", (flux.temp / "over.safetensors").string()});
    return flux.Forward(more);
  };
  CheckDone(flux.Forward(pooled));  // the golden case's model has them itself
  const std::string merged = ReadBytes(flux.out);
  NamedTensors plain = ReadSafetensors(flux.WeightFile()), over;
  for (auto it = plain.begin(); it != plain.end();) {
    const bool own = it->first.ends_with("processor.spatial_weight");
    if (own) over.emplace(it->first, std::move(it->second));
    it = own ? plain.erase(it) : std::next(it);
  }
  REQUIRE(over.size() == 4);
  WriteSafetensors(flux.WeightFile(), plain);
  WriteSafetensors(flux.temp / "over.safetensors", over);
  CheckDone(flux.Forward(pooled));
  const std::string means = ReadBytes(flux.out);
  CHECK(means != merged);
  CheckDone(with_overlay(pooled));
  CHECK(ReadBytes(flux.out) == merged);
  CheckDone(flux.Forward(pooled));
  CHECK(ReadBytes(flux.out) == means);

  CheckFails(with_overlay({"--attention", "*: clear(r=3)"}), 4, "down=1 needs 1 values");
  CheckFails(with_overlay({"--attention", "clear(r=3,down=1)"}), 4, "down=1 needs 1 values");
  CheckDone(with_overlay({}));  // dense, as without an overlay
  over.erase("single_transformer_blocks.0.attn.processor.spatial_weight");
  WriteSafetensors(flux.temp / "over.safetensors", over);
  CheckFails(with_overlay(pooled), 3,
             "single_transformer_blocks.0.attn.processor.spatial_weight is missing");
  over["single_transformer_blocks.0.attn.processor.spatial_weight"] =
      HostTensor({1, 2, 1, 3, 1}, DType::kF32);
  WriteSafetensors(flux.temp / "over.safetensors", over);
  CheckFails(with_overlay(pooled), 3, "but must have [1,1,1,d,1,d,1]");
}

TEST_CASE("forward within a limit of memory gives the same bytes, or says what would do") {
  const Case unet("unet_sd15");
  CheckDone(unet.Forward());
  const std::string plain = ReadBytes(unet.out);
  CheckDone(unet.Forward({"--max-memory", "4G"}));
  CHECK(ReadBytes(unet.out) == plain);
  CheckFails(unet.Forward({"--max-memory", "1M"}), 5, "would do");
  CheckFails(unet.Forward({"--max-memory", "much"}), 2, "--max-memory");
  CheckFails(unet.Forward({"--max-memory", "-4G"}), 2, "--max-memory");
}

TEST_CASE("forward refuses inputs that do not fit") {
  const Case unet("unet_sd15");
  const NamedTensors good = unet.golden.runs.at(0).inputs;
  const auto with = [&](const std::function<void(NamedTensors&)>& change) {
    NamedTensors inputs = good;
    change(inputs);
    WriteSafetensors(unet.in, inputs);
    return unet.Forward();
  };
  const auto refused = [](const ProgramResult& result, const std::string& says) {
    CHECK((result.exit_code == 2 || result.exit_code == 3));
    CheckFails(result, result.exit_code, says);
  };
  refused(with([](NamedTensors& in) { in.erase("timestep"); }), "timestep");
  refused(with([](NamedTensors& in) { in["surplus"] = HostTensor({1}, DType::kF32); }), "surplus");
  refused(with([](NamedTensors& in) {
            in["sample"] = HostTensor({1, 5, 8, 8}, DType::kF32);
          }),
          "sample");
  refused(with([](NamedTensors& in) {
            in["sample"] = HostTensor({4, 8, 8}, DType::kF32);
          }),
          "sample");
  refused(with([](NamedTensors& in) {
            in["sample"] = HostTensor({1, 4, 8, 8}, DType::kI64);
          }),
          "sample");
  CHECK_FALSE(fs::exists(unet.out));
  CheckFails(unet.Forward({"--dtype", "f16"}), 4, "f16");
}

std::string Header(const std::string& text, const std::string& data = {}) {
  std::string size(8, '\0');
  for (size_t i = 0; i < 8; ++i) size[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
  return size + text + data;
}

TEST_CASE("a broken safetensors file is refused with 3, whatever is wrong with it") {
  const Case unet("unet_sd15");
  const auto entry = [](const std::string& dtype, const std::string& shape,
                        const std::string& offsets) {
    return R"({"sample":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}}";
  };
  const std::string deep(100000, '[');
  const std::string four(16, '\0');
  const std::vector<std::pair<const char*, std::string>> files = {
      {"empty", ""},
      {"no whole length", "\x08"},
      {"length beyond the file", Header("{}").substr(0, 9)},
      {"huge length", std::string(8, '\xff') + "{}"},
      {"no JSON", Header("hello")},
      {"a list", Header("[]")},
      {"deep nesting", Header(deep)},
      {"deep nesting in an object", Header("{\"a\":" + deep)},
      {"unknown dtype", Header(entry("F13", "[4]", "[0,16]"), four)},
      {"negative offset", Header(entry("F32", "[4]", "[-16,0]"), four)},
      {"huge offset", Header(entry("F32", "[4]", "[0,18446744073709551615]"), four)},
      {"offsets that go backwards", Header(entry("F32", "[4]", "[16,0]"), four)},
      {"offsets beyond the file", Header(entry("F32", "[8]", "[0,32]"), four)},
      {"offsets that do not match the shape", Header(entry("F32", "[5]", "[0,16]"), four)},
      {"a negative side", Header(entry("F32", "[-4]", "[0,16]"), four)},
      {"a shape that overflows",
       Header(entry("F32", "[4294967296,4294967296,4294967296]", "[0,16]"), four)},
      {"overlap", Header(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},)"
                         R"("b":{"dtype":"F32","shape":[4],"data_offsets":[8,24]}})",
                         std::string(24, '\0'))},
  };
  for (const auto& [what, bytes] : files) {
    INFO(what);
    WriteBytes(unet.in, bytes);
    CheckFails(unet.Forward(), 3, "in.safetensors");
    WriteBytes(unet.WeightFile(), bytes);
    WriteSafetensors(unet.in, unet.golden.runs.at(0).inputs);
    CheckFails(unet.Forward(), 3, unet.WeightFile().filename().string());
  }
  CHECK_FALSE(fs::exists(unet.out));
}

TEST_CASE("missing, surplus and misshapen tensors of a model are named") {
  const Case unet("unet_sd15");
  const NamedTensors weights = ReadSafetensors(unet.WeightFile());
  const auto with = [&](const std::function<void(NamedTensors&)>& change) {
    NamedTensors changed = weights;
    change(changed);
    WriteSafetensors(unet.WeightFile(), changed);
    return unet.Forward();
  };
  CheckFails(with([](NamedTensors& w) { w.erase("conv_in.weight"); }), 3, "conv_in.weight");
  CheckFails(with([](NamedTensors& w) { w["stray.weight"] = HostTensor({2}, DType::kF32); }), 3,
             "stray.weight");
  CheckFails(with([](NamedTensors& w) { w["conv_in.bias"] = HostTensor({3}, DType::kF32); }), 3,
             "conv_in.bias");
  CheckFails(with([](NamedTensors& w) { w["conv_in.bias"] = HostTensor({16}, DType::kI32); }), 3,
             "conv_in.bias");
  CheckDone(with([](NamedTensors& w) { w["model_ema.decay"] = HostTensor({1}, DType::kF32); }));
}

TEST_CASE("configs are read strictly: every broken value is named") {
  struct Change {
    const char* field;
    json value;
    int exit_code;  // 3: broken; 4: something that we lack; 0: either
  };
  const std::vector<Change> changes = {
      {"_class_name", "UNet9DModel", 4},
      {"_class_name", 7, 3},
      {"block_out_channels", json::array(), 0},
      {"block_out_channels", {0, 32}, 3},
      {"block_out_channels", {-16, 32}, 3},
      {"block_out_channels", "wide", 3},
      {"block_out_channels", {1e30, 32}, 3},
      {"down_block_types", {"MagicBlock2D", "DownBlock2D"}, 0},
      {"down_block_types", 3, 3},
      {"act_fn", "sparkle", 4},
      {"norm_num_groups", 0, 3},
      {"norm_num_groups", 7, 0},
      {"norm_eps", "small", 3},
      {"in_channels", -4, 3},
      {"in_channels", 4.5, 3},
      {"in_channels", 99999999999999, 3},
      {"layers_per_block", 0, 3},
      {"layers_per_block", true, 3},
      {"cross_attention_dim", 0, 3},
      {"attention_head_dim", 0, 3},
      {"attention_head_dim", "many", 3},
      {"sample_size", -1, 3},
      {"flip_sin_to_cos", "yes", 3},
      {"field_of_the_future", 1, 0},
  };
  const Case unet("unet_sd15");
  const json good = unet.ReadConfig();
  for (const Change& change : changes) {
    INFO(change.field << " = " << change.value);
    json config = good;
    config[change.field] = change.value;
    unet.WriteConfig(config);
    const ProgramResult result = unet.Forward();
    if (change.exit_code == 0) CHECK((result.exit_code == 3 || result.exit_code == 4));
    const std::string named = std::string(change.field) == "_class_name" ? "" : change.field;
    CheckFails(result, change.exit_code == 0 ? result.exit_code : change.exit_code, named);
  }
  for (const char* text : {"", "{", "[1]", "null", "{\"_class_name\": }"}) {
    WriteBytes(unet.model / "config.json", text);
    CheckFails(unet.Forward(), 3, "config.json");
  }
  WriteBytes(unet.model / "config.json", std::string(100000, '['));
  CheckFails(unet.Forward(), 3, "config.json");
}

TEST_CASE("schedulers are read strictly, too") {
  const TempDir temp;
  WritePipeline(temp / "tiny", Sd15SchedulerJson());
  const fs::path file = temp / "tiny/scheduler/scheduler_config.json";
  const json good = json::parse(ReadBytes(file));
  const auto run = [&](const char* field, const json& value) {
    json config = good;
    config[field] = value;
    WriteBytes(file, config.dump());
    return RunFovea(
        {"generate", "-m", temp / "tiny", "-p", "a", "--steps", "2", "-o", temp / "a.png"});
  };
  CheckDone(run("beta_start", 0.001));
  CheckFails(run("_class_name", "TarotScheduler"), 4, "TarotScheduler");
  CheckFails(run("beta_schedule", "wavy"), 4, "beta_schedule");
  CheckFails(run("prediction_type", "guess"), 4, "prediction_type");
  CheckFails(run("num_train_timesteps", 0), 3, "num_train_timesteps");
  CheckFails(run("num_train_timesteps", "all"), 3, "num_train_timesteps");
  CheckFails(run("beta_start", "low"), 3, "beta_start");
}

TEST_CASE("models that are not there or not whole are refused") {
  const TempDir temp;
  fs::create_directory(temp / "empty");
  CheckFails(RunFovea({"info", temp / "absent"}), 3, "absent");
  CheckFails(RunFovea({"info", temp / "empty"}), 3, "empty");
  CheckFails(RunFovea({"info", "no-such-name"}), 3, "no-such-name");
  WritePipeline(temp / "tiny", Sd15SchedulerJson());
  fs::remove_all(temp / "tiny/vae");
  CheckFails(RunFovea({"generate", "-m", temp / "tiny", "-p", "a"}, {.folder = temp.Path()}), 3,
             "vae");
  CheckFails(RunFovea({"generate", "-p", "a"}, {.folder = temp.Path(),
                                                .env = {{"FOVEA_ASSETS", (temp / "empty").string()},
                                                        {"FOVEA_MODELS", ""},
                                                        {"HOME", temp.Path().string()}}}),
             3, "still-life-unet");
}

TEST_CASE("info counts parameters, lists attention sites and tensors") {
  const TempDir temp;
  WritePipeline(temp / "tiny", Sd15SchedulerJson());
  const ProgramResult result = RunFovea({"info", temp / "tiny", "--layers", "--tensors", "--json"});
  CheckDone(result);
  const json report = json::parse(result.out);
  CHECK(report.at("class") == "StableDiffusionPipeline");
  int64_t elements = 0;
  for (const json& tensor : report.at("tensors")) {
    int64_t count = 1;
    for (const json& side : tensor.at("shape")) count *= side.get<int64_t>();
    elements += count;
  }
  CHECK(report.at("parameters") == elements);
  CHECK(report.at("bytes") == 4 * elements);
  int cross = 0;
  for (const json& site : report.at("layers")) {
    if (site.at("component") == "unet" && site.at("kind") == "cross") ++cross;
    CHECK(site.at("heads") > 0);
    CHECK(site.at("head_size") > 0);
    CHECK(site.at("tokens") > 0);
  }
  CHECK(report.at("layers").at(0).contains("path"));
  CHECK(cross > 0);
  const ProgramResult lines = RunFovea({"info", temp / "tiny", "--layers"});
  CheckDone(lines);
  CHECK_THAT(lines.out, Catch::Contains("down_blocks.0.attentions.0.transformer_blocks.0.attn1"));
}

TEST_CASE("info reads a picture's settings") {
  const TempDir temp;
  WritePipeline(temp / "tiny", Sd15SchedulerJson());
  CheckDone(RunFovea({"generate", "-m", temp / "tiny", "-p", "a cube", "-s", "12", "--steps", "1",
                      "-o", temp / "a.png"}));
  const ProgramResult result = RunFovea({"info", temp / "a.png", "--json"});
  CheckDone(result);
  const json report = json::parse(result.out);
  CHECK(report.at("settings").at("prompt") == "a cube");
  CHECK(report.at("settings").at("seed") == 12);
  CHECK(report.at("width") == 80);
  const ProgramResult lines = RunFovea({"info", temp / "a.png"});
  CHECK_THAT(lines.out, Catch::Contains("a cube"));

  std::string bytes = ReadBytes(temp / "a.png");
  WriteBytes(temp / "short.png", bytes.substr(0, bytes.size() / 2));
  CheckFails(RunFovea({"info", temp / "short.png"}), 3, "short.png");
  CheckFails(RunFovea({"generate", "--from", temp / "absent.png"}, {.folder = temp.Path()}), 3,
             "absent.png");
  WriteBytes(temp / "text.png", "no picture");
  CheckFails(RunFovea({"generate", "--from", temp / "text.png"}, {.folder = temp.Path()}), 3,
             "text.png");
}

TEST_CASE("bench model reports the keys of the contract") {
  const Case unet("unet_sd15");
  const ProgramResult result =
      RunFovea({"bench", "model", "-m", unet.model.string(), "-b", "2", "--repeat", "2", "--json"});
  CheckDone(result);
  const json report = json::parse(result.out);
  std::vector<std::string> keys;
  for (const auto& [key, value] : report.items()) keys.push_back(key);
  CHECK(keys == std::vector<std::string>{"batch", "component", "dtype", "gflop", "gflops", "height",
                                         "peak_gflops", "peak_memory_mb", "seconds",
                                         "share_of_peak", "threads", "width"});
  CHECK(report.at("batch") == 2);
  CHECK(report.at("width") == report.at("height"));
  CHECK(report.at("width") >= 16);
  CHECK(report.at("seconds") > 0.0);
  CHECK(report.at("gflops") ==
        Approx(report.at("gflop").get<double>() / report.at("seconds").get<double>()));
  CHECK(report.at("share_of_peak") ==
        Approx(report.at("gflops").get<double>() / report.at("peak_gflops").get<double>()));
}

}  // namespace
}  // namespace fovea
