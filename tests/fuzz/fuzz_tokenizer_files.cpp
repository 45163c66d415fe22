// The files of folders without tokenizer.json, of any bytes: SentencePiece models, tiktoken ranks, GPT-2's two files,
// BERT's list. Input: a byte that names the kind, the file, a zero byte twice, a text for what could be made of it.
#include <algorithm>
#include <string>
#include <string_view>

#include "model/text/pipeline_tokenizer.h"
#include "model/text/sentence_piece_file.h"
#include "model/text/vocabulary_files.h"

namespace {

using namespace strata;

void require(bool holds) {
  if (!holds) __builtin_trap();
}

Result<TokenizerSpec> read(uint8_t kind, std::string_view file) {
  const size_t line = std::min(file.find('\n'), file.size());
  switch (kind % 4) {
    case 0:
      return tokenizer_spec_from_sentence_piece(file);
    case 1:
      return tokenizer_spec_from_ranks(file);
    case 2:
      return tokenizer_spec_from_merges(file.substr(0, line), file.substr(line));
    default:
      return tokenizer_spec_from_word_pieces(file.substr(line), file.substr(0, line));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t end = std::min(input.rfind(std::string_view("\0\0", 2)), input.size());
  auto spec = read(data[0], input.substr(0, end));
  if (!spec.ok()) {
    require(spec.status().message().find('\n') == std::string::npos);
    return 0;
  }
  const auto tokenizer = make_tokenizer(*std::move(spec));
  if (!tokenizer.ok()) return 0;
  const std::string_view text =
      end < input.size() ? input.substr(end + 2) : std::string_view("hello ab\xE2\x96\x81 12");
  const auto ids = (*tokenizer)->encode(text);
  IncrementalDecoder decoder(**tokenizer, true);
  std::string joined;
  for (const TokenId id : ids) {
    require(id >= 0 && id < (*tokenizer)->vocab_size());
    joined += decoder.push(id);
  }
  joined += decoder.finish();
  require(joined == (*tokenizer)->decode(ids, true));
  return 0;
}
