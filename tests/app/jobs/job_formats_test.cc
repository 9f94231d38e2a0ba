// The formats of job files, from text: what they mean and what is broken in them.
#include <catch2/catch.hpp>

#include "app/jobs/job.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using Parser = std::vector<JobLine> (*)(std::string_view, const ParseOptions&);

std::vector<JobLine> Parse(Parser parser, std::string_view text, int64_t most = 1000,
                           bool count_up = false) {
  JobLimit limit(most);
  ParseOptions options;
  options.limit = &limit;
  options.comfy_count_up = count_up;
  return parser(text, options);
}

// The last value of a setting, or "-".
std::string Get(const JobLine& job, std::string_view name) {
  std::string value = "-";
  for (const auto& [key, text] : job.settings) {
    if (key == name) value = text;
  }
  return value;
}

std::vector<std::string> All(const std::vector<JobLine>& jobs, std::string_view name) {
  std::vector<std::string> values;
  for (const JobLine& job : jobs) values.push_back(job.error.empty() ? Get(job, name) : "broken");
  return values;
}

using Texts = std::vector<std::string>;

TEST_CASE("lists of a JSON line multiply in the order of keys, zips go in step") {
  const auto jobs = Parse(ParseJsonLines,
                          "{\"seed\":[1,2],\"zip\":{\"prompt\":[\"a\",\"b\"],\"cfg\":[1,2.5]}}\n");
  CHECK(All(jobs, "seed") == Texts{"1", "1", "2", "2"});
  CHECK(All(jobs, "prompt") == Texts{"a", "b", "a", "b"});
  CHECK(All(jobs, "cfg") == Texts{"1", "2.5", "1", "2.5"});
  CHECK(All(Parse(ParseJsonLines, "{\"cfg\":{\"range\":[0.1,0.5,0.1]}}"), "cfg") ==
        Texts{"0.1", "0.2", "0.3", "0.4", "0.5"});
  CHECK(All(Parse(ParseJsonLines, "{\"steps\":{\"range\":[5,1,-2]}}"), "steps") ==
        Texts{"5", "3", "1"});
  CHECK(All(Parse(ParseJsonLines, "{\"lora\":[[],[\"a:0.8\",\"b\"],\"c\"]}"), "lora") ==
        Texts{"", "a:0.8\nb", "c"});
  CHECK(All(Parse(ParseJsonLines, "{\"seed\":18446744073709551615}"), "seed") ==
        Texts{"18446744073709551615"});
}

TEST_CASE("defaults hold for the lines below and are replaced whole") {
  const auto jobs = Parse(ParseJsonLines,
                          "{\"prompt\":\"a\"}\n{\"defaults\":{\"steps\":3,\"cfg\":2}}\r\n\n"
                          "{\"prompt\":\"b\"}\n{\"prompt\":\"c\",\"steps\":[7,8]}\n"
                          "{\"defaults\":{\"cfg_rescale\":0.5}}\n{\"prompt\":\"d\"}");
  CHECK(All(jobs, "prompt") == Texts{"a", "b", "c", "c", "d"});
  CHECK(All(jobs, "steps") == Texts{"-", "3", "7", "8", "-"});
  CHECK(All(jobs, "cfg") == Texts{"-", "2", "2", "2", "-"});
  CHECK(Get(jobs.back(), "cfg-rescale") == "0.5");
  CHECK(jobs.back().line == 7);
  // Lines below broken defaults would be other pictures than were meant.
  CHECK(All(Parse(ParseJsonLines,
                  "{\"defaults\":{\"x\":1}}\n{\"seed\":1}\n{\"defaults\":{}}\n"
                  "{\"seed\":2}"),
            "seed") == Texts{"broken", "broken", "2"});
}

TEST_CASE("broken JSON lines are told by themselves") {
  for (const char* line : {"{",
                           "[]",
                           "3",
                           "{\"nosuch\":1}",
                           "{\"steps\":\"7\"}",
                           "{\"steps\":1.5}",
                           "{\"prompt\":3}",
                           "{\"seed\":1,\"seed\":2}",
                           "{\"cfg\":1,\"cfg\":[1]}",
                           "{\"cfg-rescale\":1,\"cfg_rescale\":1}",
                           "{\"seed\":[]}",
                           "{\"threads\":1}",
                           "{\"output\":\"x\"}",
                           "{\"zip\":{\"seed\":[1],\"steps\":[1,2]}}",
                           "{\"prompt\":\"\xff\"}",
                           "{\"cfg\":{\"range\":[1,2,0]}}",
                           "{\"cfg\":{\"range\":[1,2]}}",
                           "{\"cfg\":1e999}",
                           "{\"steps\":{\"range\":[1,0,1]}}",
                           "{\"defaults\":1}",
                           "{\"seed\":1,\"defaults\":{}}",
                           "{\"a\":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}"}) {
    INFO(line);
    const auto jobs =
        Parse(ParseJsonLines, std::string("{\"seed\":1}\n") + line + "\n{\"seed\":2}");
    REQUIRE(jobs.size() >= 2);
    CHECK(jobs[0].error.empty());
    CHECK_FALSE(jobs[1].error.empty());
    CHECK(jobs[1].line == 2);
  }
  const std::string large = "{\"prompt\":\"" + std::string(1 << 20, 'a') + "\"}";
  CHECK_FALSE(Parse(ParseJsonLines, large)[0].error.empty());
}

