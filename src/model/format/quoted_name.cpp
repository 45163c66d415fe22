#include "model/format/quoted_name.h"

#include <cstdio>

namespace strata {

std::string quoted_name(std::string_view name) {
  constexpr size_t kMaxBytes = 80;
  std::string out = "'";
  for (const char c : name.substr(0, kMaxBytes)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      out += escaped;
    }
  }
  if (name.size() > kMaxBytes) out += "...";
  return out + "'";
}

}  // namespace strata
