// Tokens that end an answer although no file says so: the names chat models give to "end of turn".
#pragma once

#include <vector>

#include "model/text/tokenizer_spec.h"

namespace strata {

// Adds to spec.end_of_generation what eos and the well-known names say, and makes those tokens control tokens. Ordinary
// tokens of such a name only count with `ordinary_too`: in GGUF files they are mislabelled, elsewhere they are text.
void add_end_of_generation(TokenizerSpec& spec, bool ordinary_too);

}  // namespace strata
