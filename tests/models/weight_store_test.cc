#include "models/weight_store.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>

#include "models/ignorable_names.h"
#include "tensor/error.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

std::string ErrorOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kBadFile);
    const std::string text = error.what();
    CHECK(text.find('\n') == std::string::npos);
    return text;
  }
  FAIL("no error");
  return "";
}

#define CHECK_ERROR(body, expected)                  \
  do {                                               \
    const std::string text = ErrorOf([&] { body; }); \
    INFO(text);                                      \
    CHECK(text.find(expected) != std::string::npos); \
  } while (false)

HostTensor Counting(const Shape& shape) {
  HostTensor out(shape, DType::kF32);
  for (int64_t i = 0; i < out.NumElements(); ++i) out.Data<float>()[i] = static_cast<float>(i) - 2;
  return out;
}

HostTensor Half(const Shape& shape) {
  HostTensor out(shape, DType::kF16);
  for (int64_t i = 0; i < out.NumElements(); ++i) {
    out.Data<Float16>()[i] = ToFloat16(static_cast<float>(i) / 2);
  }
  return out;
}

void Write(const fs::path& path, const std::vector<std::string>& names) {
  NamedTensors tensors;
  for (const std::string& name : names) tensors.emplace(name, Counting({2, 3}));
  WriteSafetensors(path, tensors);
}

void WriteText(const fs::path& path, const std::string& text) {
  std::ofstream(path) << text;
}

TEST_CASE("weights: one file is read in the file's dtype, f32 on request") {
  const TempDir folder;
  NamedTensors tensors;
  tensors.emplace("a.weight", Half({3, 5}));
  tensors.emplace("a.bias", Half({3}));
  tensors.emplace("b", Counting({4}));
  HostTensor wide({2}, std::vector<double>{0.1, -3});
  tensors.emplace("wide", wide);
  const auto path = folder / "x.safetensors";
  WriteSafetensors(path, tensors);
  const auto store = WeightStore::Open(path);
  CHECK(store->Where() == path.string());
  CHECK(store->MappedBytes() == 30 + 6 + 16 + 16);

  const Tensor half = store->Get("a.weight", {3, 5});
  CHECK(half.dtype == DType::kF16);
  CHECK(store->IsMapped(half));
  const Tensor bias = store->GetF32("a.bias", {3});
  CHECK(bias.dtype == DType::kF32);
  CHECK_FALSE(store->IsMapped(bias));
  CHECK(bias.Data<float>()[2] == 1.0f);
  CHECK(store->GetF32("a.bias", {3}).data == bias.data);
  CHECK(store->ConvertedBytes() == 12);
  CHECK(store->IsMapped(store->GetF32("b", {4})));
  const Tensor narrowed = store->Get("wide", {2});
  CHECK(narrowed.dtype == DType::kF32);
  CHECK(narrowed.Data<float>()[0] == 0.1f);
  store->CheckAllRead();
  REQUIRE(store->Entries().size() == 4);
  CHECK(store->Entries()[0].name == "a.bias");
  CHECK(store->ShapeOf("a.weight") == Shape({3, 5}));
}

TEST_CASE("weights: missing, misshapen and surplus tensors are named") {
  const TempDir folder;
  const auto path = folder / "x.safetensors";
  Write(path, {"a", "b", "c", "d", "e", "f", "g"});
  const auto store = WeightStore::Open(path);
  CHECK_ERROR(store->Get("missing.weight", {7}), "x.safetensors: tensor missing.weight is missing");
  CHECK_ERROR(store->Get("missing.weight", {7}), "[7]");
  CHECK_ERROR(store->Get("a", {3, 2}), "tensor a has shape [2, 3], but the model needs [3, 2]");
  CHECK_ERROR(store->GetF32("a", {6}), "tensor a has shape [2, 3], but the model needs [6]");
  CHECK_ERROR(store->CheckAllRead(),
              "tensors that the model does not have: a, b, c, d, e and 2 more");
  for (const char* name : {"a", "b", "c", "d", "e", "f"}) store->Get(name, {2, 3});
  CHECK_ERROR(store->CheckAllRead(), "does not have: g");
  store->Get("g", {2, 3});
  store->CheckAllRead();
}

TEST_CASE("weights: integers are not weights") {
  const TempDir folder;
  NamedTensors tensors;
  tensors.emplace("q.weight", HostTensor({2}, std::vector<int8_t>{1, 2}));
  WriteSafetensors(folder / "x.safetensors", tensors);
  const auto store = WeightStore::Open(folder / "x.safetensors");
  CHECK_ERROR(store->Get("q.weight", {2}), "tensor q.weight has dtype I8");
}

