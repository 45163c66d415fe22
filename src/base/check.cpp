#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace strata {

void check_failed(const char* file, int line, const std::string& message) {
  std::fprintf(stderr, "strata: CHECK failed at %s:%d: %s\n", file, line, message.c_str());
  std::abort();
}

}  // namespace strata
