// Which texts the next step of the embedding engine computes. Requests share a step: the one that was given the fewest
// tokens goes next, so that a request of ten thousand texts does not hold up one of a single text, and its own texts
// are taken in order. A policy: no thread, no clock, no model.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "engine/embedding_request.h"

namespace strata {

class EmbeddingQueue {
 public:
  using Handle = uint64_t;
  struct Pick {
    Handle handle;
    size_t text;  // of the request
  };

  void add(Handle handle, EmbeddingRequest request);
  void remove(Handle handle);  // unknown handles are ignored
  const EmbeddingRequest* find(Handle handle) const;

  // Texts for one step: at most `max_texts` and `max_tokens`, but one longer text alone. Empty when nothing waits.
  std::vector<Pick> next(int64_t max_tokens, int max_texts);

  bool empty() const { return requests_.empty(); }
  std::vector<Handle> handles() const;

 private:
  struct Entry {
    EmbeddingRequest request;
    size_t next = 0;    // text
    int64_t given = 0;  // tokens, counted from what the least served request had when this one came
  };
  std::map<Handle, Entry> requests_;
  std::set<std::pair<int64_t, Handle>> order_;  // requests with texts left, by tokens given
  int64_t now_ = 0;                             // tokens given to the request that was served last
};

}  // namespace strata
