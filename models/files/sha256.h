// SHA-256 (FIPS 180-4): by which model sites and A1111 tell files apart.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <stop_token>
#include <string>

namespace fovea {

class Sha256 {
 public:
  explicit Sha256(bool portable = false);  // true: without the processor's own instructions
  void Add(std::span<const std::byte> bytes);
  std::string Hex();  // 64 digits, lower case; once, at the end

 private:
  std::array<uint32_t, 8> state_;
  std::array<std::byte, 64> rest_;  // bytes that fill no block yet
  uint64_t size_ = 0;
  bool portable_;
};

// Of the bytes of a file from `begin` on; none when stopped. Throws kBadFile.
std::optional<std::string> Sha256OfFile(const std::filesystem::path& path, uint64_t begin = 0,
                                        const std::stop_token& stop = {});

}  // namespace fovea
