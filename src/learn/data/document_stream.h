// The documents of a corpus as tokens, epoch after epoch, each epoch in another order: the blocks are shuffled, and the
// records of a group of neighbouring ones among themselves. The order is a function of the seed, so a position in it is
// four numbers, and a stream that starts there goes on exactly as one that never stopped. Memory: a group of blocks.
//
// One thread uses it; the pool reads and encodes the records of a group, while the system fetches the next group's
// blocks from disk.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/thread_pool.h"
#include "learn/data/corpus.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace strata {

// Where a stream stands: all it needs to go on there.
struct StreamPosition {
  int64_t epoch = 0;
  int64_t group = 0;   // of blocks, in the epoch's order
  int64_t record = 0;  // in the group's order
  int64_t token = 0;   // of the record
  bool operator==(const StreamPosition&) const = default;
};

struct StreamOptions {
  uint64_t seed = 0;
  bool shuffles = true;
  int64_t group_blocks = 8;
  // Records kept out of training, as a share; the same ones in every epoch.
  double held_out = 0;
  bool gives_held_out = false;                  // these only
  const ChatTemplate* chat_template = nullptr;  // which writes chats; outlives the stream
};

class DocumentStream {
 public:
  // All three outlive it. kInvalidArgument: the tokenizer has no end token.
  static Result<DocumentStream> open(const Corpus& corpus, const Tokenizer& tokenizer, ThreadPool& pool,
                                     const StreamOptions& options, const StreamPosition& position = {});

  // The tokens of the current document from the position on, with the tokens around it that the model wants and an end
  // token. At the end of an epoch goes on with the next. Faults of the corpus come out here. kInvalidArgument: an epoch
  // without any document.
  Result<std::span<const TokenId>> current();
  void advance(int64_t tokens);  // within what current() gave
  void next_document();

  const StreamPosition& position() const { return position_; }
  // The token that the model wants before every text, if any: documents begin with it.
  std::optional<TokenId> begin() const { return begin_; }
  int64_t n_groups() const;
  int64_t n_faults() const { return n_faults_; }

 private:
  DocumentStream(const Corpus& corpus, const Tokenizer& tokenizer, ThreadPool& pool, const StreamOptions& options)
      : corpus_(&corpus), tokenizer_(&tokenizer), pool_(&pool), options_(options) {}
  Status load_group();
  std::vector<size_t> block_order() const;
  Result<std::vector<Record>> read_blocks(std::span<const size_t> blocks);
  void report(const Corpus::Fault& fault);
  Status encode_all(std::vector<Record>& records);
  Result<std::vector<TokenId>> encode(const Record& record) const;
  Result<std::vector<TokenId>> encode_chat(const Record& record) const;

  const Corpus* corpus_;
  const Tokenizer* tokenizer_;
  ThreadPool* pool_;
  StreamOptions options_;
  TokenId end_ = 0;
  std::optional<TokenId> begin_;
  StreamPosition position_;
  bool loaded_ = false;  // documents_ are those of position_.group
  bool any_in_epoch_ = false;
  std::vector<std::vector<TokenId>> documents_;
  int64_t n_faults_ = 0;
  int64_t n_reported_ = 0;
};

}  // namespace strata
