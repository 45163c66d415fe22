// A model as loaded from disk: configuration, graph, weights by name, tokenizer, chat template, generation defaults.
// Immutable; shared by everything that runs it. Weights stay mapped until they are packed (`compute/graph/bind.h`).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/format/generation_defaults.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace strata {

}  // namespace strata
