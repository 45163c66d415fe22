// A tensor of a GGUF file as a folder would have it: one, or several that share its bytes.
#pragma once

#include <vector>

#include "model/format/checkpoint.h"
#include "model/format/gguf.h"
#include "model/format/gguf_architectures.h"

namespace strata {

// Tensors that a folder has apart (q, k and v; the norms of single heads) are slices of the mapped bytes. A tensor
// whose sizes do not allow that keeps its GGUF name. `config`: of the file, in Hugging Face's names.
std::vector<TensorInfo> present_gguf_tensor(const GgufTensor& tensor, const GgufArchitecture& architecture,
                                            const ConfigView& config);

}  // namespace strata
