// `fovea classify` and `fovea embed` on tiny models and on the built-in CLIP, and attention plans
// on Vision Transformers.
#include <catch2/catch.hpp>
#include <cmath>

#include <nlohmann/json.hpp>

#include "models/files/safetensors.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/vision/find_tower.h"
#include "pipelines/vision/picture_model.h"
#include "tests/support/cli_checks.h"
#include "tests/support/golden_case.h"
#include "tests/support/temp_dir.h"
#include "tests/support/worst.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A golden ViT as a folder with preprocessing, and pictures.
struct VitCase {
  TempDir temp;
  GoldenCase golden;
  fs::path model = temp / "model", pictures = temp / "pictures";

  explicit VitCase(const char* name, int side)
      : golden(GoldenCase::Read(GoldenFolder() / "forward" / name)) {
    golden.WriteModel(model);
    WriteBytes(model / "preprocessor_config.json",
               json{{"image_processor_type", "ViTImageProcessor"},
                    {"size", {{"height", side}, {"width", side}}}}
                   .dump());
    fs::create_directory(pictures);
    for (const char* picture : {"tall.png", "full.jpg"}) {
      fs::copy_file(GoldenFolder() / "pictures" / picture, pictures / picture);
    }
  }
};

TEST_CASE("classify lists the classes of every picture of a folder") {
  const VitCase vit("vit_plain", 32);
  const ProgramResult result =
      RunFovea({"classify", "-m", vit.model, vit.pictures, "--json", "--top", "9"});
  CheckDone(result);
  const json report = json::parse(result.out);
  REQUIRE(report.size() == 1);
  const json& pictures = report.at("pictures");
  REQUIRE(pictures.size() == 2);
  CHECK(pictures[0].at("file") == (vit.pictures / "full.jpg").string());
  CHECK(pictures[1].at("file") == (vit.pictures / "tall.png").string());
  for (const json& picture : pictures) {
    REQUIRE(picture.at("labels").size() == 5);  // the model has no more
    double sum = 0, last = 1;
    for (const json& label : picture.at("labels")) {
      CHECK(label.at("label") == "kind " + label.at("index").dump());
      CHECK(label.at("probability") <= last);
      last = label.at("probability");
      sum += last;
    }
    CHECK(std::abs(sum - 1) < 1e-6);
  }
  CHECK(result.err.find("2/2") != std::string::npos);
}

TEST_CASE("classify says what is wrong in one line") {
  const VitCase vit("vit_dinov2", 42);
  CheckFails(RunFovea({"classify", "-m", vit.model, vit.pictures}), 4, "no classifier");
  CheckFails(RunFovea({"classify", "-m", vit.model, vit.temp / "none.png"}), 3, "none.png");
  CheckFails(RunFovea({"classify", "-m", vit.model, vit.model}), 3, "holds no pictures");
  CheckFails(RunFovea({"classify", vit.pictures}), 2, "-m");
  CheckFails(RunFovea({"classify", "-m", vit.model}), 2, "picture");
  CheckFails(RunFovea({"classify", "-m", vit.model, vit.model / "config.json"}), 3, "config.json");
  fs::remove(vit.model / "preprocessor_config.json");
  CheckFails(RunFovea({"classify", "-m", vit.model, vit.pictures}), 3, "preprocessor_config.json");
  CheckFails(RunFovea({"classify", "-m", "still-life-unet", vit.pictures}), 4,
             "no Vision Transformer");
}

