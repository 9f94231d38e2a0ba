#include "models/files/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <nlohmann/json.hpp>

#include "models/files/atomic_file.h"
#include "models/files/json_text.h"
#include "tensor/error.h"

namespace fovea {
namespace {

[[noreturn]] void Bad(const std::filesystem::path& path, const std::string& what) {
  throw Error(ErrorCode::kBadFile, path.string() + ": " + what);
}

struct Descriptor {
  int value = -1;
  ~Descriptor() {
    if (value >= 0) close(value);
  }
};

std::string_view FileDType(DType type) {
  switch (type) {
    case DType::kF32:
      return "F32";
    case DType::kBF16:
      return "BF16";
    case DType::kF16:
      return "F16";
    case DType::kF64:
      return "F64";
    case DType::kU8:
      return "U8";
    case DType::kI8:
      return "I8";
    case DType::kI32:
      return "I32";
    case DType::kI64:
      return "I64";
    case DType::kBool:
      return "BOOL";
  }
  return "";
}

std::string HeaderText(const NamedTensors& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::json header = nlohmann::json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t begin = 0;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t end = begin + tensor.Bytes();
    auto& info = header[name];
    info["dtype"] = FileDType(tensor.dtype());
    info["shape"] = nlohmann::json::array();
    for (int axis = 0; axis < tensor.shape().rank; ++axis) {
      info["shape"].push_back(tensor.shape()[axis]);
    }
    info["data_offsets"] = {begin, end};
    begin = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // so that the data section is aligned
  return text;
}

}  // namespace

std::shared_ptr<const SafetensorsFile> SafetensorsFile::Open(const std::filesystem::path& path) {
  // O_NONBLOCK: a named pipe must be refused below, not waited for.
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.value < 0) Bad(path, std::string("cannot be opened: ") + std::strerror(errno));
  struct stat status {};
  if (fstat(file.value, &status) != 0) Bad(path, std::strerror(errno));
  if (!S_ISREG(status.st_mode)) Bad(path, "is not a regular file");
  if (status.st_size == 0) Bad(path, "has 0 bytes, too few for a safetensors file");

  std::shared_ptr<SafetensorsFile> out(new SafetensorsFile);
  out->path_ = path;
  const auto size = static_cast<size_t>(status.st_size);
  void* map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.value, 0);
  if (map == MAP_FAILED) Bad(path, std::string("cannot be mapped: ") + std::strerror(errno));
  out->map_ = map;
  out->size_ = size;
  out->header_ =
      ParseSafetensorsHeader({static_cast<const std::byte*>(map), size}, size, path.string());
  return out;
}

SafetensorsFile::~SafetensorsFile() {
  if (map_ != nullptr) munmap(map_, size_);
}

Tensor SafetensorsFile::View(const TensorEntry& entry) const {
  if (!entry.refusal.empty()) Bad(path_, "tensor " + Printable(entry.name) + " " + entry.refusal);
  ENSURE(header_.data_begin + entry.end <= size_, "entry of another file");
  std::byte* data = static_cast<std::byte*>(map_) + header_.data_begin + entry.begin;
  return Tensor::Contiguous(data, entry.shape, entry.dtype);
}

bool SafetensorsFile::Holds(const Tensor& tensor) const {
  const auto data = reinterpret_cast<uintptr_t>(tensor.data);
  const auto map = reinterpret_cast<uintptr_t>(map_);
  return data >= map && data + tensor.Bytes() <= map + size_;
}

void SafetensorsFile::Forget(const Tensor& view) const {
  // Only whole pages inside the view: its first and last may hold a neighbour's bytes.
  ENSURE(Holds(view), "view of another file");
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto data = reinterpret_cast<uintptr_t>(view.data);
  const uintptr_t begin = (data + page - 1) / page * page;
  const uintptr_t end = (data + view.Bytes()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

NamedTensors ReadSafetensors(const std::filesystem::path& path) {
  const auto file = SafetensorsFile::Open(path);
  NamedTensors out;
  for (const TensorEntry& entry : file->Header().tensors) {
    const Tensor view = file->View(entry);
    HostTensor copy(view.shape, view.dtype);
    if (copy.Bytes() > 0) std::memcpy(copy.data(), view.data, copy.Bytes());
    out.emplace(entry.name, std::move(copy));
  }
  return out;
}

void WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                      const std::map<std::string, std::string>& metadata) {
  AtomicFile file(path);
  const std::string header = HeaderText(tensors, metadata);
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i));
  file.Write(length);
  file.Write(header);
  for (const auto& [name, tensor] : tensors) file.Write(tensor.data(), tensor.Bytes());
  file.Commit();
}

}  // namespace fovea
