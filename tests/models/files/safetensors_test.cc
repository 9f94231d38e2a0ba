#include "models/files/safetensors.h"

#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tensor/error.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

// A file's bytes: the header's length, the header, data.
std::string FileBytes(const std::string& header, size_t data_bytes = 0) {
  std::string out(8, '\0');
  for (int i = 0; i < 8; ++i) out[i] = static_cast<char>(header.size() >> (8 * i));
  out += header;
  for (size_t i = 0; i < data_bytes; ++i) out += static_cast<char>(i);
  return out;
}

SafetensorsHeader Parse(const std::string& file) {
  return ParseSafetensorsHeader(std::as_bytes(std::span(file.data(), file.size())), file.size(),
                                "dir/x.safetensors");
}

std::string ErrorOf(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK(error.code == ErrorCode::kBadFile);
    const std::string text = error.what();
    CHECK(text.find('\n') == std::string::npos);
    CHECK(text.size() < 600);
    return text;
  }
  FAIL("no error");
  return "";
}

// An f32 tensor "t" of the given shape and offsets.
std::string Tensor1(const std::string& shape, const std::string& offsets,
                    const std::string& dtype = "\"F32\"") {
  return R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

std::string Repeat(const std::string& text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST_CASE("safetensors: malformed files are refused with a reason") {
  struct Case {
    const char* what;
    std::string file;
    const char* expected;
  };
  std::string huge_length = FileBytes("{}");
  std::memset(huge_length.data(), 0xff, 8);
  std::string long_header = FileBytes("{}");
  long_header[0] = 100;
  std::string over_limit = FileBytes("{}");
  over_limit[3] = 0x10;
  const std::string info = R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})";
  const Case cases[] = {
      {"empty", "", "too few"},
      {"seven bytes", std::string(7, '\0'), "too few"},
      {"no header", FileBytes(""), "not a JSON object"},
      {"a header of 2^64-1 bytes", huge_length, "damaged"},
      {"a header over the format's limit", over_limit, "damaged"},
      {"a header longer than the file", long_header, "truncated"},
      {"not JSON", FileBytes("hello"), "not a JSON object"},
      {"a list", FileBytes("[]"), "not a JSON object"},
      {"a space first", FileBytes(" {}"), "not a JSON object"},
      {"JSON cut short", FileBytes(R"({"t":)"), "not valid JSON"},
      {"text after the header", FileBytes("{} x"), "not valid JSON"},
      {"broken UTF-8", FileBytes("{\"\xff\":1}"), "not valid JSON"},
      {"a name given twice", FileBytes("{\"t\":" + info + ",\"t\":" + info + "}", 2),
       "t is given twice"},
      {"a field given twice",
       FileBytes(R"({"t":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2),
       "dtype is given twice"},
      {"nested lists", FileBytes("{\"t\":" + std::string(100000, '[')), "nested deeper"},
      {"nested lists, closed",
       FileBytes("{\"t\":" + std::string(100000, '[') + std::string(100000, ']') + "}"),
       "nested deeper"},
      {"nested objects", FileBytes(Repeat("{\"t\":", 100000)), "nested deeper"},
      {"nested metadata", FileBytes("{\"__metadata__\":{\"a\":" + std::string(100000, '[')),
       "nested deeper"},
      {"a tensor that is a number", FileBytes(R"({"t":1})"),
       "tensor t: must be described by an object"},
      {"a tensor that is null", FileBytes(R"({"t":null})"), "tensor t: must be described"},
      {"no dtype", FileBytes(R"({"t":{"shape":[],"data_offsets":[0,4]}})", 4),
       "tensor t: dtype is missing"},
      {"no shape", FileBytes(R"({"t":{"dtype":"F32","data_offsets":[0,4]}})", 4),
       "shape is missing"},
      {"no offsets", FileBytes(R"({"t":{"dtype":"F32","shape":[]}})", 4),
       "data_offsets is missing"},
      {"unknown dtype", FileBytes(Tensor1("[1]", "[0,4]", "\"F33\""), 4),
       "tensor t: unknown dtype F33"},
      {"lower-case dtype", FileBytes(Tensor1("[1]", "[0,4]", "\"f32\""), 4), "unknown dtype f32"},
      {"dtype with a line break", FileBytes(Tensor1("[1]", "[0,4]", "\"F\\n32\""), 4),
       "unknown dtype F?32"},
      {"dtype that is a number", FileBytes(Tensor1("[1]", "[0,4]", "32"), 4),
       "dtype must be a string"},
      {"shape that is a number", FileBytes(Tensor1("1", "[0,4]"), 4), "shape must be a list"},
      {"negative size", FileBytes(Tensor1("[-1]", "[0,4]"), 4), "from 0, but holds -1"},
      {"fractional size", FileBytes(Tensor1("[1.0]", "[0,4]"), 4), "shape must hold whole numbers"},
      {"size that is a text", FileBytes(Tensor1("[\"1\"]", "[0,4]"), 4),
       "shape must hold whole numbers"},
      {"size over 2^63", FileBytes(Tensor1("[9223372036854775808]", "[0,4]"), 4),
       "shape holds 9223372036854775808"},
      {"size over 2^64", FileBytes(Tensor1("[99999999999999999999]", "[0,4]"), 4),
       "shape must hold whole numbers"},
      {"product over 2^63", FileBytes(Tensor1("[4294967296,4294967296]", "[0,4]"), 4), "overflows"},
      {"product that wraps to the right size",
       FileBytes(Tensor1("[4611686018427387905]", "[0,4]"), 4), "overflows"},
      {"product hidden by a zero", FileBytes(Tensor1("[0,4611686018427387904,4]", "[0,0]")),
       "overflows"},
      {"hundreds of axes", FileBytes(Tensor1("[" + Repeat("1,", 500) + "1]", "[0,4]"), 4), "axes"},
      {"one offset", FileBytes(Tensor1("[1]", "[0]"), 4), "must be two numbers"},
      {"three offsets", FileBytes(Tensor1("[1]", "[0,4,8]"), 8), "must be two numbers"},
      {"offsets that are a text", FileBytes(Tensor1("[1]", "\"0,4\""), 4), "must be two numbers"},
      {"negative offset", FileBytes(Tensor1("[1]", "[-4,0]"), 4),
       "data_offsets must hold whole numbers"},
      {"fractional offset", FileBytes(Tensor1("[1]", "[0,4.0]"), 4),
       "data_offsets must hold whole numbers"},
      {"offsets backwards", FileBytes(Tensor1("[1]", "[4,0]"), 4), "run backwards"},
      {"offsets too far apart", FileBytes(Tensor1("[1]", "[0,8]"), 8),
       "span 8 bytes, but shape and dtype need 4"},
      {"offsets too close", FileBytes(Tensor1("[2]", "[0,4]"), 8),
       "span 4 bytes, but shape and dtype need 8"},
      {"data past the end", FileBytes(Tensor1("[1]", "[4,8]"), 7), "has only 7; it is truncated"},
      {"offsets near 2^64",
       FileBytes(Tensor1("[1]", "[18446744073709551612,18446744073709551615]"), 4), "truncated"},
      {"an empty tensor past the end", FileBytes(Tensor1("[0]", "[5,5]"), 4), "truncated"},
      {"the same bytes twice", FileBytes("{\"t\":" + info + ",\"u\":" + info + "}", 2),
       "tensors t and u overlap"},
      {"partial overlap",
       FileBytes(
           R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
           8),
       "a and b overlap"},
      {"one inside another",
       FileBytes(
           R"({"b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
           8),
       "b and a overlap"},
      {"metadata that is a list", FileBytes(R"({"__metadata__":[]})"),
       "__metadata__ must be an object"},
      {"metadata with a number", FileBytes(R"({"__metadata__":{"n":1}})"),
       "__metadata__ n must be a string"},
      {"half a byte", FileBytes(Tensor1("[3]", "[0,1]", "\"F4\""), 2), "whole bytes"},
  };
  for (const Case& c : cases) {
    const std::string text = ErrorOf([&] { Parse(c.file); });
    INFO(c.what << ": " << text);
    CHECK(text.starts_with("dir/x.safetensors: "));
    CHECK(text.find(c.expected) != std::string::npos);
  }
}

TEST_CASE("safetensors: a file cut anywhere is refused") {
  const std::string file = FileBytes(Tensor1("[3]", "[0,12]"), 12);
  CHECK(Parse(file).tensors.size() == 1);
  for (size_t size = 0; size < file.size(); ++size) {
    INFO(size);
    CHECK_THROWS_AS(Parse(file.substr(0, size)), Error);
  }
}

TEST_CASE("safetensors: unusual but legal files are read") {
  CHECK(Parse(FileBytes("{}")).tensors.empty());
  CHECK(Parse(FileBytes("{}   \t\n")).tensors.empty());
  CHECK(Parse(FileBytes("{}", 100)).tensors.empty());

  const auto scalar = Parse(FileBytes(Tensor1("[]", "[0,4]"), 4));
  REQUIRE(scalar.tensors.size() == 1);
  CHECK(scalar.tensors[0].shape.rank == 0);
  CHECK(scalar.data_begin == 8 + Tensor1("[]", "[0,4]").size());

  const auto empty = Parse(FileBytes(Tensor1("[2,0,3]", "[4,4]"), 4));
  CHECK(empty.tensors[0].shape == Shape({2, 0, 3}));

  // A hole between tensors, names out of order, metadata, an unknown member.
  const auto file = Parse(FileBytes(
      R"({"b":{"dtype":"I64","shape":[1],"data_offsets":[8,16],"note":1},)"
      R"("__metadata__":{"format":"pt"},"a":{"dtype":"BOOL","shape":[1,2],"data_offsets":[0,2]}})",
      16));
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.tensors[0].name == "a");
  CHECK(file.tensors[0].dtype == DType::kBool);
  CHECK(file.tensors[1].dtype == DType::kI64);
  CHECK(file.tensors[1].begin == 8);
  CHECK(file.metadata.at("format") == "pt");
}

