// A stretch of a text, by byte offsets.
#pragma once

#include <cstddef>

namespace strata {

struct Span {
  size_t begin = 0;
  size_t end = 0;
  size_t size() const { return end - begin; }
};

}  // namespace strata
