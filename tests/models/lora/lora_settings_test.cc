#include "models/lora/lora_settings.h"

#include <catch2/catch.hpp>

#include "tensor/error.h"

namespace fovea {
namespace {

template <class Function>
void CheckError(ErrorCode code, const std::string& part, Function function) {
  try {
    function();
    FAIL_CHECK("no error");
  } catch (const Error& error) {
    CHECK(error.code == code);
    CHECK_THAT(error.what(), Catch::Contains(part));
  }
}

TEST_CASE("lora settings: patterns match the end of a path, behind a dot") {
  const std::string layer = "base_model.model.mid_block.attentions.10.proj_in";
  for (const char* pattern :
       {"proj_in", "attentions.10.proj_in", "mid_block.*proj_in", ".*", "attentions.\\d+.proj_in",
        "mid_block\\..*\\.proj_in", "proj.in", "o*proj_in", "attentions.1+0.proj_in"}) {
    INFO(pattern);
    CHECK(MatchesLayer(pattern, layer, "a"));
  }
  for (const char* pattern : {"", "in", "roj_in", "proj_out", "mid_block", "attentions.\\d.proj_in",
                              "attentions\\.1\\.proj_in", "proj_in.", "x+proj_in"}) {
    INFO(pattern);
    CHECK_FALSE(MatchesLayer(pattern, layer, "a"));
  }
  for (const char* pattern :
       {"^a", "a$", "(a|b)", "[ab]", "a{2}", "a?", "\\w", "*a", "a**", "\\"}) {
    INFO(pattern);
    CheckError(ErrorCode::kUnsupported, "pattern", [&] { MatchesLayer(pattern, layer, "a"); });
  }
  // A pattern that makes backtracking take for ever.
  CHECK_FALSE(MatchesLayer(std::string(".*.*.*.*.*.*.*.*.*.*.*.*x"), std::string(5000, 'a'), "a"));
}

TEST_CASE("lora settings: adapter_config.json") {
  const auto of = [](const std::string& text, const std::string& layer = "x.to_q") {
    return ParseAdapterConfig(text, "c.json").Of("unet", layer, "c.json:");
  };
  CHECK(of(R"({"lora_alpha":6,"r":3})")->alpha == 6);
  CHECK_FALSE(of(R"({"lora_alpha":6})")->root);
  CHECK(of(R"({"lora_alpha":6,"use_rslora":true})")->root);
  const std::string patterns = R"({"lora_alpha":6,"alpha_pattern":{"to_q":2,"y.to_q":3}})";
  CHECK(of(patterns)->alpha == 2);
  CHECK(of(patterns, "x.to_k")->alpha == 6);
  CheckError(ErrorCode::kUnsupported, "two alphas", [&] { of(patterns, "y.to_q"); });
  CheckError(ErrorCode::kBadFile, "lora_alpha is missing", [&] { of(R"({"r":3})"); });
  CheckError(ErrorCode::kBadFile, "must be an object", [&] { of("[1]"); });
  CheckError(ErrorCode::kBadFile, "must be a number", [&] { of(R"({"lora_alpha":"6"})"); });
  CheckError(ErrorCode::kBadFile, "true or false",
             [&] { of(R"({"lora_alpha":6,"use_rslora":1})"); });
  for (const char* more : {R"("peft_type":"LOHA")", R"("fan_in_fan_out":true)",
                           R"("init_lora_weights":"pissa_niter_4")"}) {
    INFO(more);
    CheckError(ErrorCode::kUnsupported, "c.json",
               [&] { of(std::string(R"({"lora_alpha":6,)") + more + "}"); });
  }
}

TEST_CASE("lora settings: the header's, with a component's name and without") {
  const auto of = [](const std::string& text, const std::string& component) {
    const LoraSettings settings = ReadLoraMetadata({{"lora_adapter_metadata", text}}, "a");
    const auto scaling = settings.Of(component, "x.to_q", "a");
    return scaling ? scaling->alpha : -1;
  };
  CHECK(of(R"({"lora_alpha":6})", "unet") == 6);
  CHECK(of(R"({"lora_alpha":6})", "text_encoder") == 6);
  CHECK(of(R"({"unet.lora_alpha":5})", "unet") == 5);
  CHECK(of(R"({"transformer.lora_alpha":5})", "unet") == 5);
  CHECK(of(R"({"unet.lora_alpha":5})", "text_encoder") == -1);
}

}  // namespace
}  // namespace fovea