TEST_CASE("safetensors: what cannot be viewed is refused only when it is") {
  const TempDir folder;
  const auto path = folder / "x.safetensors";
  std::ofstream(path, std::ios::binary)
      << FileBytes(R"({"short":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},)"
                   R"("deep":{"dtype":"U8","shape":[2,1,1,1,1,2],"data_offsets":[4,8]},)"
                   R"("long":{"dtype":"U8","shape":[1,1,1,2,1,2,1],"data_offsets":[9,13]},)"
                   R"("fine":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})",
                   13);
  const auto file = SafetensorsFile::Open(path);
  const auto& tensors = file->Header().tensors;
  REQUIRE(tensors.size() == 4);
  CHECK(*file->View(tensors[1]).Data<uint8_t>() == 8);
  const std::string deep = ErrorOf([&] { file->View(tensors[0]); });
  CHECK(deep.find("tensor deep has 6 axes") != std::string::npos);
  // Axes of length 1 that are too many are left out.
  CHECK(file->View(tensors[2]).shape == Shape{1, 2, 1, 2, 1});
  const std::string narrow = ErrorOf([&] { file->View(tensors[3]); });
  CHECK(narrow.find("tensor short has dtype I16") != std::string::npos);
  CHECK_THROWS_AS(ReadSafetensors(path), Error);
}

