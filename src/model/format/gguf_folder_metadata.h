// GGUF metadata of a Hugging Face folder: the way back from config.json to the keys of gguf_architectures.h.
#pragma once

#include "base/status.h"
#include "model/format/checkpoint.h"

namespace strata {

class GgufFile;
class GgufWriter;
struct GgufConversion;

// Settings, tokenizer, chat template; the last two from `tokenizer` where one is given. Warns of fields that GGUF has no key for and writes them to kGgufConfigKey.
Status write_gguf_folder_metadata(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufWriter& writer,
                                  const GgufFile* tokenizer);

}  // namespace strata
