// Fuzzes job files in all formats, logs, and the check of a picture's chunks: a line is read or
// broken, and what is read names settings that there are.
#include "app/jobs/finished_picture.h"
#include "app/jobs/job.h"
#include "app/jobs/picture_names.h"
#include "app/jobs/results_log.h"
#include "tests/fuzz/fuzz_target.h"

#include <nlohmann/json.hpp>

namespace fovea {

std::vector<std::string> FuzzSeeds() {
  return {
      "{\"defaults\":{\"steps\":3}}\n{\"prompt\":[\"a\",\"b\"],\"seed\":{\"range\":[1,3,1]}}\n"
      "{\"zip\":{\"prompt\":[\"a\"],\"cfg\":[1.5]},\"lora\":[[],[\"a:1\"]]}\n",
      "a prompt\n--prompt \"a b\" --steps 3 --batch_size 2 --sampler_name 'Euler a Karras'\n",
      "prompt,seed,cfg-rescale\n\"a \"\"b\"\",\n\",1,0.5\n",
      "[{\"prompt\":\"a\",\"batch\":2}]",
      R"({"3":{"class_type":"KSampler","inputs":{"seed":8,"steps":10,"cfg":3.5,"sampler_name":"euler",)"
      R"("scheduler":"karras","denoise":0.5,"model":["4",0],"positive":["6",0],"negative":["6",0],)"
      R"("latent_image":["5",0]}},"4":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"m"}},)"
      R"("5":{"class_type":"VAEEncode","inputs":{"pixels":["7",0],"vae":["4",2]}},)"
      R"("6":{"class_type":"CLIPTextEncode","inputs":{"text":"t","clip":["4",1]}},)"
      R"("7":{"class_type":"LoadImage","inputs":{"image":"i"}},)"
      R"("8":{"class_type":"VAEDecode","inputs":{"samples":["3",0],"vae":[4,2]}},)"
      R"("9":{"class_type":"SaveImage","inputs":{"filename_prefix":"P","images":["8",0]}}})",
      "{\"id\":\"a\",\"status\":\"done\"}\n{\"id\"",
      "\x89PNG\r\n\x1a\n",
      "{model}/{number:05}-{prompt:8}-{id}",
  };
}

}  // namespace fovea

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fovea;
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const auto parser :
       {ParseJsonLines, ParseJsonFile, ParsePromptLines, ParseComfyJobs, ParseCsvJobs}) {
    JobLimit limit(200);
    ParseOptions options;
    options.limit = &limit;
    options.comfy_count_up = true;
    RefusesOrReads([&] {
      for (const JobLine& job : parser(text, options)) {
        if (job.line < 1) std::abort();
        for (const auto& [name, value] : job.settings) {
          if (TypeOfSetting(name) == SettingType::kNone) std::abort();
        }
      }
    });
  }
  ReadLogText(text, [](const nlohmann::ordered_json& line) {
    if (!line.is_object()) std::abort();
  });
  IsWholePng(std::as_bytes(std::span(text.data(), text.size())));
  RefusesOrReads([&] {
    const NameTemplate name(text);
    GenerateSettings settings;
    settings.prompt = text;
    PictureFacts facts;
    facts.id = "0123456789abcdef";
    facts.name = text;
    facts.settings = &settings;
    const std::string path = name.Of(facts);
    if (path.find("..") != std::string::npos && text.find("..") == std::string::npos) std::abort();
    if (path.find(facts.id) == std::string::npos) std::abort();
  });
  return 0;
}
