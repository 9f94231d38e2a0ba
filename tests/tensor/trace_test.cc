#include "tensor/trace.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tensor/error.h"

namespace fovea {
namespace {

std::string Contents(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

TEST_CASE("zones are written as complete events, with escaped details") {
  const auto folder = std::filesystem::temp_directory_path() / "fovea_trace_test";
  std::filesystem::create_directories(folder);
  const auto path = folder / "trace.json";
  { TRACE_ZONE("before"); }
  trace::Start();
  CHECK(trace::Enabled());
  {
    TRACE_ZONE("outer", "say \"hi\"\n");
    TRACE_ZONE("inner");
  }
  {
    const trace::Zone open("left open");
    trace::Write(path);
  }
  CHECK_FALSE(trace::Enabled());
  const std::string text = Contents(path);
  CHECK(text.find("\"traceEvents\":[") != std::string::npos);
  CHECK(text.find("\"name\":\"outer\"") != std::string::npos);
  CHECK(text.find("\"name\":\"inner\"") != std::string::npos);
  CHECK(text.find("say \\\"hi\\\"\\u000a") != std::string::npos);
  CHECK(text.find("before") == std::string::npos);
  CHECK(text.find("left open") == std::string::npos);
  CHECK(std::distance(std::filesystem::directory_iterator(folder), {}) == 1);
  std::filesystem::remove_all(folder);
}

TEST_CASE("work is counted in the innermost zone, time inside a zone apart") {
  trace::Count({1, 1});  // no zone: lost
  trace::Start();
  {
    TRACE_ZONE("outer");
    trace::Count({2, 3});
    {
      TRACE_ZONE("inner", "detail");
      trace::Count({4, 5});
      trace::Count({6, 7});
    }
    trace::Count({8, 9});
  }
  const std::vector<trace::Record> records = trace::Stop();
  CHECK_FALSE(trace::Enabled());
  REQUIRE(records.size() == 2);
  CHECK(records[0].name == "inner");
  CHECK(records[0].detail == "detail");
  CHECK(records[0].work.flops == 10);
  CHECK(records[0].work.bytes == 12);
  CHECK(records[0].inner_seconds == 0);
  CHECK(records[1].work.flops == 10);
  CHECK(records[1].work.bytes == 12);
  CHECK(records[1].inner_seconds == records[0].seconds);
  CHECK(records[1].seconds >= records[0].seconds);
}

TEST_CASE("an unwritable trace is an error and leaves nothing") {
  trace::Start();
  try {
    trace::Write("/nonexistent/folder/trace.json");
    FAIL("no error");
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kBadFile);
  }
}

}  // namespace
}  // namespace fovea
