// The control groups that this process is in: containers limit processors and memory there.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

namespace strata {

// The folder of this process's group and those of the groups above it, of version 2 and of version 1's `controller`
// ("cpu", "memory"). Some may not exist: a container sees a part of the tree.
std::vector<std::filesystem::path> control_groups(const std::filesystem::path& root, std::string_view controller);

}  // namespace strata
