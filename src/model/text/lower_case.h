// The lower case of a character whatever stands around it. Pure; any thread.
#pragma once

#include <string>

namespace strata {

void append_lower(std::string& out, char32_t c);

}  // namespace strata
