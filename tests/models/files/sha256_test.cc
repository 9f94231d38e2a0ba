// SHA-256 against the examples of its standard, and in pieces.
#include "models/files/sha256.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <string_view>

#include "tensor/error.h"
#include "tests/support/temp_dir.h"

namespace fovea {
namespace {

std::string Hash(std::string_view text, size_t piece, bool portable = false) {
  Sha256 hash(portable);
  for (size_t i = 0; i < text.size(); i += piece) {
    hash.Add(std::as_bytes(std::span(text.substr(i, piece))));
  }
  return hash.Hex();
}

TEST_CASE("sha256 of the standard's examples") {
  const std::pair<std::string, std::string> examples[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1000000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& [text, digest] : examples) {
    for (const size_t piece : {size_t{1}, size_t{63}, size_t{64}, size_t{129}, size_t{1000000}}) {
      CHECK(Hash(text, piece) == digest);
      CHECK(Hash(text, piece, true) == digest);
    }
  }
}

TEST_CASE("sha256 of texts around a block's size") {
  // hashlib's digest of "x" * n, all digests hashed again.
  Sha256 all;
  for (size_t n = 0; n < 200; ++n) {
    const std::string one = Hash(std::string(n, 'x'), 64);
    all.Add(std::as_bytes(std::span(one)));
  }
  CHECK(all.Hex() == "f61ffcc417e1f0e59eba2da7fa32fbe05b64e478b68c6bacf990455f00248b98");
}

TEST_CASE("sha256 of a file, from a place on") {
  const TempDir temp;
  std::ofstream(temp / "f", std::ios::binary) << "headerabc";
  CHECK(Sha256OfFile(temp / "f", 6) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(Sha256OfFile(temp / "f") == Hash("headerabc", 9));
  std::stop_source stop;
  stop.request_stop();
  CHECK_FALSE(Sha256OfFile(temp / "f", 0, stop.get_token()));
  CHECK_THROWS_AS(Sha256OfFile(temp / "absent"), Error);
  CHECK_THROWS_AS(Sha256OfFile(temp.Path()), Error);
}

}  // namespace
}  // namespace fovea
