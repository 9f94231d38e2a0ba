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
