// Writes GGUF version 3, tensor by tensor, so that a model larger than memory can be written. Order of calls: create,
// add_* and declare_tensor (any order among them), begin_data, write (all tensors, as declared, each in any number of
// pieces), finish. The file appears at its path only with finish().
// One thread at a time. Calls out of order are our own bugs (CHECK); failures of the disk are a Status.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/atomic_file.h"
#include "base/status.h"
#include "compute/tensor/dtype.h"
#include "model/format/gguf.h"

namespace strata {

class GgufWriter {
 public:
  static Result<GgufWriter> create(const std::filesystem::path& path);

  // Each key once; a second time replaces nothing and is a CHECK failure.
  void add_uint(std::string_view key, uint32_t value);
  void add_int(std::string_view key, int32_t value);
  void add_float(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_string(std::string_view key, std::string_view value);
  void add_strings(std::string_view key, std::span<const std::string> values);
  void add_ints(std::string_view key, std::span<const int32_t> values);
  void add_floats(std::string_view key, std::span<const float> values);
  void add_bytes(std::string_view key, std::span<const uint8_t> values);
  void add_bools(std::string_view key, const std::vector<bool>& values);
  void add(std::string_view key, const GgufValue& value);  // copied from another file
  bool has(std::string_view key) const { return keys_.contains(key); }

  // kInvalidArgument for what GGUF cannot hold: names over 63 bytes or used twice, more than 4 dimensions, a type
  // without a number, rows that are no whole number of blocks.
  Status declare_tensor(std::string_view name, DType type, std::span<const int64_t> shape);

  Status begin_data();
  Status write(std::span<const std::byte> bytes);
  Status finish();

 private:
  explicit GgufWriter(AtomicFile file) : file_(std::move(file)) {}
  void add_key(std::string_view key, GgufType type);
  void put_string(std::string_view text);
  template <class T>
  void put(std::vector<std::byte>& out, T value);
  template <class T>
  void put_array(std::string_view key, GgufType type, std::span<const T> values);
  Status pad();

  AtomicFile file_;
  std::set<std::string, std::less<>> keys_;
  std::set<std::string, std::less<>> names_;
  std::vector<std::byte> metadata_;      // encoded
  std::vector<std::byte> descriptions_;  // of the tensors, encoded
  std::vector<uint64_t> sizes_;
  uint64_t next_offset_ = 0;
  size_t current_ = 0;    // the tensor being written
  uint64_t written_ = 0;  // bytes of it
  bool in_data_ = false;
};

}  // namespace strata
