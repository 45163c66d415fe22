// Fits a model's weights into the memory they may have: what does not fit is streamed from the file of packed weights.
#pragma once

#include "engine/packed_cache.h"

namespace strata {

// Rewrites the lowered graph (pass schedule_weights) and lets the binder copy what stays out of the file. Gives the
// bytes of the buffer for streamed weights; 0: everything fits. Embedding tables count as staying. An error says why
// there is no such file, or how much memory is needed at least.
Result<uint64_t> fit_weights(const Checkpoint& checkpoint, Graph& lowered, const CpuKernels& kernels,
                             WeightBinder& binder, ThreadPool& pool, const PackedCacheOptions& cache, uint64_t memory);

}  // namespace strata
