// Words of T5 beside those of CLIP.
#include "pipelines/prompts/prompt_reading.h"

#include <catch2/catch.hpp>

namespace fovea {
namespace {

std::vector<PromptReading::Token> Tokens(const std::vector<std::pair<std::string, bool>>& pieces,
                                         int first) {
  std::vector<PromptReading::Token> tokens;
  for (const auto& [text, end] : pieces) {
    tokens.push_back({text, 1, end, {first + static_cast<int>(tokens.size())}});
  }
  return tokens;
}

TEST_CASE("words that two encoders read have the positions of both") {
  auto clip = Tokens({{"a", true}, {"dachs", false}, {"hund", true}, {",", true}, {"a", true}}, 1);
  const auto t5 = Tokens(
      {{"a", true}, {"da", false}, {"chshund", true}, {",", true}, {"big", true}, {"a", true}}, 77);
  AddPositions(t5, &clip);
  CHECK(clip[0].positions == std::vector<int>{1, 77});
  CHECK(clip[1].positions == std::vector<int>{2});
  CHECK(clip[2].positions == std::vector<int>{3, 78, 79});
  CHECK(clip[3].positions == std::vector<int>{4, 80});
  CHECK(clip[4].positions == std::vector<int>{5, 82});
}

}  // namespace
}  // namespace fovea
