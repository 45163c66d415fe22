// Keeps packed weights on disk: a model's second start maps them in the place of packing. A folder holds, per model and
// table of layouts, one file (compute/graph/plan/packed_file.h) under the hash of all that it was made of: the contents
// of the model's files, the references and the layouts. Beside it stand records "these files had that content", so that
// a start need not read a model only to know it again; they count as long as sizes, times and inodes are the same.
//
// Nothing in the folder is trusted: a file is used when its structure and every byte agree with the hashes in it, else
// it is made anew. Files appear whole or not at all; of several processes that need the same one, one packs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "base/status.h"
#include "base/thread_pool.h"
#include "compute/graph/plan/bind.h"
#include "model/format/checkpoint.h"

namespace strata {

struct PackedCacheOptions {
  std::filesystem::path folder;             // empty: nothing is kept
  uint64_t min_bytes = 0;                   // less than this is packed faster than it is found
  uint64_t max_bytes = uint64_t{64} << 30;  // of all files; the ones that were not used for longest go first
  bool keep_mapped = true;                  // what was checked stays in this process's memory
};

// The file with the packed weights of `graph` (lowered for these kernels), every byte checked; written first when it is
// not there or damaged. Null: this model is not kept. An error says why there is no file: the caller can do without.
Result<std::shared_ptr<const PackedFile>> cached_weights(const Checkpoint& checkpoint, const Graph& graph,
                                                         const CpuKernels& kernels, WeightBinder& binder,
                                                         ThreadPool& pool, const PackedCacheOptions& options);
// Lets the binder take what is kept; where that fails, the log says why and everything is packed.
void use_cached_weights(const Checkpoint& checkpoint, const Graph& graph, const CpuKernels& kernels,
                        WeightBinder& binder, ThreadPool& pool, const PackedCacheOptions& options);

}  // namespace strata
