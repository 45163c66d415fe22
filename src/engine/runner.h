// What the engine needs of a model: run one flat batch, and handle cache blocks. The real one executes a plan
// (engine/model_runner.h); tests use fakes. Called from the engine thread only.
#pragma once

#include <span>

#include "base/hash.h"
#include "base/status.h"
#include "compute/graph/batch.h"

namespace strata {

class ExpertLoad;

struct RunnerLimits {
  int vocab = 0;
  int max_context = 0;       // tokens of one sequence
  int short_context = 0;     // > 0: longer sequences rotate by other frequencies (ModelConfig)
  int max_batch_tokens = 0;  // T of one step
  int max_sequences = 0;     // S of one step
  int max_outputs = 0;       // O of one step
  int n_blocks = 0;          // physical cache blocks, ids [0, n_blocks)
  int block_tokens = 16;
  Hash128 cache_identity;  // all that decides what a cached block holds besides tokens and adapter: weights,
                           // arithmetic id, tensor-parallel degree, depth, width, cache type. Root of prefix hashes.
};

class Runner {
 public:
  virtual ~Runner() = default;
  virtual const RunnerLimits& limits() const = 0;
  // Computes the batch; logits [O, vocab] fp32 stay valid until the next call. O may be 0 (a prefill chunk that does
  // not reach the end of its prompt). An error fails the requests of this batch only.
  virtual Result<std::span<const float>> run(const Batch& batch) = 0;
  // Copies the contents of one cache block to another (copy on write), in every layer.
  virtual void copy_block(int from, int to) = 0;
  // Sets a block to zero before it is used again: unwritten slots are zero, never NaN.
  virtual void clear_block(int block) = 0;
  // Called again and again while there is nothing to compute: does a little of what later steps would have to wait for.
  // False when nothing is left of that.
  virtual bool prepare() { return false; }
  // How the model's experts are used; any thread. Null: it has none.
  virtual const ExpertLoad* expert_load() const { return nullptr; }
};

}  // namespace strata
