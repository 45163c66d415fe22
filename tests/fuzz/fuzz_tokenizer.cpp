// A tokenizer.json of any bytes, and any text through what could be made of it: reading must never do more than fail
// with a one-line reason, and a tokenizer must encode and decode whatever it is given, piece by piece as in one go.
// Input: the document, a zero byte, the text. Without a zero byte the whole input is text for a fixed tokenizer.
#include <algorithm>
#include <string>
#include <string_view>

#include "model/text/load_tokenizer.h"
#include "model/text/utf8.h"

namespace {

using namespace strata;

constexpr std::string_view kFixed = R"({"model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "vocab":
    {"<unk>": 0, "a": 1, "b": 2, "▁": 3, "ab": 4, "▁ab": 5, "<0x0A>": 6, "aa": 7, "aaaa": 8, "é": 9},
    "merges": ["a b", "▁ ab", "a a", "aa aa"]}, "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, "added_tokens": [
    {"id": 10, "content": "<s>", "special": true, "lstrip": true, "rstrip": true},
    {"id": 11, "content": "b<", "single_word": true, "normalized": true}], "pre_tokenizer": {"type": "Split",
    "pattern": {"Regex": "\\s+(?!\\S)|\\p{L}+"}, "behavior": "MergedWithNext", "invert": false},
    "decoder": {"type": "Metaspace"}})";

void require(bool holds) {
  if (!holds) __builtin_trap();
}

void round_trip(const Tokenizer& tokenizer, std::string_view text) {
  for (const bool special : {false, true}) {
    const auto ids = tokenizer.encode(text, {.add_special = special, .parse_special = special});
    IncrementalDecoder decoder(tokenizer, special);
    std::string joined;
    for (const TokenId id : ids) {
      require(id >= 0 && id < tokenizer.vocab_size());
      joined += decoder.push(id);
    }
    joined += decoder.finish();
    std::string checked;
    append_well_formed(checked, joined);
    require(joined == checked);
    require(joined == tokenizer.decode(ids, special));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  if (zero == std::string_view::npos) {
    static const auto fixed = tokenizer_from_json(kFixed);
    require(fixed.ok());
    round_trip(**fixed, input);
    return 0;
  }
  const auto tokenizer = tokenizer_from_json(input.substr(0, zero));
  if (!tokenizer.ok()) {
    require(tokenizer.status().message().find('\n') == std::string::npos);
    return 0;
  }
  round_trip(**tokenizer, input.substr(zero + 1));
  return 0;
}
