// Rows of a weight that no file holds as they are: made of other stored tensors whenever they are asked for, so that a
// model takes no more memory than its packed form while it is loaded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace strata {

class RowSource {
 public:
  virtual ~RowSource() = default;
  // Rows [begin, end) as the tensor's type has them, one after the other, to any alignment. Any thread.
  virtual void read(int64_t begin, int64_t end, std::byte* out) const = 0;
  // The stored bytes it reads; they outlive it.
  const std::vector<std::span<const std::byte>>& parts() const { return parts_; }

 protected:
  explicit RowSource(std::vector<std::span<const std::byte>> parts) : parts_(std::move(parts)) {}

 private:
  std::vector<std::span<const std::byte>> parts_;
};

}  // namespace strata
