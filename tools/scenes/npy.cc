// The .npy header and a temporary-then-rename file.
#include "tools/scenes/npy.h"

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace fovea::scenes {
namespace {

[[noreturn]] void Fail(const std::string& path, const char* what) {
  throw std::runtime_error(std::string(what) + " " + path + ": " + std::strerror(errno));
}

}  // namespace

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), temporary_(path_ + ".part") {
  file_ = std::fopen(temporary_.c_str(), "wb");
  if (!file_) Fail(temporary_, "cannot create");
}

AtomicFile::~AtomicFile() {
  if (!file_) return;
  std::fclose(file_);
  std::remove(temporary_.c_str());
}

void AtomicFile::Write(const void* data, size_t bytes) {
  if (std::fwrite(data, 1, bytes, file_) != bytes) Fail(temporary_, "cannot write");
}

void AtomicFile::Commit() {
  if (std::fflush(file_) != 0) Fail(temporary_, "cannot write");
  std::fclose(file_);
  file_ = nullptr;
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) Fail(path_, "cannot rename to");
}

std::string NpyHeader(const std::vector<size_t>& shape) {
  std::string text = "{'descr': '|u1', 'fortran_order': False, 'shape': (";
  for (const size_t n : shape) text += std::to_string(n) + ", ";
  text += "), }";
  // Magic, version and length take 10 bytes; data start at a multiple of 64.
  while ((10 + text.size() + 1) % 64 != 0) text += ' ';
  text += '\n';
  std::string header("\x93NUMPY\x01\x00", 8);
  header += static_cast<char>(text.size() & 0xFF);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

}  // namespace fovea::scenes
