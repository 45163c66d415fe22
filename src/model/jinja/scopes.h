// Decides, once per template, which names begin undefined in which frame. Jinja binds names to frames when it compiles:
// a name whose first use in a frame is an assignment belongs to that frame from its start, so what is read there before
// the assignment runs (in a loop above it, in a macro) is undefined, even where the caller gave a variable of that
// name.
#pragma once

#include "model/jinja/ast.h"

namespace strata::jinja {

void bind_names(Program& program);

}  // namespace strata::jinja
