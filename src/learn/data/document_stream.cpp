#include "learn/data/document_stream.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
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
  const std::vector<TokenId> framed = tokenizer.frame({}).ids;
  if (tokenizer.bos() && !framed.empty() && framed[0] == *tokenizer.bos()) stream.begin_ = framed[0];
  stream.position_ = position;
  stream.any_in_epoch_ = position.group > 0 || position.record > 0;
  return stream;
}

int64_t DocumentStream::n_groups() const {
  const auto blocks = static_cast<int64_t>(corpus_->n_blocks());
  return (blocks + options_.group_blocks - 1) / options_.group_blocks;
}

Result<std::vector<TokenId>> DocumentStream::encode(const Record& record) const {
  if (record.is_chat) return encode_chat(record);
  std::vector<TokenId> ids = tokenizer_->encode(record.text, {false, false});
  if (!record.ends) return ids;
  ids = tokenizer_->frame(ids).ids;
  if (ids.empty() || ids.back() != end_) ids.push_back(end_);
  return ids;
}

// The template writes the special tokens, the first one too.
Result<std::vector<TokenId>> DocumentStream::encode_chat(const Record& record) const {
  if (options_.chat_template == nullptr)
    return invalid_argument("a chat, and the tokenizer has no template for chats (give tokenizer.chat_template)");
  const auto spelled = [&](std::optional<TokenId> id) { return id ? std::string(tokenizer_->piece(*id, true)) : ""; };
  const nlohmann::ordered_json variables{{"messages", nlohmann::ordered_json::parse(record.text, nullptr, false)},
                                         {"bos_token", spelled(tokenizer_->bos())},
                                         {"eos_token", spelled(tokenizer_->eos())}};
  ASSIGN_OR_RETURN(const std::string text, options_.chat_template->render(variables));
  std::vector<TokenId> ids = tokenizer_->encode(text, {false, true});
  ids.push_back(end_);
  return ids;
}

std::vector<size_t> DocumentStream::block_order() const {
  const size_t n = corpus_->n_blocks();
  if (options_.shuffles) return shuffled_order(n, options_.seed, kBlocks + static_cast<uint64_t>(position_.epoch));
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  return order;
}

// The records in the order of the blocks, whoever read them.
Result<std::vector<Record>> DocumentStream::read_blocks(std::span<const size_t> blocks) {
  struct Read {
    Status status;
    std::vector<Record> records;
    std::vector<Corpus::Fault> faults;  // the first ones
    int64_t n_faults = 0;
  };
  std::vector<Read> reads(blocks.size());
  pool_->parallel_for(static_cast<int64_t>(blocks.size()), 1, [&](int64_t begin, int64_t end, int) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      Read& read = reads[i];
      read.status = corpus_->read_block(blocks[i], read.records, [&](Corpus::Fault fault) {
        if (read.n_faults++ < kReported) read.faults.push_back(std::move(fault));
      });
    }
  });
  std::vector<Record> records;
  for (Read& read : reads) {
    RETURN_IF_ERROR(read.status);
    for (const Corpus::Fault& fault : read.faults) report(fault);
    n_faults_ += read.n_faults;
    std::move(read.records.begin(), read.records.end(), std::back_inserter(records));
  }
  return records;
}

void DocumentStream::report(const Corpus::Fault& fault) {
  if (++n_reported_ <= kReported) log_warning("skipped " + corpus_->describe(fault));
  if (n_reported_ == kReported) log_warning("further bad records are skipped without a word");
}

// Fills documents_; the texts are dropped.
Status DocumentStream::encode_all(std::vector<Record>& records) {
  documents_.assign(records.size(), {});
  std::vector<Status> failures(records.size());
  pool_->parallel_for(static_cast<int64_t>(records.size()), 4, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin; i < end; ++i) {
      Record& record = records[static_cast<size_t>(i)];
      Result<std::vector<TokenId>> ids = encode(record);
      if (ids.ok()) {
        documents_[static_cast<size_t>(i)] = *std::move(ids);
      } else {
        failures[static_cast<size_t>(i)] = ids.status();
      }
      record.text = {};
    }
  });
  const auto on_fault = [&](const Corpus::Fault& fault) {
    ++n_faults_;
    report(fault);
  };
  for (size_t i = 0; i < records.size(); ++i) {
    if (failures[i].ok()) continue;
    RETURN_IF_ERROR(corpus_->fault({records[i].file, records[i].offset, failures[i].message()}, on_fault));
  }
  return ok_status();
}

Status DocumentStream::load_group() {
  const auto epoch = static_cast<uint64_t>(position_.epoch);
  const std::vector<size_t> order = block_order();
  const auto group = [&](int64_t index) {
    const size_t first = std::min(order.size(), static_cast<size_t>(index * options_.group_blocks));
    const size_t last = std::min(order.size(), first + static_cast<size_t>(options_.group_blocks));
    return std::span(order).subspan(first, last - first);
  };
  ASSIGN_OR_RETURN(std::vector<Record> records, read_blocks(group(position_.group)));
  for (const size_t block : group(position_.group + 1)) corpus_->will_read(block);
  std::erase_if(records, [&](const Record& r) { return is_held_out(r, options_) != options_.gives_held_out; });
  if (options_.shuffles) {
    const auto stream = epoch * static_cast<uint64_t>(n_groups()) + static_cast<uint64_t>(position_.group);
    const std::vector<size_t> places = shuffled_order(records.size(), options_.seed, stream);
    std::vector<Record> moved(records.size());
    for (size_t i = 0; i < places.size(); ++i) moved[i] = std::move(records[places[i]]);
    records = std::move(moved);
  }
  RETURN_IF_ERROR(encode_all(records));
  loaded_ = true;
  return ok_status();
}

Result<std::span<const TokenId>> DocumentStream::current() {
  while (true) {
    if (!loaded_) RETURN_IF_ERROR(load_group());
    if (position_.record < static_cast<int64_t>(documents_.size())) {
      const auto& document = documents_[static_cast<size_t>(position_.record)];
      any_in_epoch_ |= !document.empty();
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