TEST_CASE("too many jobs are refused before they take memory") {
  std::string ten = "[0,1,2,3,4,5,6,7,8,9]", line = "{";
  for (const char* key : {"seed", "steps", "clip-skip", "width", "height", "hires-steps", "batch",
                          "max-sequence-length", "cfg", "eta"}) {
    line += (line.size() > 1 ? ",\"" : "\"") + std::string(key) + "\":" + ten;
  }
  for (Parser parser : {ParseJsonLines, ParsePromptLines}) {
    CHECK_THROWS_AS(Parse(parser, parser == ParseJsonLines ? line + "}" : "a\nb\nc\n", 2), Error);
  }
}

TEST_CASE("A1111's lines are prompts, or flags as a shell splits them") {
  const auto jobs = Parse(ParsePromptLines,
                          "a --not flag\n\n  --prompt \"two words\" --steps 7 --seed 3\r\n"
                          "--prompt a b --negative_prompt 'c d' e --cfg_scale 2\n"
                          "--batch_size 2 --n_iter 3 --prompt x --sampler_name \"euler A karras\"\n"
                          "# no comment\n");
  CHECK(All(jobs, "prompt") == Texts{"a --not flag", "two words", "a b", "x", "# no comment"});
  CHECK(Get(jobs[1], "steps") == "7");
  CHECK(Get(jobs[2], "negative") == "c d e");
  CHECK(Get(jobs[2], "cfg") == "2");
  CHECK(Get(jobs[3], "batch") == "6");
  CHECK(Get(jobs[3], "sampler") == "euler_a");
  CHECK(Get(jobs[3], "schedule") == "karras");
  CHECK(jobs[3].line == 5);
  for (const JobLine& job : jobs) CHECK(Get(job, "prompt-weights") == "a1111");
  for (const char* line : {"--prompt \"open", "--prompt", "--nosuch 1", "--prompt a --tiling true",
                           "--outpath_samples x", "--prompt a --batch_size 0", "--steps 3 x",
                           "--prompt a \\", "--sampler_name nosuch", "--sampler_index 3"}) {
    INFO(line);
    CHECK_FALSE(Parse(ParsePromptLines, line)[0].error.empty());
  }
  CHECK(Parse(ParsePromptLines, "--prompt a --tiling False --subseed -1 --do_not_save_grid true")[0]
            .error.empty());
}

TEST_CASE("CSV has quotes, lines within cells, and cells that say nothing") {
  const auto jobs =
      Parse(ParseCsvJobs, "prompt,cfg_rescale,seed\r\n\"a, \"\"b\"\"\nc\",0.5,1\r\n,,2\n\nd,x,3");
  CHECK(All(jobs, "prompt") == Texts{"a, \"b\"\nc", "-", "d"});
  CHECK(All(jobs, "cfg-rescale") == Texts{"0.5", "-", "x"});
  CHECK(jobs[1].line == 4);
  CHECK(All(Parse(ParseCsvJobs, "seed,steps\n1\n1,2\n\"1,2"), "seed") ==
        Texts{"broken", "1", "broken"});
  for (const char* header : {"nosuch\n1", "seed,seed\n1,2", "\"seed\n1", "threads\n1"}) {
    const auto broken = Parse(ParseCsvJobs, header);
    REQUIRE(broken.size() == 1);
    CHECK_FALSE(broken[0].error.empty());
  }
}

