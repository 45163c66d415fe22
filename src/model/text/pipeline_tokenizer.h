// Makes the Tokenizer that a TokenizerSpec describes.
#pragma once

#include <memory>

#include "base/status.h"
#include "model/text/tokenizer.h"
#include "model/text/tokenizer_spec.h"

namespace strata {

// kInvalidArgument when an id of the specification lies outside its vocabulary, or a token is too long to merge.
Result<std::unique_ptr<Tokenizer>> make_tokenizer(TokenizerSpec spec);

}  // namespace strata