TEST_CASE("weights: the table of ignorable names") {
  for (const char* name :
       {"betas", "alphas_cumprod", "sqrt_one_minus_alphas_cumprod", "posterior_mean_coef2",
        "model_ema.decay", "model_ema.diffusion_modelinput_blocks00weight", "position_ids",
        "text_model.embeddings.position_ids", "embeddings.position_ids", "logit_scale",
        "clip.logit_scale", "bn.num_batches_tracked", "optimizer.state.0.exp_avg",
        "optimizer_states.0.step"}) {
    INFO(name);
    CHECK(IsIgnorable(name));
  }
  for (const char* name : {"", "weight", "betas.weight", "my_betas", "model_emax", "model.betas2",
                           "position_ids.weight", "logit_scale_bias", "conv_in.weight",
                           "encoder.optimizer.weight", "decoder.betas"}) {
    INFO(name);
    CHECK_FALSE(IsIgnorable(name));
  }
  const TempDir folder;
  Write(folder / "x.safetensors", {"betas", "model_ema.a", "e.position_ids", "w"});
  const auto store = WeightStore::Open(folder / "x.safetensors");
  CHECK_ERROR(store->CheckAllRead(), "tensors that the model does not have: w");
  store->Get("w", {2, 3});
  store->CheckAllRead();
}

TEST_CASE("weights: a folder's file is found by its name, the plain one first") {
  const TempDir folder;
  CHECK_ERROR(WeightStore::Open(folder.Path()), "has no weights");
  CHECK_ERROR(WeightStore::Open(folder / "no"), "does not exist");
  WriteText(folder / "diffusion_pytorch_model.bin", "x");
  CHECK_ERROR(WeightStore::Open(folder.Path()),
              "convert diffusion_pytorch_model.bin to safetensors");
  Write(folder / "model.fp16.safetensors", {"transformers half"});
  CHECK(WeightStore::Open(folder.Path())->Has("transformers half"));
  Write(folder / "model.safetensors", {"transformers"});
  CHECK(WeightStore::Open(folder.Path())->Has("transformers"));
  Write(folder / "diffusion_pytorch_model.fp16.safetensors", {"half"});
  CHECK(WeightStore::Open(folder.Path())->Has("half"));
  Write(folder / "diffusion_pytorch_model.safetensors", {"plain"});
  CHECK(WeightStore::Open(folder.Path())->Has("plain"));
}

TEST_CASE("weights: shards are joined by their index") {
  const TempDir folder;
  const auto index = folder / "diffusion_pytorch_model.safetensors.index.json";
  Write(folder / "m-1.safetensors", {"a", "b"});
  Write(folder / "m-2.safetensors", {"c", "betas"});
  WriteText(index, R"({"metadata":{"total_size":96},"weight_map":{"a":"m-1.safetensors",)"
                   R"("b":"m-1.safetensors","c":"m-2.safetensors"}})");
  const auto store = WeightStore::Open(folder.Path());
  CHECK(store->Has("a"));
  CHECK(store->Has("c"));
  CHECK_FALSE(store->Has("betas"));  // in a shard, but not listed; ignorable
  CHECK_ERROR(store->CheckAllRead(), "index.json: tensors that the model does not have: a, b, c;");
  CHECK_ERROR(store->Get("a", {1}), "m-1.safetensors: tensor a has shape");
  CHECK_ERROR(store->Get("z", {1}), "index.json: tensor z is missing");
  for (const char* name : {"a", "b", "c"}) store->Get(name, {2, 3});
  store->CheckAllRead();

  Write(folder / "m-2.safetensors", {"c", "extra"});
  const auto surplus = WeightStore::Open(index);
  for (const char* name : {"a", "b", "c"}) surplus->Get(name, {2, 3});
  CHECK_ERROR(surplus->CheckAllRead(), "in its shards that it does not list: extra");
}

TEST_CASE("weights: broken indexes are refused") {
  const TempDir folder;
  const auto index = folder / "model.safetensors.index.json";
  Write(folder / "m-1.safetensors", {"a"});
  const auto refuse = [&](const std::string& content, const std::string& expected) {
    WriteText(index, content);
    CHECK_ERROR(WeightStore::Open(folder.Path()), expected);
  };
  refuse("", "not valid JSON");
  refuse("[]", "weight_map must be an object");
  refuse("{}", "weight_map must be an object");
  refuse(R"({"weight_map":[]})", "weight_map must be an object");
  refuse(R"({"weight_map":{}})", "names no tensors");
  refuse(R"({"weight_map":{"a":1}})", "must be a file name");
  refuse(R"({"weight_map":{"a":"../m-1.safetensors"}})", "of the same folder");
  refuse(R"({"weight_map":{"a":"/etc/m-1.safetensors"}})", "of the same folder");
  refuse(R"({"weight_map":{"a":"sub\\m-1.safetensors"}})", "of the same folder");
  refuse(R"({"weight_map":{"a":".."}})", "of the same folder");
  refuse(R"({"weight_map":{"a":"m-1.bin"}})", "not a .safetensors file");
  refuse(R"({"weight_map":{"a":"m-2.safetensors"}})", "shard m-2.safetensors is missing");
  refuse(R"({"weight_map":{"a":"m-1.safetensors","b":"m-1.safetensors"}})",
         "lists tensor b in m-1.safetensors, which does not have it");
  refuse(R"({"weight_map":{"a":"m-1.safetensors","a":"m-1.safetensors"}})", "given twice");
  refuse(R"({"weight_map":)" + std::string(100000, '['), "nested deeper");
}

