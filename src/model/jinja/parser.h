// Tokens to a Program.
// Source of the grammar: https://jinja.palletsprojects.com/en/stable/templates/
#pragma once

#include <memory>
#include <string_view>

#include "base/status.h"
#include "model/jinja/ast.h"

namespace strata::jinja {

// kInvalidArgument "line N: reason" for what is no template, also for one that nests deeper than any honest one.
Result<std::unique_ptr<Program>> parse_template(std::string_view source);

}  // namespace strata::jinja
