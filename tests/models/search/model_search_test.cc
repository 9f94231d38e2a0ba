// Names looked up in the folder trees that people have.
#include "models/search/model_search.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>

#include "models/files/safetensors.h"
#include "models/search/model_tree.h"
#include "models/single_file/find_tokenizer.h"
#include "tensor/error.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

void Write(const fs::path& path, const std::string& text = "x") {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

void CheckError(ErrorCode code, const std::string& says, const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == code);
    CHECK_THAT(error.what(), Catch::Contains(says));
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    return;
  }
  FAIL("no error that says " + says);
}

TEST_CASE("model search: a path, then names in order, in the trees of other programs") {
  const TempDir a, b;
  Write(a / "one/config.json");
  Write(b / "one/config.json");
  Write(b / "still-life-unet/model_index.json");
  Write(b / "diffusers/two/model_index.json");
  Write(b / "models/diffusers/three/model_index.json");
  Write(b / "models/Stable-diffusion/four.safetensors");
  Write(b / "models/checkpoints/five.safetensors");
  Write(b / "models/six/config.json");
  Write(b / "nothing/readme.txt");
  const std::vector<fs::path> search = {a.Path(), b.Path()};
  CHECK(FindModel((a / "one").string(), search) == a / "one");
  CHECK(FindModel("one", search) == a / "one");
  CHECK(FindModel("", search) == b / "still-life-unet");
  CHECK(FindModel("two", search) == b / "diffusers/two");
  CHECK(FindModel("three", search) == b / "models/diffusers/three");
  CHECK(FindModel("four", search) == b / "models/Stable-diffusion/four.safetensors");
  CHECK(FindModel("five.safetensors", search) == b / "models/checkpoints/five.safetensors");
  CHECK(FindModel("six", search) == b / "models/six");
  const auto bad = [&](const std::string& name, const std::string& says) {
    CheckError(ErrorCode::kBadFile, says, [&] { FindModel(name, search); });
  };
  bad("nothing", "model nothing: is neither a path nor in " + a.Path().string());
  bad("seven", b.Path().string());
  bad("ne", "neither");
  bad("../one", "does not exist");
  bad("/no/such", "does not exist");
  CheckError(ErrorCode::kBadFile, "still-life-unet", [] { FindModel("", {}); });
}

TEST_CASE("model search: folders of the user's own") {
  const TempDir root;
  const fs::path tree = root / "webui/models", plain = root / "plain";
  Write(tree / "Stable-diffusion/SD15/2023/dream.safetensors");
  Write(tree / "Stable-diffusion/XL/dream.safetensors");
  Write(tree / "Stable-diffusion/only.safetensors");
  Write(tree / "Stable-diffusion/old/only.safetensors");
  Write(tree / "Stable-diffusion/old/deep.safetensors");
  Write(tree / "Stable-diffusion/old/pickled.ckpt");
  Write(tree / "Stable-diffusion/.hidden/secret.safetensors");
  Write(tree / "Lora/people/style.safetensors");
  Write(root / "webui/venv/lib/deep.safetensors");
  Write(plain / "a/b/c.safetensors");
  Write(plain / "a/pipeline/model_index.json");
  Write(plain / "a/pipeline/unet/config.json");
  for (const fs::path& base : {tree, root / "webui"}) {
    const std::vector<fs::path> search = {base, plain};
    CHECK(FindModel("only", search) == tree / "Stable-diffusion/only.safetensors");
    CHECK(FindModel("deep", search) == tree / "Stable-diffusion/old/deep.safetensors");
    CHECK(FindModel("XL/dream", search) == tree / "Stable-diffusion/XL/dream.safetensors");
    CHECK(FindModel("2023/dream.safetensors", search) ==
          tree / "Stable-diffusion/SD15/2023/dream.safetensors");
    CHECK(FindModel("c", search) == plain / "a/b/c.safetensors");
    CHECK(FindModel("pipeline", search) == plain / "a/pipeline");
    CHECK(FindLora("style", search) == tree / "Lora/people/style.safetensors");
    CheckError(ErrorCode::kUsage, "2023/dream.safetensors, ", [&] { FindModel("dream", search); });
    CheckError(ErrorCode::kUnsupported, "old/pickled.ckpt", [&] { FindModel("pickled", search); });
    for (const char* absent : {"secret", "unet", "style", "eep", "b"}) {
      CheckError(ErrorCode::kBadFile, "neither", [&] { FindModel(absent, search); });
    }
    CheckError(ErrorCode::kBadFile, "neither", [&] { FindLora("only", search); });
  }
  const std::string pickle = tree / "Stable-diffusion/old/pickled.ckpt";
  CheckError(ErrorCode::kUnsupported, "convert it", [&] { FindModel(pickle, {}); });
}

