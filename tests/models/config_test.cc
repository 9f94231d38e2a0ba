#include "models/config.h"

#include <catch2/catch.hpp>
#include <fstream>

#include "tensor/error.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

Config Parse(const std::string& text) {
  return Config::Parse(text, "unet/config.json");
}

std::string ErrorOf(const std::function<void()>& body, ErrorCode code) {
  try {
    body();
  } catch (const Error& error) {
    const std::string text = error.what();
    INFO(text);
    CHECK(error.code == code);
    CHECK(text.find('\n') == std::string::npos);
    CHECK(text.size() < 500);
    return text;
  }
  FAIL("no error");
  return "";
}

#define CHECK_BAD(body, expected)                      \
  CHECK(ErrorOf([&] { body; }, ErrorCode::kBadFile) == \
        std::string("unet/config.json: ") + (expected))
#define CHECK_UNSUPPORTED(body, expected)                  \
  CHECK(ErrorOf([&] { body; }, ErrorCode::kUnsupported) == \
        std::string("unet/config.json: ") + (expected))

TEST_CASE("config: fields are read by name and type") {
  const Config c = Parse(
      R"({"i":3,"f":4.0,"n":0.5,"b":true,"s":"silu","null":null,"list":[1,2,3],"names":["a","b"],
          "flags":[true,false],"reals":[1,2.5],"big":9007199254740993})");
  CHECK(c.Int("i", 1, 16) == 3);
  CHECK(c.Int("f", 1, 16) == 4);
  CHECK(c.Int("big", 0, INT64_MAX) == 9007199254740993);
  CHECK(c.Int("absent", 1, 16, 7) == 7);
  CHECK(c.Int("null", 1, 16, 7) == 7);
  CHECK(c.Number("n", 1) == 0.5);
  CHECK(c.Number("i", 1) == 3);
  CHECK(c.Number("absent", 1.5) == 1.5);
  CHECK(c.Bool("b", false));
  CHECK(c.Bool("absent", true));
  CHECK(c.String("s", "x") == "silu");
  CHECK(c.String("null", "x") == "x");
  CHECK_FALSE(c.OptionalString("absent"));
  CHECK(c.Ints("list", 3, 0, 9) == std::vector<int64_t>{1, 2, 3});
  CHECK(c.Ints("list", -1, 0, 9).size() == 3);
  CHECK(c.Ints("i", 4, 0, 9) == std::vector<int64_t>{3, 3, 3, 3});
  CHECK(c.Ints("i", -1, 0, 9) == std::vector<int64_t>{3});
  CHECK(c.Strings("names") == std::vector<std::string>{"a", "b"});
  CHECK(c.Bools("flags", 2, false) == std::vector<bool>{true, false});
  CHECK(c.Bools("b", 2, false) == std::vector<bool>{true, true});
  CHECK(c.Bools("absent", 2, false) == std::vector<bool>{false, false});
  CHECK(c.Numbers("reals") == std::vector<double>{1, 2.5});
  CHECK(c.Has("i"));
  CHECK_FALSE(c.Has("null"));
  CHECK_FALSE(c.Has("absent"));
  c.CheckAllRead();
}

TEST_CASE("config: wrong types and values name the field and what it is") {
  const Config c = Parse(
      R"({"s":"two","zero":0,"half":2.5,"neg":-4,"huge":99999999999999999999,"b":true,"list":[1,"x"],
          "o":{},"null":null,"long":[1,2,3],"names":["a",1],"far":1e300})");
  const std::string range = "an integer from 1 to 16, but is ";
  CHECK_BAD(c.Int("s", 1, 16), "s must be " + range + "\"two\"");
  CHECK_BAD(c.Int("zero", 1, 16), "zero must be " + range + "0");
  CHECK_BAD(c.Int("half", 1, 16), "half must be " + range + "2.5");
  CHECK_BAD(c.Int("neg", 1, 16), "neg must be " + range + "-4");
  CHECK_BAD(c.Int("b", 1, 16), "b must be " + range + "true");
  CHECK_BAD(c.Int("o", 1, 16), "o must be " + range + "an object");
  CHECK_BAD(c.Int("null", 1, 16), "null must be " + range + "missing");
  CHECK_BAD(c.Int("absent", 1, 16), "absent must be " + range + "missing");
  CHECK_BAD(c.Int("far", 0, INT64_MAX), "far must be an integer of at least 0, but is 1e+300");
  CHECK_THROWS_AS(c.Int("huge", 0, INT64_MAX), Error);
  CHECK_THROWS_AS(c.Int("s", 1, 16, 4), Error);
  CHECK_BAD(c.Number("s", 1), "s must be a finite number, but is \"two\"");
  CHECK_BAD(c.Number("b", 1), "b must be a finite number, but is true");
  CHECK_BAD(c.Bool("zero", true), "zero must be true or false, but is 0");
  CHECK_BAD(c.String("zero", "x"), "zero must be a string, but is 0");
  CHECK_BAD(c.Ints("list", 2, 0, 9),
            "list must be an integer from 0 to 9 or a list of 2 such, but is [1,\"x\"]");
  CHECK_BAD(c.Ints("long", 2, 0, 9),
            "long must be an integer from 0 to 9 or a list of 2 such, but is [1,2,3]");
  CHECK_BAD(c.Ints("long", 3, 0, 2),
            "long must be an integer from 0 to 2 or a list of 3 such, but is [1,2,3]");
  CHECK_BAD(c.Strings("names"), "names must be a list of strings, but is [\"a\",1]");
  CHECK_BAD(c.Strings("s"), "s must be a list of strings, but is \"two\"");
  CHECK_BAD(c.Bools("long", 3, true),
            "long must be true, false or a list of 3 such, but is [1,2,3]");
  CHECK_BAD(c.Numbers("list"), "list must be a list of finite numbers, but is [1,\"x\"]");
  CHECK_BAD(c.Object("s"), "s must be an object, but is \"two\"");
}