TEST_CASE("weights: an overlay's tensors stand for those of the same names, strictly") {
  const TempDir folder;
  Write(folder / "base.safetensors", {"a.weight", "b.weight"});
  const auto overlay = [&](const std::string& name, const Shape& shape) {
    NamedTensors tensors;
    HostTensor other(shape, DType::kF32);
    std::fill_n(other.Data<float>(), other.NumElements(), 7.0f);
    tensors.emplace(name, std::move(other));
    WriteSafetensors(folder / "over.safetensors", tensors);
    const auto store = WeightStore::Open(folder / "base.safetensors");
    store->SetOverlay(folder / "over.safetensors");
    return store;
  };
  const auto read = [](const WeightStore& store) {
    const float b = store.Get("b.weight", {2, 3}).Data<float>()[0];
    const Tensor a = store.Get("a.weight", {2, 3});
    CHECK(store.IsMapped(a));
    store.CheckAllRead();
    return std::pair(a.Data<float>()[5], b);
  };
  CHECK(read(*overlay("a.weight", {2, 3})) == std::pair(7.0f, -2.0f));
  CHECK(read(*WeightStore::Open(folder / "base.safetensors")) == std::pair(3.0f, -2.0f));
  CHECK_ERROR(read(*overlay("a.weight", {3, 2})), "over.safetensors: tensor a.weight has shape");
  CHECK_ERROR(read(*overlay("c.weight", {2, 3})), "c.weight");
}

TEST_CASE("weights: misaligned data is copied once") {
  const TempDir folder;
  const std::string header =
      R"({"pad":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"t":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  std::string file(8, '\0');
  file[0] = static_cast<char>(header.size());
  file += header;
  const float values[2] = {1.5f, -2.25f};
  file += 'x';
  file.append(reinterpret_cast<const char*>(values), sizeof values);
  std::ofstream(folder / "x.safetensors", std::ios::binary) << file;
  const auto store = WeightStore::Open(folder / "x.safetensors");
  const Tensor t = store->Get("t", {2});
  CHECK(reinterpret_cast<uintptr_t>(t.data) % 4 == 0);
  CHECK(std::memcmp(t.data, values, sizeof values) == 0);
  CHECK(store->GetF32("t", {2}).Data<float>()[1] == -2.25f);
}

TEST_CASE("weights: a scope names members as the checkpoint does") {
  const TempDir folder;
  NamedTensors tensors;
  tensors.emplace("block.0.to_q.weight", Half({4, 6}));
  tensors.emplace("block.0.to_q.bias", Half({4}));
  tensors.emplace("block.0.conv.weight", Counting({4, 2, 3, 3}));
  tensors.emplace("block.0.conv.bias", Counting({4}));
  tensors.emplace("block.0.one.weight", Counting({4, 6, 1, 1}));
  tensors.emplace("block.0.flat.weight", Counting({4, 6}));
  WriteSafetensors(folder / "x.safetensors", tensors);
  const auto store = WeightStore::Open(folder / "x.safetensors");
  const WeightScope scope = WeightScope(*store).Sub("block", 0);
  CHECK(scope.Path() == "block.0");
  CHECK(scope.Prefix() == "block.0.");
  CHECK(WeightScope(*store).Path().empty());
  CHECK(scope.Has("to_q.bias"));
  CHECK_FALSE(scope.Has("to_k.bias"));

  const Weight q = scope.Linear("to_q", 6, 4);
  CHECK(q.w.dtype == DType::kF16);
  CHECK(q.bias.dtype == DType::kF32);
  CHECK(q.mapped);
  CHECK(scope.Conv2d("conv", 2, 4, 3).w.shape == Shape({4, 2, 3, 3}));
  CHECK(scope.Linear("one", 6, 4, false).w.shape == Shape({4, 6}));
  CHECK(scope.Conv2d("flat", 6, 4, 1, false).w.shape == Shape({4, 6, 1, 1}));
  CHECK(scope.Conv2d("flat", 6, 4, 1, false).bias.Empty());
  store->CheckAllRead();

  CHECK_ERROR(scope.Linear("to_q", 4, 6),
              "block.0.to_q.weight has shape [4, 6], but the model needs [6, 4]");
  CHECK_ERROR(scope.Linear("flat", 6, 4), "block.0.flat.bias is missing");
  CHECK_ERROR(scope.Conv2d("conv", 2, 4, 1), "block.0.conv.weight has shape [4, 2, 3, 3]");
  CHECK_ERROR(scope.Linear("conv", 2, 4), "block.0.conv.weight has shape [4, 2, 3, 3]");
}

}  // namespace
}  // namespace fovea
