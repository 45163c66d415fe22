// Recipes of any text: reading one must never do more than fail, and what is read is within its bounds.
#include "learn/train/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto recipe = strata::parse_recipe(std::string(reinterpret_cast<const char*>(data), size), "/");
  if (!recipe.ok()) return 0;
  if (recipe->corpus.paths.empty() || recipe->micro_tokens < 1 || recipe->context < 1 || recipe->schedule.steps < 1 ||
      recipe->batch_tokens % recipe->micro_tokens != 0)
    __builtin_trap();
  return 0;
}
