#include "learn/data/document_stream.h"

#include <algorithm>
#include <numeric>

#include "base/log.h"
#include "learn/data/shuffle.h"

namespace strata {
namespace {

constexpr int64_t kReported = 10;  // faults that are written to the log
// Streams of random numbers: each purpose has its own.
constexpr uint64_t kHeldOut = uint64_t{1} << 62;
constexpr uint64_t kBlocks = uint64_t{2} << 62;

bool is_held_out(const Record& record, const StreamOptions& options) {
  if (options.held_out <= 0) return false;
  const uint64_t bits = random_bits(options.seed, kHeldOut + record.file, record.offset);
  return static_cast<double>(bits >> 11) * 0x1p-53 < options.held_out;
}

}  // namespace

Result<DocumentStream> DocumentStream::open(const Corpus& corpus, const Tokenizer& tokenizer, ThreadPool& pool,
                                            const StreamOptions& options, const StreamPosition& position) {
  DocumentStream stream(corpus, tokenizer, pool, options);
  if (!tokenizer.eos())
    return invalid_argument("the tokenizer has no end token, which training puts after each document (set eos_token)");
  stream.end_ = *tokenizer.eos();
  stream.position_ = position;
  stream.any_in_epoch_ = position.group > 0 || position.record > 0;
  return stream;
}

int64_t DocumentStream::n_groups() const {
  const auto blocks = static_cast<int64_t>(corpus_->n_blocks());
  return (blocks + options_.group_blocks - 1) / options_.group_blocks;
}

std::vector<TokenId> DocumentStream::encode(const Record& record) const {
  std::vector<TokenId> ids = tokenizer_->encode(record.text, {false, false});
  if (!record.ends) return ids;
  ids = tokenizer_->frame(ids).ids;
  if (ids.empty() || ids.back() != end_) ids.push_back(end_);
  return ids;
}

Status DocumentStream::load_group() {
  const auto epoch = static_cast<uint64_t>(position_.epoch);
  std::vector<size_t> order(corpus_->n_blocks());
  if (options_.shuffles) {
    order = shuffled_order(order.size(), options_.seed, kBlocks + epoch);
  } else {
    std::iota(order.begin(), order.end(), size_t{0});
  }
  std::vector<Record> records;
  const auto first = static_cast<size_t>(position_.group * options_.group_blocks);
  const auto last = std::min(order.size(), first + static_cast<size_t>(options_.group_blocks));
  for (size_t i = first; i < last; ++i) {
    RETURN_IF_ERROR(corpus_->read_block(order[i], records, [&](const std::string& what) {
      if (++n_faults_ <= kReported) log_warning("skipped " + what);
      if (n_faults_ == kReported) log_warning("further bad records are skipped without a word");
    }));
  }
  std::erase_if(records, [&](const Record& r) { return is_held_out(r, options_) != options_.gives_held_out; });
  if (options_.shuffles) {
    const auto stream = epoch * static_cast<uint64_t>(n_groups()) + static_cast<uint64_t>(position_.group);
    const std::vector<size_t> places = shuffled_order(records.size(), options_.seed, stream);
    std::vector<Record> moved(records.size());
    for (size_t i = 0; i < places.size(); ++i) moved[i] = std::move(records[places[i]]);
    records = std::move(moved);
  }
  documents_.assign(records.size(), {});
  pool_->parallel_for(static_cast<int64_t>(records.size()), 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      documents_[static_cast<size_t>(i)] = encode(records[static_cast<size_t>(i)]);
      records[static_cast<size_t>(i)].text = {};
    }
  });
  loaded_ = true;
  return ok_status();
}

Result<std::span<const TokenId>> DocumentStream::current() {
  while (true) {
    if (!loaded_) RETURN_IF_ERROR(load_group());
    if (position_.record < static_cast<int64_t>(documents_.size())) {
      const auto& document = documents_[static_cast<size_t>(position_.record)];
      any_in_epoch_ = true;
      if (position_.token < static_cast<int64_t>(document.size()))
        return std::span<const TokenId>(document).subspan(static_cast<size_t>(position_.token));
      next_document();
      continue;
    }
    loaded_ = false;
    position_ = {position_.epoch, position_.group + 1, 0, 0};
    if (position_.group < n_groups()) continue;
    if (!any_in_epoch_) {
      const std::string which = options_.gives_held_out ? "held-out document" : "document";
      return invalid_argument("the corpus has no usable " + which + " (" + std::to_string(n_faults_) +
                              " bad records were skipped)");
    }
    position_ = {position_.epoch + 1, 0, 0, 0};
    any_in_epoch_ = false;
  }
}

void DocumentStream::advance(int64_t tokens) { position_.token += tokens; }

void DocumentStream::next_document() {
  ++position_.record;
  position_.token = 0;
}

}  // namespace strata