std::string Comfy(const std::string& change = {}, const std::string& to = {}) {
  std::string text =
      R"({"3":{"class_type":"KSampler","inputs":{"seed":8,"steps":10,"cfg":3.5,)"
      R"("sampler_name":"euler_ancestral","scheduler":"karras","denoise":1.0,)"
      R"("model":["10",0],"positive":["6",0],"negative":["7",0],)"
      R"("latent_image":["5",0]}},)"
      R"("4":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"m.safetensors"}},)"
      R"("5":{"class_type":"EmptyLatentImage","inputs":{"width":64,"height":72,"batch_size":1}},)"
      R"("6":{"class_type":"CLIPTextEncode","inputs":{"text":["11",0],"clip":["12",0]}},)"
      R"("7":{"class_type":"CLIPTextEncode","inputs":{"text":"no","clip":["12",0]}},)"
      R"("8":{"class_type":"VAEDecode","inputs":{"samples":["3",0],"vae":[4,2]}},)"
      R"("9":{"class_type":"SaveImage","inputs":{"filename_prefix":"P","images":["8",0]}},)"
      R"("10":{"class_type":"LoraLoader","inputs":{"lora_name":"l","strength_model":0.5,)"
      R"("strength_clip":0.5,"model":["4",0],"clip":["4",1]}},)"
      R"("11":{"class_type":"PrimitiveString","inputs":{"value":"a cat"}},)"
      R"("12":{"class_type":"CLIPSetLastLayer","inputs":{"stop_at_clip_layer":-2,"clip":["10",1]}}})";
  if (!change.empty()) {
    const size_t at = text.find(change);
    REQUIRE(at != std::string::npos);
    text.replace(at, change.size(), to);
  }
  return text;
}

TEST_CASE("a graph of ComfyUI's is read against its links") {
  for (const std::string& text : {Comfy(), "{\"prompt\":" + Comfy() + "}", "[" + Comfy() + "]"}) {
    for (Parser parser : {ParseComfyJobs, ParseJsonFile}) {
      const auto jobs = Parse(parser, text);
      REQUIRE(jobs.size() == 1);
      const JobLine& job = jobs[0];
      INFO(job.error);
      CHECK(job.error.empty());
      CHECK(job.name == "P");
      const std::vector<std::pair<const char*, const char*>> wanted = {{"prompt", "a cat"},
                                                                       {"negative", "no"},
                                                                       {"seed", "8"},
                                                                       {"steps", "10"},
                                                                       {"cfg", "3.5"},
                                                                       {"sampler", "euler_a"},
                                                                       {"width", "64"},
                                                                       {"height", "72"},
                                                                       {"schedule", "karras"},
                                                                       {"lora", "l:0.5"},
                                                                       {"model", "m.safetensors"},
                                                                       {"clip-skip", "1"},
                                                                       {"rng", "torch"},
                                                                       {"prompt-weights", "comfy"}};
      for (const auto& [name, value] : wanted) CHECK(Get(job, name) == value);
    }
  }
  // A run from a picture keeps the last steps of more.
  const std::string given =
      Comfy(R"({"class_type":"EmptyLatentImage","inputs":{"width":64,"height":72,"batch_size":1}})",
            R"({"class_type":"VAEEncode","inputs":{"pixels":["13",0],"vae":["4",2]}},"13":)"
            R"({"class_type":"LoadImage","inputs":{"image":"i.png"}})");
  std::string half = given;
  half.replace(half.find("\"denoise\":1.0"), 13, "\"denoise\":0.4");
  const JobLine job = Parse(ParseComfyJobs, half)[0];
  INFO(job.error);
  CHECK(Get(job, "steps") == "25");
  CHECK(static_cast<int>(std::stod(Get(job, "strength")) * 25) == 10);
  CHECK(Get(job, "image") == "i.png");
}

TEST_CASE("a graph that cannot be read names class and node") {
  const std::vector<std::tuple<std::string, std::string, int>> changes = {
      {"\"KSampler\"", "\"KSamplerAdvanced\"", 4},
      {"[\"10\",0]", "[\"99\",0]", 2},
      {"\"model\":[\"4\",0]", "\"model\":[\"10\",0]", 2},  // a circle
      {"\"strength_clip\":0.5", "\"strength_clip\":0.7", 4},
      {"euler_ancestral", "nosuch", 4},
      {"\"karras\"", "\"simple\"", 4},
      {"\"batch_size\":1", "\"batch_size\":2", 4},
      {"\"steps\":10", "\"steps\":\"10\"", 2},
      {"\"denoise\":1.0", "\"denoise\":0.5", 4}};
  for (const auto& [from, to, code] : changes) {
    INFO(from << " -> " << to);
    const auto jobs = Parse(ParseComfyJobs, Comfy(from, to));
    REQUIRE(jobs.size() == 1);
    CHECK(jobs[0].error.find("node ") != std::string::npos);
    CHECK(jobs[0].code == code);
  }
  CHECK(Get(Parse(ParseComfyJobs, Comfy("\"batch_size\":1", "\"batch_size\":2"), 9, true)[0],
            "batch") == "2");
  CHECK(Parse(ParseJsonFile, "{\"nodes\":[],\"links\":[]}")[0].error.find("API format") !=
        std::string::npos);
  for (const char* text :
       {"{}", "[]", "[1]", "7", "{\"prompt\":{}}", "{\"a\":{\"class_type\":3}}"}) {
    INFO(text);
    const auto jobs = Parse(ParseComfyJobs, text);
    for (const JobLine& job : jobs) CHECK_FALSE(job.error.empty());
  }
}

}  // namespace
}  // namespace fovea