TEST_CASE("config: NaN and infinities are never numbers") {
  for (const char* word : {"NaN", "Infinity", "-Infinity", "1e999"}) {
    INFO(word);
    const auto read = [&] { return Parse(std::string(R"({"x":)") + word + "}").Number("x", 0); };
    CHECK_THROWS_AS(read(), Error);
  }
}

TEST_CASE("config: values that we lack are refused by name") {
  const Config c = Parse(R"({"act":"mish","dual":true,"scale":2.0,"type":"timestep","null":null})");
  c.Only("absent", true);
  c.Only("null", "silu");
  c.Only("dual", true);
  c.Only("act", "mish");
  c.Only("scale", 2);
  CHECK_UNSUPPORTED(c.Only("dual", false), "dual is true; only false is supported");
  CHECK_UNSUPPORTED(c.Only("act", "silu"), "act is \"mish\"; only \"silu\" is supported");
  CHECK_UNSUPPORTED(c.Only("scale", 1.0), "scale is 2.0; only 1.0 is supported");
  CHECK_UNSUPPORTED(c.OnlyNull("type"), "type is \"timestep\"; only null is supported");
  CHECK_BAD(c.Only("act", true), "act must be true or false, but is \"mish\"");
  CHECK_BAD(c.Only("dual", "silu"), "dual must be a string, but is true");
  c.OnlyNull("null");
}

TEST_CASE("config: fields that nothing reads are an error") {
  const Config c = Parse(R"({"a":1,"b":2,"_private":3,"none":null,"c":4})");
  CHECK_UNSUPPORTED(c.CheckAllRead(), "unknown fields a, b, c, which may change the result");
  c.Int("a", 0, 9);
  c.Ignore({"b"});
  CHECK_UNSUPPORTED(c.CheckAllRead(), "unknown field c, which may change the result");
  c.Only("c", 4);
  c.CheckAllRead();
  CHECK_UNSUPPORTED(Parse(R"({"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1})").CheckAllRead(),
                    "unknown fields a, b, c, d, e and 2 more, which may change the result");
}

TEST_CASE("config: nested objects are configs of their own") {
  const Config c = Parse(R"({"text_config":{"hidden_size":"x","layers":2}})");
  const Config text = c.Object("text_config");
  c.CheckAllRead();
  CHECK(text.Int("layers", 1, 9) == 2);
  CHECK_BAD(text.Int("hidden_size", 1, 9),
            "text_config.hidden_size must be an integer from 1 to 9, but is \"x\"");
  CHECK_BAD(c.Object("vision_config"), "vision_config must be an object, but is missing");
}

TEST_CASE("config: the class is _class_name, else the first architecture") {
  CHECK(Parse(R"({"_class_name":"A","architectures":["B"]})").ClassName() == "A");
  CHECK(Parse(R"({"_class_name":null,"architectures":["B","C"]})").ClassName() == "B");
  CHECK_BAD(Parse("{}").ClassName(), "names no class: _class_name and architectures are missing");
  CHECK_THROWS_AS(Parse(R"({"_class_name":3})").ClassName(), Error);
  CHECK_THROWS_AS(Parse(R"({"architectures":[]})").ClassName(), Error);
  CHECK_THROWS_AS(Parse(R"({"architectures":"B"})").ClassName(), Error);
}

TEST_CASE("config: what is not a JSON object is refused") {
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), std::string("3"), std::string("\"x\""),
        std::string("{\"a\":1,}"), std::string("{\"a\":1} x"), std::string("{\"a\":1,\"a\":2}"),
        std::string("{\"\xff\":1}"), std::string(100000, '['), std::string("\0\0", 2),
        "{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}"}) {
    INFO(text.substr(0, 40));
    ErrorOf([&] { Parse(text); }, ErrorCode::kBadFile);
  }
  const TempDir folder;
  ErrorOf([&] { Config::ReadFile(folder / "config.json"); }, ErrorCode::kBadFile);
  ErrorOf([&] { Config::ReadFile(folder.Path()); }, ErrorCode::kBadFile);
  std::ofstream(folder / "config.json") << R"({"a":1})";
  CHECK(Config::ReadFile(folder / "config.json").Int("a", 0, 9) == 1);
  std::ofstream(folder / "big.json") << "{\"a\":\"" << std::string(20 << 20, 'x') << "\"}";
  ErrorOf([&] { Config::ReadFile(folder / "big.json"); }, ErrorCode::kBadFile);
}

}  // namespace
}  // namespace fovea
