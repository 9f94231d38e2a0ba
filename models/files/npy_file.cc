#include "models/files/npy_file.h"

#include <fstream>

#include "tensor/error.h"

namespace fovea {

void WriteNpy(const std::filesystem::path& path, const std::vector<int64_t>& shape,
              std::span<const float> values) {
  std::string extents;
  int64_t count = 1;
  for (const int64_t extent : shape) {
    extents += std::to_string(extent) + ", ";
    count *= extent;
  }
  ENSURE(static_cast<size_t>(count) == values.size());
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + extents + "), }";
  constexpr size_t kPrefix = 10;
  header.append((64 - (kPrefix + header.size() + 1) % 64) % 64, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file.write("\x93NUMPY\x01\x00", 8);
  const char size[2] = {static_cast<char>(header.size() & 0xff),
                        static_cast<char>(header.size() >> 8)};
  file.write(size, 2);
  file << header;
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size() * sizeof(float)));
  file.close();
  if (!file) throw Error(ErrorCode::kBadFile, path.string() + ": cannot be written");
}

}  // namespace fovea