TEST_CASE("safetensors: every dtype and odd shape survives a round trip") {
  const TempDir folder;
  NamedTensors tensors;
  tensors.emplace("f32", HostTensor({2, 3}, std::vector<float>{0, -1.5f, 3, 1e30f, -0.f, 7}));
  tensors.emplace("f64", HostTensor({1}, std::vector<double>{3.25}));
  tensors.emplace("i64", HostTensor({2, 1, 1}, std::vector<int64_t>{INT64_MIN, 9}));
  tensors.emplace("i32", HostTensor({3}, std::vector<int32_t>{-1, 0, 1}));
  tensors.emplace("u8", HostTensor({5}, std::vector<uint8_t>{0, 1, 2, 254, 255}));
  tensors.emplace("i8", HostTensor({1}, std::vector<int8_t>{-128}));
  tensors.emplace("half", HostTensor({1, 3}, DType::kF16));
  tensors.emplace("brain", HostTensor({7}, DType::kBF16));
  tensors.emplace("bool", HostTensor({2}, DType::kBool));
  tensors.emplace("empty", HostTensor({0, 4}, DType::kF32));
  tensors.emplace("scalar", HostTensor(Shape{}, std::vector<float>{2.5f}));
  tensors.emplace("name with \"quotes\" and \u00e9", HostTensor({1}, std::vector<float>{1}));
  const auto path = folder / "x.safetensors";
  WriteSafetensors(path, tensors, {{"format", "pt"}});
  const NamedTensors back = ReadSafetensors(path);
  REQUIRE(back.size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    INFO(name);
    REQUIRE(back.contains(name));
    const HostTensor& other = back.at(name);
    CHECK(other.dtype() == tensor.dtype());
    CHECK(other.shape() == tensor.shape());
    CHECK((tensor.Bytes() == 0 || std::memcmp(other.data(), tensor.data(), tensor.Bytes()) == 0));
  }
  CHECK(SafetensorsFile::Open(path)->Header().metadata.at("format") == "pt");
  CHECK(SafetensorsFile::Open(path)->Header().data_begin % 8 == 0);

  const auto again = folder / "y.safetensors";
  WriteSafetensors(again, back, {{"format", "pt"}});
  const auto bytes = [](const fs::path& p) {
    std::ostringstream text;
    text << std::ifstream(p, std::ios::binary).rdbuf();
    return text.str();
  };
  CHECK(bytes(path) == bytes(again));

  WriteSafetensors(folder / "none.safetensors", {});
  CHECK(ReadSafetensors(folder / "none.safetensors").empty());
}

