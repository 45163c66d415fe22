// A name out of a file, fit for a one-line message: control characters and invalid bytes escaped, cut at 80 bytes.
#pragma once

#include <string>
#include <string_view>

namespace strata {

std::string quoted_name(std::string_view name);

}  // namespace strata
