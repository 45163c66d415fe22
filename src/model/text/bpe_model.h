// The model step of byte pair encodings: a word becomes tokens. Source of the method: Sennrich et al. 2016
// (https://arxiv.org/abs/1508.07909); merging by score as SentencePiece does.
//
// Two things make it fast and change no result. (1) A word is cut where no merge can bridge two neighbouring symbols;
// the parts are encoded on their own. So texts that come as one "word" (SentencePiece) fall into small parts. (2) A
// part that is a token, and that its own merges lead to (tried once, when the model is made), needs no merging.
//
// Immutable; any thread may encode.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/text/bpe_merger.h"
#include "model/text/character_map.h"
#include "model/text/merge_table.h"
#include "model/text/token_map.h"
#include "model/text/tokenizer_spec.h"
#include "model/text/word_model.h"

namespace strata {

class BpeModel final : public WordModel {
 public:
  // `texts`: what each id stands for inside words, by id; empty for tokens that no word may become (control tokens,
  // byte tokens), whose merges are left out. Borrowed: they stay where they are for the life of the model.
  // `byte_tokens`: for characters the vocabulary does not know; -1 where there is none.
  BpeModel(const BpeSpec& spec, const std::vector<std::string>& texts, const std::array<TokenId, 256>& byte_tokens);

  void encode(std::string_view text, const std::vector<Span>& words, std::vector<TokenId>& out) const override;

 private:
  struct Scratch;
  struct Rule {
    Symbol left;
    Symbol right;
    Merge merge;
  };

  void name_first_symbols(const std::vector<std::string>& texts, bool from_scores);
  std::vector<Rule> ranked_rules(const BpeSpec& spec, const std::vector<std::string>& texts) const;
  std::vector<Rule> scored_rules(const BpeSpec& spec, const std::vector<std::string>& texts) const;
  Symbol symbol_of_text(std::string_view text) const;  // of a token or a single character
  void fill_tables(const std::vector<Rule>& rules, const std::vector<std::string>& texts);
  void mark_reachable(const std::vector<std::string>& texts);

  Symbol first_symbol(std::string_view text, size_t at, size_t& length) const;
  void split(std::string_view text, std::vector<BpeMerger::Part>& parts) const;
  void split_spelled(std::string_view word, std::vector<BpeMerger::Part>& parts) const;
  void encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const;
  void encode_part(std::string_view word, size_t end, Scratch& scratch, std::vector<TokenId>& out) const;
  bool is_dropped(Symbol symbol, std::string_view text) const;
  bool has_byte_tokens(std::string_view bytes) const;
  void emit_parts(std::string_view word, size_t end, Scratch& scratch, std::vector<TokenId>& out) const;
  void emit_unknown(std::string_view bytes, Scratch& scratch, std::vector<TokenId>& out) const;

  bool byte_level_;
  bool fuse_unknown_;
  bool whole_words_first_;
  std::string next_prefix_;
  std::string last_suffix_;
  std::optional<TokenId> unknown_;
  bool drop_unknown_;
  std::array<TokenId, 256> byte_tokens_;
  std::array<Symbol, 256> byte_symbols_{};
  CharacterMap characters_;
  TokenMap by_text_;
  MergeTable merges_;
  JoinFilter joins_;
  std::vector<uint8_t> reachable_;  // by id: its text, as a word, becomes just this token
  size_t n_tokens_;
  size_t longest_text_ = 0;
};

}  // namespace strata
