// GGUF files, versions 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), read through a mapping:
// nothing is copied, strings and tensor bytes point into the file. The whole structure is checked when it is opened, so
// a truncated or hostile file is a one-line Status and every span handed out lies inside the file.
//
// Thread rule: a GgufFile is immutable after open(); any thread may read it. Views die with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/mapped_file.h"
#include "base/status.h"
#include "compute/tensor/dtype.h"

namespace strata {

// Value types, numbered as in the file.
enum class GgufType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64,
};

// One metadata value, decoded when asked. Numbers convert where nothing is lost (any integer type to int64, any number
// to double); everything else gives nullopt.
struct GgufValue {
  GgufType type = GgufType::kUint32;
  std::span<const std::byte> encoded;  // as in the file, without the type number; arrays begin with type and count

  std::optional<int64_t> as_int() const;
  std::optional<double> as_double() const;
  std::optional<bool> as_bool() const;
  std::optional<std::string_view> as_string() const;

  bool is_array() const { return type == GgufType::kArray; }
  GgufType element_type() const;  // of an array
  uint64_t size() const;          // elements of an array; 1 for everything else
  std::optional<std::vector<int64_t>> as_ints() const;
  std::optional<std::vector<double>> as_doubles() const;
  std::optional<std::vector<bool>> as_bools() const;  // integers too: not 0
  std::optional<std::vector<std::string_view>> as_strings() const;
};

struct GgufTensor {
  std::string_view name;
  uint32_t file_type = 0;           // the type's number in the file
  std::optional<DType> type;        // absent: a type Strata does not compute with
  std::vector<int64_t> shape;       // outermost first: [out, in], [experts, out, in]
  std::span<const std::byte> data;  // empty where `type` is absent
};

class GgufFile {
 public:
  // kNotFound: no such file; kInvalidArgument: not GGUF, or a version or byte order that is not read; kDataLoss:
  // broken.
  static Result<GgufFile> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const MappedFile& file() const { return file_; }
  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }

  const std::vector<std::pair<std::string_view, GgufValue>>& metadata() const { return metadata_; }  // file order
  const GgufValue* find(std::string_view key) const;
  std::optional<int64_t> get_int(std::string_view key) const;
  std::optional<double> get_double(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string_view> get_string(std::string_view key) const;

  const std::vector<GgufTensor>& tensors() const { return tensors_; }  // file order
  const GgufTensor* find_tensor(std::string_view name) const;

  // Lets the system drop the pages of `data`, a part of a tensor of this file; they are read again when touched.
  void release(std::span<const std::byte> data) const;

  // Parts of a split model (split.count); 1 for a whole one. Part numbers start at 0.
  int64_t split_count() const { return get_int("split.count").value_or(1); }
  int64_t split_number() const { return get_int("split.no").value_or(0); }

 private:
  friend class GgufParser;
  GgufFile(std::filesystem::path path, MappedFile file) : path_(std::move(path)), file_(std::move(file)) {}

  std::filesystem::path path_;
  MappedFile file_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32;
  std::vector<std::pair<std::string_view, GgufValue>> metadata_;
  std::unordered_map<std::string_view, size_t> keys_;
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, size_t> names_;
};

// The number by which GGUF knows an element type, and back.
std::optional<uint32_t> gguf_type_number(DType type);
std::optional<DType> dtype_from_gguf(uint32_t number);

}  // namespace strata
