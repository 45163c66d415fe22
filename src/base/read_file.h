// A whole file as text.
#pragma once

#include <filesystem>
#include <string>

#include "base/status.h"

namespace strata {

// Anything that can be opened for reading, pipes included. kNotFound when it cannot, or is a folder.
Result<std::string> read_file(const std::filesystem::path& path);

}  // namespace strata
