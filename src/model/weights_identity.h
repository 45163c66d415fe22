// What tells the weights of a checkpoint from all others: a hash of their bytes, or, at once, facts about the files.
#pragma once

#include "base/hash.h"
#include "base/thread_pool.h"
#include "model/format/checkpoint.h"

namespace strata {

// Of the contents of all files with weights and of the configuration. Reads everything, on all threads.
Hash128 hash_weight_contents(const Checkpoint& checkpoint, ThreadPool& pool);

// Of sizes, times, inodes and devices in the place of contents. Equal facts mean equal contents where settled_facts()
// was true when both were taken down together; a copied or moved model has other facts.
Hash128 hash_weight_facts(const Checkpoint& checkpoint);

// No file was changed so recently that another change could leave its times as they are.
bool settled_facts(const Checkpoint& checkpoint);

// The files are still those that were opened.
bool weights_unchanged(const Checkpoint& checkpoint);

}  // namespace strata
