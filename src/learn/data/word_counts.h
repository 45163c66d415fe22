// How often each word of a corpus occurs: what tokenizers are trained on. A word is what the pattern matches. Memory is
// bounded: beyond max_words the rarest are forgotten. Of what is no language (base64, a text without spaces) a match may be
// any length: it is cut into words of max_word_bytes, so that what is learnt from them costs what other text costs.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "learn/data/corpus.h"
#include "model/text/split_pattern.h"

namespace strata {

struct WordCountOptions {
  size_t max_words = size_t{1} << 20;
  uint64_t max_bytes = uint64_t{1} << 30;  // of the corpus: of a larger one, blocks spread over it
  size_t max_word_bytes = 1024;
};

// Is told which share of the work is done, now and then.
using OnShareDone = std::function<void(double share)>;

using WordCounts = std::vector<std::pair<std::string, int64_t>>;

// Most frequent first, equal ones by their bytes. The same at any thread count. kInvalidArgument: there is no word.
Result<WordCounts> count_words(const Corpus& corpus, const SplitPattern& pattern, ThreadPool& pool,
                               const WordCountOptions& options = {}, const OnShareDone& on_progress = {});

}  // namespace strata
