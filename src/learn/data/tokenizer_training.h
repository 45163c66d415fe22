// Trains tokenizers and writes them as tokenizer.json, which Strata and Hugging Face's tokenizers read alike.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "learn/data/corpus.h"
#include "learn/data/word_counts.h"

namespace strata {

enum class TokenizerKind : uint8_t {
  kBpe,      // byte-level byte pair encoding (https://arxiv.org/abs/1508.07909, GPT-2's alphabet and words)
  kUnigram,  // https://arxiv.org/abs/1804.10959, on characters with bytes for the others
};

struct TokenizerTraining {
  TokenizerKind kind = TokenizerKind::kBpe;
  int64_t vocab = 4096;
  std::string end_token = "<|endoftext|>";       // id 0
  std::string begin_token = {};                  // where there is one, id 1: put before every text
  std::vector<std::string> special_tokens = {};  // the ids after them
};

struct TrainedTokenizer {
  std::string tokenizer_json;
  std::string tokenizer_config;  // tokenizer_config.json
};

// The same at any thread count. kInvalidArgument: a vocabulary too small for its bytes and special tokens, or one that
// the corpus has not enough different words for.
Result<TrainedTokenizer> train_tokenizer(const Corpus& corpus, const TokenizerTraining& options, ThreadPool& pool,
                                         const OnShareDone& on_progress = {});

// Parts of it. Pairs of bytes in the order in which they were merged, until they make n_tokens tokens beside single
// bytes or nothing occurs twice.
std::vector<std::pair<std::string, std::string>> train_merges(const WordCounts& words, size_t n_tokens,
                                                              const OnShareDone& on_progress = {});
// Pieces and their log-probabilities, best first; all characters in `words` among them as far as they fit.
std::vector<std::pair<std::string, double>> train_pieces(const WordCounts& words, size_t n_pieces, ThreadPool& pool,
                                                         const OnShareDone& on_progress = {});

}  // namespace strata