TEST_CASE("model search: one model found by two ways is one") {
  const TempDir root;
  Write(root / "models/checkpoints/x.safetensors");
  fs::create_directory_symlink("models/checkpoints", root / "checkpoints");
  fs::create_symlink("x.safetensors", root / "models/checkpoints/x");
  CHECK(FindModel("x", {root.Path()}) == root / "checkpoints/x");
  Write(root / "models/diffusers/x/config.json");
  CheckError(ErrorCode::kUsage,
             "x is the name of several: ", [&] { FindModel("x", {root.Path()}); });
  CHECK(FindModel("diffusers/x", {root.Path()}) == root / "models/diffusers/x");
}

TEST_CASE("model search: Hugging Face's cache") {
  const TempDir root;
  const fs::path hub = root / "hub";
  const auto snapshots = [&](const std::string& name) { return hub / name / "snapshots"; };
  Write(snapshots("models--org--sd-v1--5") / "aaaa/model_index.json");
  Write(snapshots("models--org--sd-v1--5") / "bbbb/model_index.json");
  Write(hub / "models--org--sd-v1--5/refs/main", "bbbb\n");
  Write(snapshots("models--org--single") / "cccc/file.safetensors");
  Write(snapshots("models--other--two") / "1/model_index.json");
  Write(snapshots("models--other--two") / "2/model_index.json");
  Write(hub / "models--other--two/refs/main", "../../../elsewhere");
  for (const fs::path& base : {root.Path(), hub}) {
    const std::vector<fs::path> search = {base};
    CHECK(FindModel("org/sd-v1--5", search) == snapshots("models--org--sd-v1--5") / "bbbb");
    CHECK(FindModel("sd-v1--5", search) == snapshots("models--org--sd-v1--5") / "bbbb");
    CHECK(FindModel("file", search) == snapshots("models--org--single") / "cccc/file.safetensors");
    CheckError(ErrorCode::kUsage, "several", [&] { FindModel("other/two", search); });
    CheckError(ErrorCode::kBadFile, "neither", [&] { FindModel("org/absent", search); });
  }
  for (const char* name : {"vocab.json", "merges.txt"}) {
    Write(snapshots("models--org--sd-v1--5") / "bbbb/tokenizer" / name);
  }
  CHECK_FALSE(FindTokenizer({hub}, 49408).has_value());  // none that can be read
}

TEST_CASE("model search: links in a circle and trees without end") {
  const TempDir root;
  Write(root / "a/x.safetensors");
  fs::create_directory_symlink("..", root / "a/back");
  fs::create_directory_symlink(".", root / "a/self");
  std::vector<std::string> names;
  const auto visit = [&](const TreeEntry& entry) { names.push_back(entry.name); };
  CHECK(WalkModels(root.Path(), kDeepest, visit));
  CHECK(names == std::vector<std::string>{"a/x"});
  CheckError(ErrorCode::kBadFile, "neither", [&] { FindModel("y", {root.Path()}); });

  fs::path deep = root / "deep";
  for (int i = 0; i < kDeepest + 2; ++i) deep /= "d";
  Write(deep / "z.safetensors");
  CHECK_FALSE(WalkModels(root.Path(), kDeepest, visit));
  CheckError(ErrorCode::kBadFile, "too large", [&] { FindModel("z", {root.Path()}); });
  CHECK(WalkModels(root / "absent", kDeepest, visit));
}