TEST_CASE("safetensors: forgotten bytes can be read again") {
  const TempDir folder;
  HostTensor big({3, 40000}, DType::kF32);
  for (int64_t i = 0; i < big.NumElements(); ++i) big.Data<float>()[i] = static_cast<float>(i);
  NamedTensors tensors;
  tensors.emplace("t", big);
  WriteSafetensors(folder / "x.safetensors", tensors);
  const auto file = SafetensorsFile::Open(folder / "x.safetensors");
  const Tensor view = file->View(file->Header().tensors[0]);
  CHECK(file->Holds(view));
  CHECK_FALSE(file->Holds(big.View()));
  file->Forget(view);
  CHECK(std::memcmp(view.data, big.data(), big.Bytes()) == 0);
}

TEST_CASE("safetensors: files that cannot be opened say why") {
  const TempDir folder;
  CHECK(ErrorOf([&] {
          SafetensorsFile::Open(folder / "no.safetensors");
        }).find("cannot be opened") != std::string::npos);
  CHECK(ErrorOf([&] { SafetensorsFile::Open(folder.Path()); }).find("regular file") !=
        std::string::npos);
  std::ofstream(folder / "empty.safetensors").flush();
  CHECK(ErrorOf([&] { SafetensorsFile::Open(folder / "empty.safetensors"); }).find("0 bytes") !=
        std::string::npos);
  const auto pipe = folder / "pipe.safetensors";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(ErrorOf([&] { SafetensorsFile::Open(pipe); }).find("regular file") != std::string::npos);
}

TEST_CASE("safetensors: a failed write leaves nothing and spoils nothing") {
  const TempDir folder;
  NamedTensors tensors;
  tensors.emplace("t", HostTensor({1}, std::vector<float>{1}));
  const auto names = [&] {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder.Path())) {
      out.push_back(entry.path().filename().string());
    }
    return out;
  };
  CHECK(ErrorOf([&] {
          WriteSafetensors(folder / "no/x.safetensors", tensors);
        }).find("cannot be written") != std::string::npos);
  CHECK(ErrorOf([&] { WriteSafetensors(folder.Path(), tensors); }).find("cannot be written") !=
        std::string::npos);
  CHECK(ErrorOf([&] { WriteSafetensors("/dev/null", tensors); }).find("not a regular file") !=
        std::string::npos);
  CHECK(names().empty());

  WriteSafetensors(folder / "x.safetensors", tensors);
  fs::create_symlink("x.safetensors", folder / "link.safetensors");
  tensors.at("t").Data<float>()[0] = 2;
  WriteSafetensors(folder / "link.safetensors", tensors);
  CHECK(fs::is_symlink(folder / "link.safetensors"));
  CHECK(ReadSafetensors(folder / "x.safetensors").at("t").Data<float>()[0] == 2);
  CHECK(names().size() == 2);
}

TEST_CASE("safetensors: what a file is instead is named") {
  struct Case {
    std::string bytes;
    ErrorCode code;
    const char* says;
  };
  const std::string html = "<!DOCTYPE html><html><body>Sign in</body></html>";
  const Case cases[] = {
      {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 15109088\n",
       ErrorCode::kBadFile, "Git LFS pointer, not the file itself, which has 15109088 bytes"},
      {html, ErrorCode::kBadFile, "HTML"},
      {"\n <HTML>" + html, ErrorCode::kBadFile, "HTML"},
      {"{\"error\": \"Invalid username or password.\"}", ErrorCode::kBadFile, "JSON"},
      {"PK\x03\x04" + std::string(1000, '\0'), ErrorCode::kUnsupported, ".ckpt"},
      {"\x80\x02}q\x01" + std::string(100, 'x'), ErrorCode::kUnsupported, "pickle"},
      {"GGUF\x03" + std::string(100, '\0'), ErrorCode::kUnsupported, "GGUF"},
  };
  for (const Case& each : cases) {
    INFO(each.says);
    try {
      ParseSafetensorsHeader(std::as_bytes(std::span(each.bytes)), each.bytes.size(), "x");
      FAIL("was read");
    } catch (const Error& error) {
      CHECK(error.code == each.code);
      CHECK(std::string(error.what()).find(each.says) != std::string::npos);
    }
  }
}

}  // namespace
}  // namespace fovea
