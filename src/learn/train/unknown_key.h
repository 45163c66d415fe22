// The error for a key that nobody reads.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace strata {

// "SECTION: unknown key "KEY" (the nearest known is "...")", nearest by the letters to insert, drop or change.
Status unknown_key(const std::string& section, const std::string& key, const std::vector<std::string>& known);

}  // namespace strata