TEST_CASE("model search: LoRA files where people keep them") {
  const TempDir temp;
  Write(temp / "a/models/Lora/style/one.safetensors");
  Write(temp / "b/loras/two.safetensors");
  const std::vector<fs::path> search{temp / "a", temp / "b"};
  CHECK(FindLora("style/one", search) == temp / "a/models/Lora/style/one.safetensors");
  CHECK(FindLora("two", search) == temp / "b/loras/two.safetensors");
  CHECK(FindLora("two.safetensors", search) == temp / "b/loras/two.safetensors");
  const std::string path = temp / "b/loras/two.safetensors";
  CHECK(FindLora(path, {}) == path);
  CheckError(ErrorCode::kBadFile, "LoRA three: is neither", [&] { FindLora("three", search); });
  CheckError(ErrorCode::kBadFile, "does not exist", [&] { FindLora("/three", search); });
  CheckError(ErrorCode::kBadFile, "does not exist", [&] { FindLora("../b/loras/two", search); });

  // PEFT's adapters are folders.
  Write(temp / "b/loras/three/adapter_config.json");
  Write(temp / "b/loras/three/adapter_model.safetensors");
  const fs::path weights = temp / "b/loras/three/adapter_model.safetensors";
  CHECK(FindLora("three", search) == weights);
  CHECK(FindLora(temp / "b/loras/three", {}) == weights);
  fs::rename(weights, temp / "b/loras/three/adapter_model.bin");
  CheckError(ErrorCode::kUnsupported, "pickled", [&] { FindLora("three", search); });
  CheckError(ErrorCode::kUnsupported, "pickled",
             [&] { FindLora(temp / "b/loras/three/adapter_model.bin", search); });
  CheckError(ErrorCode::kBadFile, "is a folder without",
             [&] { FindLora(temp / "b/loras", search); });
}

TEST_CASE("model search: the list of what is there") {
  const TempDir root;
  const fs::path tree = root / "tree", plain = root / "plain";
  Write(tree / "models/checkpoints/xl/base.safetensors", "12345");
  Write(tree / "models/checkpoints/old.ckpt");
  Write(tree / "models/loras/style.safetensors");
  Write(tree / "models/vae/ft.safetensors");
  Write(tree / "top.safetensors");
  Write(tree / "venv/lib/other.safetensors");
  for (const char* name : {"vocab.json", "merges.txt"}) Write(tree / "tokenizers/clip" / name);
  Write(plain / "sub/pipe/model_index.json", "{}");
  Write(plain / "sub/pipe/unet/weights", "1234567");
  Write(plain / "part/config.json", "{}");
  fs::create_directories(plain / "files");
  WriteSafetensors(plain / "files/l.safetensors",
                   {{"lora_unet_x.lora_up.weight", HostTensor({1}, DType::kF32)}});
  WriteSafetensors(plain / "files/m.safetensors",
                   {{"model.diffusion_model.x", HostTensor({1}, DType::kF32)}});
  std::string text;
  for (const ListedModel& each : ListModels({tree, plain, root / "absent"}).models) {
    text += each.kind + " " + each.name + "\n";
    if (each.name == "xl/base") CHECK(each.bytes == 5);
    if (each.name == "sub/pipe") CHECK(each.bytes == 9);
    if (each.kind != "tokenizer" && each.kind != "pickle" && each.kind != "vae") {
      const std::vector<fs::path> search{tree, plain};
      CHECK((each.kind == "lora" ? FindLora(each.name, search) : FindModel(each.name, search)) ==
            each.path);
    }
  }
  CHECK(text ==
        "checkpoint xl/base\nlora style\npickle old.ckpt\ntokenizer clip\nunreadable top\nvae ft\n"
        "checkpoint files/m\ncomponent part\nlora files/l\npipeline sub/pipe\n");
}

TEST_CASE("model search: flags, then the variable, then home, then the built-in ones") {
  const char* old_home = std::getenv("HOME");
  const std::string home = old_home != nullptr ? old_home : "";
  unsetenv("XDG_DATA_HOME");
  setenv("FOVEA_MODELS", "/x::/y:", 1);
  setenv("HOME", "/me", 1);
  const auto path = ModelSearchPath({"/flag"}, "/built-in");
  unsetenv("FOVEA_MODELS");
  const auto short_path = ModelSearchPath({}, "/built-in");
  // Absolute ones alone count.
  setenv("XDG_DATA_HOME", "/xdg", 1);
  const auto xdg_path = ModelSearchPath({}, "");
  setenv("XDG_DATA_HOME", "relative", 1);
  const auto relative_path = ModelSearchPath({}, "");
  unsetenv("XDG_DATA_HOME");
  setenv("HOME", home.c_str(), 1);
  CHECK(xdg_path == std::vector<fs::path>{"/xdg/fovea/models", "/me/.local/share/fovea/models"});
  CHECK(relative_path == std::vector<fs::path>{"/me/.local/share/fovea/models"});
  CHECK(path ==
        std::vector<fs::path>{"/flag", "/x", "/y", "/me/.local/share/fovea/models", "/built-in"});
  CHECK(short_path == std::vector<fs::path>{"/me/.local/share/fovea/models", "/built-in"});
}

}  // namespace
}  // namespace fovea
