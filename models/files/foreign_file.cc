#include "models/files/foreign_file.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace fovea {
namespace {

constexpr size_t kLooked = 512;  // bytes; what follows tells nothing more

// The number behind "size " in the three lines of a pointer, or empty.
std::string PointerSize(std::string_view text) {
  constexpr std::string_view kSize = "\nsize ";
  const size_t at = text.find(kSize);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = text.substr(at + kSize.size());
  return std::string(rest.substr(0, rest.find_first_not_of("0123456789")));
}

bool StartsWithoutCase(std::string_view text, std::string_view small) {
  return text.size() >= small.size() &&
         std::equal(small.begin(), small.end(), text.begin(), [](char a, char b) {
           return a == static_cast<char>(std::tolower(static_cast<unsigned char>(b)));
         });
}

std::string_view WithoutBlanks(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  return text.substr(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
}

}  // namespace

std::optional<ForeignFile> TellForeignFile(std::span<const std::byte> first_bytes) {
  const std::string_view raw(reinterpret_cast<const char*>(first_bytes.data()),
                             std::min(first_bytes.size(), kLooked));
  if (raw.starts_with("version https://git-lfs")) {
    const std::string size = PointerSize(raw);
    return ForeignFile{ErrorCode::kBadFile,
                       "is a Git LFS pointer, not the file itself" +
                           (size.empty() ? "" : ", which has " + size + " bytes") +
                           "; fetch that with git lfs pull, or download it again"};
  }
  if (raw.starts_with("GGUF")) {
    return ForeignFile{ErrorCode::kUnsupported,
                       "is a GGUF file, which is not read; take the model as safetensors"};
  }
  const bool zip = raw.starts_with("PK\x03\x04");
  // The first byte of a pickle, its protocol, and the first opcode of what PyTorch writes.
  const bool pickle = raw.size() > 2 && raw[0] == '\x80' && raw[1] >= 2 && raw[1] <= 5 &&
                      (raw[2] == '}' || raw[2] == 'c' || raw[2] == '\x8a' || raw[2] == '\x95' ||
                       raw[2] == 'l' || raw[2] == ']');
  if (zip || pickle) {
    return ForeignFile{ErrorCode::kUnsupported,
                       std::string("is a ") + (zip ? "zip archive" : "pickle") +
                           ", as pickled checkpoints (.ckpt, .pt, .bin) are, which is not read; "
                           "convert it to safetensors"};
  }
  const std::string_view text = WithoutBlanks(raw);
  if (StartsWithoutCase(text, "<!doctype html") || StartsWithoutCase(text, "<html")) {
    return ForeignFile{ErrorCode::kBadFile,
                       "is a web page (HTML), as servers send where a download needs a sign-in; "
                       "download it again"};
  }
  if (text.starts_with("<?xml")) return ForeignFile{ErrorCode::kBadFile, "is an XML text"};
  const bool printable = std::all_of(raw.begin(), raw.begin() + std::min<size_t>(raw.size(), 8),
                                     [](unsigned char c) { return c >= 0x20 || std::isspace(c); });
  if (printable && text.starts_with('{')) {
    return ForeignFile{
        ErrorCode::kBadFile,
        "is a JSON text, as servers send with an error; open it to read what it says"};
  }
  return std::nullopt;
}

}  // namespace fovea