TEST_CASE("embed gives the vectors of the pass itself") {
  const VitCase vit("vit_dinov2", 42);
  const fs::path out = vit.temp / "e.safetensors";
  const ProgramResult result = RunFovea(
      {"embed", "-m", vit.model, vit.pictures / "tall.png", vit.pictures, "--out", out, "--json"});
  CheckDone(result);
  const json report = json::parse(result.out);
  CHECK(report.at("files") ==
        json({(vit.pictures / "tall.png").string(), (vit.pictures / "full.jpg").string(),
              (vit.pictures / "tall.png").string()}));
  const NamedTensors got = ReadSafetensors(out);
  REQUIRE(got.size() == 1);
  const HostTensor& rows = got.at("embeddings");
  REQUIRE(rows.shape() == Shape{3, 32});
  CHECK(std::equal(rows.Data<float>(), rows.Data<float>() + 32, rows.Data<float>() + 64));

  const auto backend = MakeCpuBackend();
  const ModelFolder folder = OpenModelFolder(vit.model);
  const auto model = PictureModel::Load(FindPictureComponent(folder, {}), *backend);
  const HostTensor want = model->Embed(ReadPicture(vit.pictures / "tall.png"), {});
  Worst worst;  // programs and tests may differ in threads
  for (int i = 0; i < 32; ++i) worst.Add(rows.Data<float>()[i], want.Data<float>()[i]);
  CHECK(worst.Value() <= 1e-5);
}

TEST_CASE("embed puts texts and pictures of the built-in CLIP into one space") {
  const VitCase vit("vit_plain", 32);
  const fs::path texts = vit.temp / "texts.txt", out = vit.temp / "e.safetensors";
  WriteBytes(texts, "a red sphere\r\n\na blue cube");
  const ProgramResult result =
      RunFovea({"embed", texts, vit.pictures / "tall.png", "--out", out, "--json"});
  CheckDone(result);
  const json report = json::parse(result.out);
  CHECK(report.at("texts") == json({"a red sphere", "a blue cube", nullptr}));
  CHECK(report.at("embeddings") == json({3, 128}));
  CheckFails(RunFovea({"embed", "-m", vit.model, texts, "--out", out}), 4, "CLIP text model");
  WriteBytes(texts, "\n\n");
  CheckFails(RunFovea({"embed", texts, "--out", out}), 3, "holds no text");
  CheckFails(RunFovea({"embed", vit.pictures}), 2, "--out");
}

HostTensor StatesUnder(const VitCase& vit, const std::string& plan) {
  const fs::path in = vit.temp / "in.safetensors", out = vit.temp / "out.safetensors";
  WriteSafetensors(in, vit.golden.runs.at(0).inputs);
  std::vector<std::string> words = {"forward", "-m", vit.model, "--in", in, "--out", out};
  if (!plan.empty()) words.insert(words.end(), {"--attention", plan});
  CheckDone(RunFovea(words));
  return ReadSafetensors(out).at("last_hidden_state");
}

bool SameBytes(const HostTensor& a, const HostTensor& b) {
  return a.shape() == b.shape() && std::equal(static_cast<const char*>(a.data()),
                                              static_cast<const char*>(a.data()) + a.Bytes(),
                                              static_cast<const char*>(b.data()));
}

TEST_CASE("attention plans work on Vision Transformers") {
  const VitCase vit("vit_dinov2_registers", 56);
  const HostTensor dense = StatesUnder(vit, "");
  CHECK(SameBytes(dense, StatesUnder(vit, "*:dense")));
  // A window over the whole grid of 8x8 sees everything, in another order of sums.
  CHECK(RelativeL2(StatesUnder(vit, "encoder.layer.*: gna(window=15)"), dense) < 1e-5);
  const double local =
      RelativeL2(StatesUnder(vit, "encoder.layer.1.attention: gna(window=3)"), dense);
  CHECK(local > 1e-4);
  CHECK(local < 1);
  const ProgramResult layers = RunFovea({"info", vit.model, "--layers", "--json"});
  CheckDone(layers);
  CHECK(layers.out.find("encoder.layer.1.attention") != std::string::npos);
}

