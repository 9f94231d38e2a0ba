// Names, shards, ids and logs of jobs, and when a picture is finished.
#include <fstream>
#include <map>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "app/jobs/finished_picture.h"
#include "app/jobs/job_identity.h"
#include "app/jobs/picture_names.h"
#include "app/jobs/results_log.h"
#include "app/jobs/shard.h"
#include "pipelines/metadata/metadata.h"
#include "tensor/error.h"
#include "tests/support/cli_checks.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

using nlohmann::json;

TEST_CASE("canonical JSON is one text for one value") {
  CHECK(CanonicalJson(json::parse(R"({"b":3.0,"a":[-0.0,1e3,0.1,"\u0001\"\\é/"],"c":null})")) ==
        "{\"a\":[0,1000,0.1,\"\\u0001\\\"\\\\é/\"],\"b\":3,\"c\":null}");
  CHECK(CanonicalJson(18446744073709551615u) == "18446744073709551615");
  GenerateSettings a, b;
  a.seed = b.seed = 5;
  a.cfg = 3;
  b.cfg = 3.0;
  a.batch = 4;
  a.model = "here/m";
  b.model = "there/m";
  CHECK(JobId(JobSettingsJson(a, true, true), {}, {}) ==
        JobId(JobSettingsJson(b, true, true), {}, {}));
  b.seed = 6;
  CHECK(JobId(JobSettingsJson(a, true, true), {}, {}) !=
        JobId(JobSettingsJson(b, true, true), {}, {}));
  CHECK(JobId(JobSettingsJson(a, true, false), {}, {}) ==
        JobId(JobSettingsJson(b, true, false), {}, {}));
  CHECK(DerivedSeed(1, {}, {}, 0) != DerivedSeed(1, {}, {}, 1));
  CHECK(DerivedSeed(1, {}, {}, 0) < (uint64_t{1} << 32));
}

TEST_CASE("names hold what the template says, and nothing of a job makes a folder") {
  CHECK(Slug("../../Etc/PASSWD äö", 40) == "etc-passwd");
  CHECK(Slug("...", 40) == "x");
  CHECK(Slug("a bcd", 3) == "a-b");
  GenerateSettings settings;
  settings.prompt = "A/../Cat, by night";
  settings.seed = 7;
  settings.model = "models/SDXL 1.0";
  PictureFacts facts{"0123", "", "1-of-2", 42, 9, &settings};
  CHECK(NameTemplate("{model}/{number:05}-{seed}-{prompt:8}-{name}-{{{id}}}").Of(facts) ==
        "sdxl-1-0/00042-7-a-cat-by-x-{0123}.png");
  for (const char* text : {"", "{seed}", "{nosuch}{id}", "../{id}", "/{id}", "a/../{id}", ".{id}",
                           "a/.{id}", "{id", "{id}}", "{id:x}", "a//{id}", "\x01", "{id}\n"}) {
    INFO(text);
    CHECK_THROWS_AS(NameTemplate(text), Error);
  }
}

TEST_CASE("shards come from the flag, and from the environment only if asked") {
  std::map<std::string, std::string> variables;
  const auto choose = [&](const std::string& flag) {
    return ChooseShard(flag, [&](const char* name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      return found == variables.end() ? std::nullopt : std::optional(found->second);
    });
  };
  CHECK(choose("2/3").Text() == "2/3");
  CHECK(choose("").Text() == "1/1");
  CHECK(choose("auto").Text() == "1/1");
  CHECK_FALSE(choose("auto").warning.empty());
  for (const char* bad : {"0/3", "4/3", "1", "a/b", "1/0", "1/2/3", "-1/2"}) {
    INFO(bad);
    CHECK_THROWS_AS(choose(bad), Error);
  }
  variables = {{"SLURM_ARRAY_TASK_ID", "12"},
               {"SLURM_ARRAY_TASK_MIN", "10"},
               {"SLURM_ARRAY_TASK_MAX", "16"},
               {"SLURM_ARRAY_TASK_STEP", "2"},
               {"SLURM_ARRAY_TASK_COUNT", "4"}};
  CHECK(choose("auto").Text() == "2/4");
  CHECK(choose("").Text() == "1/1");
  CHECK_FALSE(choose("").warning.empty());
  variables["SLURM_ARRAY_TASK_COUNT"] = "2";
  CHECK_THROWS_WITH(choose("auto"), Catch::Contains("gaps"));
  variables = {{"JOB_COMPLETION_INDEX", "0"}};
  CHECK_THROWS_AS(choose("auto"), Error);
  CHECK(choose("auto/5").Text() == "1/5");
  variables["FOVEA_SHARDS"] = "3";
  CHECK(choose("auto").Text() == "1/3");
  variables["FOVEA_SHARD"] = "2/2";
  CHECK(choose("auto").Text() == "2/2");
  Shard shard;
  shard.index = 2;
  shard.count = 3;
  CHECK(shard.Has(2));
  CHECK(shard.Has(5));
  CHECK_FALSE(shard.Has(1));
}

TEST_CASE("a log survives torn lines, before and after") {
  const TempDir temp;
  const auto path = temp / "results.jsonl";
  WriteBytes(path, "{\"id\":\"a\",\"status\":\"failed\"}\nnot json\n[]\n{\"id\":\"b\",\"sta");
  CHECK(SummarizeLog(path).size() == 1);
  {
    LogWriter log(path);
    log.Append({{"id", "c"}, {"status", "done"}});
    log.Append({{"id", "a"}, {"status", "done"}});
  }
  const auto jobs = SummarizeLog(path);
  CHECK(jobs.size() == 2);
  CHECK(jobs.at("a").status == "done");
  CHECK(jobs.at("a").attempts == 2);
  CHECK_THROWS_AS(LogWriter(temp.Path()), Error);
  CHECK_THROWS_AS(LogWriter("/dev/full"), Error);
}

TEST_CASE("a picture is finished when it is whole and of these settings") {
  const TempDir temp;
  const auto path = temp / "p.png";
  GenerateSettings made;
  made.prompt = "a";
  made.seed = 5;
  made.steps = 3;
  made.width = made.height = 8;
  made.cfg = 7.5;
  made.model = "m";
  const Image image{8, 8, std::vector<uint8_t>(192, 9)};
  WritePng(path, image, PictureText(made, Provenance{}, 0));
  GenerateSettings asked;
  asked.prompt = "a";
  asked.seed = 5;
  asked.model = "folder/m";
  CHECK_FALSE(WhyNotFinished(path, asked, true).has_value());
  asked.steps = 3;
  CHECK_FALSE(WhyNotFinished(path, asked, true).has_value());
  asked.steps = 4;
  CHECK(WhyNotFinished(path, asked, true) == "was made with another steps");
  asked.steps = 3;
  asked.seed = 6;
  CHECK(WhyNotFinished(path, asked, true).has_value());
  asked.seed = 5;
  asked.prompt = "b";
  CHECK(WhyNotFinished(path, asked, true).has_value());
  const std::string bytes = ReadBytes(path);
  const auto whole = [](const std::string& text) {
    return IsWholePng(std::as_bytes(std::span(text.data(), text.size())));
  };
  CHECK(whole(bytes));
  for (size_t cut = 0; cut < bytes.size(); ++cut) REQUIRE_FALSE(whole(bytes.substr(0, cut)));
  for (size_t at = 0; at < bytes.size(); at += 3) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    REQUIRE_FALSE(whole(changed));
  }
  CHECK_FALSE(whole(bytes + "x"));
}

}  // namespace
}  // namespace fovea
