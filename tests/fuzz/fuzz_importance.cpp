// Importance files of any bytes: reading one must never do more than fail, and what is read can be used.
#include <cmath>

#include "fuzz_file.h"
#include "model/format/importance.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const strata::fuzz::InputFile input(data, size);
  const auto importance = strata::read_importance(input.path());
  if (!importance.ok()) {
    if (importance.status().message().find('\n') != std::string::npos) __builtin_trap();
    return 0;
  }
  for (const auto& [name, columns] : importance->tensors) {
    for (int64_t matrix = 0; matrix < columns.matrices(); ++matrix) {
      for (const float mean : columns.mean_squares(matrix)) {
        if (std::isnan(mean) || mean < 0) __builtin_trap();
      }
    }
  }
  return 0;
}
