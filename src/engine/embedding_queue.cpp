#include "engine/embedding_queue.h"

#include <utility>

namespace strata {

void EmbeddingQueue::add(Handle handle, EmbeddingRequest request) {
  // Who comes now starts level with those who wait: neither before them nor behind all they were given.
  const int64_t given = order_.empty() ? now_ : order_.begin()->first;
  requests_[handle] = {std::move(request), 0, given};
  order_.insert({given, handle});
}

void EmbeddingQueue::remove(Handle handle) {
  const auto at = requests_.find(handle);
  if (at == requests_.end()) return;
  order_.erase({at->second.given, handle});
  requests_.erase(at);
}

const EmbeddingRequest* EmbeddingQueue::find(Handle handle) const {
  const auto at = requests_.find(handle);
  return at == requests_.end() ? nullptr : &at->second.request;
}

std::vector<EmbeddingQueue::Handle> EmbeddingQueue::handles() const {
  std::vector<Handle> all;
  for (const auto& [handle, entry] : requests_) all.push_back(handle);
  return all;
}

std::vector<EmbeddingQueue::Pick> EmbeddingQueue::next(int64_t max_tokens, int max_texts) {
  std::vector<Pick> picks;
  int64_t tokens = 0;
  while (!order_.empty() && picks.size() < static_cast<size_t>(max_texts)) {
    const Handle handle = order_.begin()->second;
    Entry& entry = requests_.at(handle);
    const auto size = static_cast<int64_t>(entry.request.texts[entry.next].ids.size());
    if (!picks.empty() && tokens + size > max_tokens) break;
    picks.push_back({handle, entry.next});
    tokens += size;
    order_.erase(order_.begin());
    ++entry.next;
    entry.given += size;
    now_ = entry.given;
    if (entry.next < entry.request.texts.size()) order_.insert({entry.given, handle});
  }
  return picks;
}

}  // namespace strata
