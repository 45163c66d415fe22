// Safetensors files (https://github.com/huggingface/safetensors), read through a mapping. The header is checked against
// the file when it is opened: sizes match shapes, nothing overlaps, nothing lies outside.
//
// Thread rule: immutable after open(); any thread may read it. Views die with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.h"
#include "base/status.h"
#include "compute/tensor/dtype.h"

namespace strata {

struct SafetensorsTensor {
  std::string name;
  std::string type_name;            // as the file spells it: "BF16", "F8_E4M3"
  std::optional<DType> type;        // absent: a type Strata does not compute with
  std::vector<int64_t> shape;       // outermost first
  std::span<const std::byte> data;  // aligned for its element type
};

class SafetensorsFile {
 public:
  // kNotFound: no such file; kDataLoss: not safetensors, truncated, or a header that contradicts the file.
  static Result<SafetensorsFile> open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const MappedFile& file() const { return file_; }
  const std::vector<SafetensorsTensor>& tensors() const { return tensors_; }  // in the header's order
  const SafetensorsTensor* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }  // "__metadata__"

  // Lets the system drop the pages of `data`, a part of a tensor of this file.
  void release(std::span<const std::byte> data) const;

 private:
  friend class SafetensorsParser;
  SafetensorsFile(std::filesystem::path path, MappedFile file) : path_(std::move(path)), file_(std::move(file)) {}

  std::filesystem::path path_;
  MappedFile file_;
  std::vector<SafetensorsTensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, size_t, std::less<>> names_;
  std::vector<std::unique_ptr<std::byte[]>> copies_;  // of tensors that lie in the file without alignment
};

}  // namespace strata
