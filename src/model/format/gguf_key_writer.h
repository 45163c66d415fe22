// Writes settings of one architecture ("ARCHITECTURE.key") into a GGUF file. Absent values and keys that are there
// already are passed over; numbers outside the key's type are refused, once, by status().
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/format/gguf_writer.h"

namespace strata {

class GgufKeyWriter {
 public:
  GgufKeyWriter(std::string_view architecture, GgufWriter& writer)
      : prefix_(std::string(architecture) + "."), writer_(writer) {}

  bool has(std::string_view key) const { return writer_.has(prefix_ + std::string(key)); }
  void add(std::string_view key, std::optional<int64_t> value) {
    if (!value || has(key)) return;
    if (*value < 0 || *value > UINT32_MAX) {
      failure_ = invalid_argument("config.json: " + prefix_ + std::string(key) + " would be " + std::to_string(*value));
      return;
    }
    writer_.add_uint(prefix_ + std::string(key), static_cast<uint32_t>(*value));
  }
  void add_float(std::string_view key, std::optional<double> value) {
    if (value && !has(key)) writer_.add_float(prefix_ + std::string(key), static_cast<float>(*value));
  }
  void add_bool(std::string_view key, std::optional<bool> value) {
    if (value && !has(key)) writer_.add_bool(prefix_ + std::string(key), *value);
  }
  void add_string(std::string_view key, std::optional<std::string> value) {
    if (value && !has(key)) writer_.add_string(prefix_ + std::string(key), *value);
  }
  void add_bools(std::string_view key, const std::vector<bool>& values) {
    if (!has(key)) writer_.add_bools(prefix_ + std::string(key), values);
  }
  GgufWriter& writer() { return writer_; }
  const Status& status() const { return failure_; }

 private:
  std::string prefix_;
  GgufWriter& writer_;
  Status failure_;
};

}  // namespace strata