TEST_CASE("registers may be none, and then a tensor without rows") {
  const VitCase vit("vit_dinov2_registers", 56);
  const fs::path weights = vit.model / "model.safetensors";
  json config = json::parse(ReadBytes(vit.model / "config.json"));
  config["num_register_tokens"] = 0;
  WriteBytes(vit.model / "config.json", config.dump());
  NamedTensors tensors = ReadSafetensors(weights);
  REQUIRE(tensors.contains("embeddings.register_tokens"));
  tensors["embeddings.register_tokens"] = HostTensor({1, 0, 32}, DType::kF32);
  WriteSafetensors(weights, tensors);
  CHECK(StatesUnder(vit, "").shape() == Shape{2, 65, 32});
  tensors.erase("embeddings.register_tokens");
  WriteSafetensors(weights, tensors);
  CHECK(StatesUnder(vit, "").shape() == Shape{2, 65, 32});
}

TEST_CASE("layers trained with agents keep them unless a plan says otherwise") {
  const VitCase vit("vit_agent_deit", 40);
  const HostTensor own = StatesUnder(vit, "");
  CHECK(RelativeL2(StatesUnder(vit, "*:dense"), own) > 1e-4);
  // The same operator by name, for some heads: each head gets its own biases and filters.
  CHECK(SameBytes(StatesUnder(vit, "blocks.0.attn#1,3: agent(agents=2x2)"), own));
  // A rule without a selector leaves what it cannot serve as it was.
  CHECK(SameBytes(StatesUnder(vit, "radial(model=wan)"), own));
}

TEST_CASE("one bad picture of a folder is named and skipped, and the rest is done") {
  const VitCase vit("vit_plain", 32);
  const std::string png = ReadBytes(vit.pictures / "tall.png");
  WriteBytes(vit.pictures / "cut.png", png.substr(0, 90));
  WriteBytes(vit.pictures / "._tall.png", "no picture");  // as macOS leaves them
  WriteBytes(vit.pictures / "photo.heic", "any");
  const ProgramResult classified = RunFovea({"classify", "-m", vit.model, vit.pictures, "--json"});
  CHECK(classified.exit_code == 7);
  const json report = json::parse(classified.out);
  CHECK(report.at("pictures").size() == 2);
  CHECK(report.at("skipped") == json{(vit.pictures / "cut.png").string()});
  CHECK(classified.err.find("cut.png") != std::string::npos);
  CHECK(classified.err.find("photo.heic") != std::string::npos);
  CHECK(classified.err.find("._tall.png") == std::string::npos);

  const fs::path out = vit.temp / "e.safetensors";
  const ProgramResult embedded =
      RunFovea({"embed", "-m", vit.model, vit.pictures, "--out", out, "--json"});
  CHECK(embedded.exit_code == 7);
  CHECK(json::parse(embedded.out).at("files").size() == 2);
  CHECK(ReadSafetensors(out).at("embeddings").shape()[0] == 2);

  const ProgramResult inspected = RunFovea(
      {"inspect", "-m", vit.model, "-i", vit.pictures, "--maps", "cls", "-o", vit.temp / "maps"});
  CHECK(inspected.exit_code == 7);
  CHECK(fs::exists(vit.temp / "maps/manifest.json"));

  // One that was named is an error, and so is a folder of which none can be read.
  CheckFails(RunFovea({"embed", "-m", vit.model, vit.pictures / "cut.png", "--out", out}), 3,
             "cut.png");
  fs::create_directory(vit.temp / "bad");
  WriteBytes(vit.temp / "bad/a.png", "no picture");
  CHECK(RunFovea({"classify", "-m", vit.model, vit.temp / "bad"}).exit_code == 3);
}

TEST_CASE("inspect takes any number of pictures after one flag") {
  const VitCase vit("vit_plain", 32);
  const ProgramResult result =
      RunFovea({"inspect", "-m", vit.model, "-i", vit.pictures / "full.jpg",
                vit.pictures / "tall.png", "--maps", "cls", "--json", "-o", vit.temp / "maps"});
  CheckDone(result);
  CHECK(json::parse(result.out).at("settings").at("pictures").size() == 2);
}

}  // namespace
}  // namespace fovea
