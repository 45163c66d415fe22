// How much memory the machine has.
#pragma once

#include <cstdint>

namespace strata {

uint64_t machine_memory();  // bytes

}  // namespace strata
