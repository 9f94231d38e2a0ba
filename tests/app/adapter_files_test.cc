// `fovea generate --lora` with files that are broken or for another model.
#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <iterator>
#include <tuple>

#include "models/files/safetensors.h"
#include "tests/support/cli_checks.h"
#include "tests/support/pipeline_case.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

constexpr const char* kScheduler =
    R"({"_class_name":"FlowMatchEulerDiscreteScheduler","shift":3,"use_dynamic_shifting":true})";

ProgramResult Generate(const TempDir& temp, const std::string& lora) {
  RunOptions here;
  here.folder = temp.Path();
  return RunFovea(
      {"generate", "-m", "tiny", "-p", "a cube", "-s", "3", "--lora", lora, "-o", "p.png"}, here);
}

TEST_CASE("adapter files that are broken or not for this model end in one line") {
  const TempDir temp;
  WritePipeline(temp / "tiny", kScheduler, "transformer_pipelines/sd3");
  std::filesystem::create_directory(temp / "folder");
  const auto write = [&](const std::string& name, const std::vector<std::string>& tensors,
                         float value = 1) {
    NamedTensors file;
    for (const std::string& tensor : tensors) {
      file[tensor] = HostTensor(Shape{1, 1}, std::vector<float>{value});
    }
    WriteSafetensors(temp / name, file);
  };
  const std::string to_q = "transformer.transformer_blocks.0.attn.to_q.";
  const std::string far = "lora_unet_joint_blocks_99_x_block_attn_qkv.";
  write("shape.safetensors", {to_q + "lora_A.weight", to_q + "lora_B.weight"});
  write("half.safetensors", {to_q + "lora_A.weight"});
  write("nan.safetensors", {to_q + "lora_A.weight", to_q + "lora_B.weight", to_q + "alpha"}, NAN);
  write("far.safetensors", {far + "lora_down.weight", far + "lora_up.weight"});
  write("glora.safetensors", {"lora_unet_joint_blocks_0_x_block_attn_qkv.a1.weight"});
  write("other.safetensors", {"unknown.weight"});
  write("folder/adapter_model.safetensors",
        {"base_model.model.transformer_blocks.0.x.lora_A.weight"});
  std::ofstream(temp / "pickle.pt") << "\x80\x02}q";
  std::ofstream(temp / "short.safetensors") << "abc";
  const auto files = [&] {
    return std::distance(std::filesystem::recursive_directory_iterator(temp.Path()),
                         std::filesystem::recursive_directory_iterator());
  };
  const auto before = files();
  for (const auto& [file, code, says] :
       {std::tuple("shape.safetensors", 3, "does not fit a weight of shape"),
        {"half.safetensors", 3, "lacks its up"},
        {"nan.safetensors", 3, "holds NaN"},
        {"far.safetensors", 3, "does not have: lora_unet_joint_blocks_99"},
        {"glora.safetensors", 4, "GLoRA"},
        {"other.safetensors", 3, "of no LoRA: unknown.weight"},
        {"folder/adapter_model.safetensors", 3, "adapter_config.json"},
        {"pickle.pt", 4, "pickled"},
        {"short.safetensors", 3, "short.safetensors"}}) {
    CAPTURE(file);
    CheckFails(Generate(temp, file), code, says);
    CHECK(files() == before);
  }
}

}  // namespace
}  // namespace fovea
