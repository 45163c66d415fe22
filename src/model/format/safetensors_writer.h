// Writes a safetensors file, tensor by tensor. Order of calls: create, set_metadata and declare_tensor, begin_data,
// write (all tensors, as declared, each in any number of pieces), finish. The file appears only with finish().
// One thread at a time. Calls out of order are our own bugs (CHECK); failures of the disk are a Status.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/status.h"
#include "compute/tensor/dtype.h"

namespace strata {

class SafetensorsWriter {
 public:
  static Result<SafetensorsWriter> create(const std::filesystem::path& path);

  void set_metadata(std::string_view key, std::string_view value);  // "format" is "pt" unless set otherwise

  // kInvalidArgument: a name used twice, or a type safetensors does not have (quantized blocks).
  Status declare_tensor(std::string_view name, DType type, std::span<const int64_t> shape);

  Status begin_data();
  Status write(std::span<const std::byte> bytes);
  Status finish();

 private:
  explicit SafetensorsWriter(AtomicFile file) : file_(std::move(file)) {}

  struct Entry {
    std::string name;
    DType type;
    std::vector<int64_t> shape;
    uint64_t bytes;
  };

  AtomicFile file_;
  std::map<std::string, std::string> metadata_{{"format", "pt"}};
  std::vector<Entry> entries_;
  std::set<std::string, std::less<>> names_;
  uint64_t declared_ = 0;  // bytes of all tensors
  uint64_t written_ = 0;
  bool in_data_ = false;
};

}  // namespace strata
