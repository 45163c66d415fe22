// A vocabulary of 96 tokens whose pieces make text borders hard: letters, words, single bytes of longer characters,
// pieces that end one character and begin the next, and special tokens without text.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "model/text/tokenizer.h"

namespace strata {

class FakeTokenizer final : public Tokenizer {
 public:
  static constexpr int kVocab = 96;
  static constexpr TokenId kEnd = 0;
  static constexpr TokenId kTurn = 1;

  FakeTokenizer() {
    pieces_.resize(kVocab);
    pieces_[2] = " ";
    pieces_[3] = "\xC3";  // first byte of é, è, ü
    pieces_[4] = "\xA9";  // last byte of é
    pieces_[5] = "\xA8";
    pieces_[6] = "\xE2\x82";  // most of the euro sign
    pieces_[7] = "\xAC";
    pieces_[8] =
        "\xAC"
        "a\xC3";          // ends one, begins another
    pieces_[9] = "\xFF";  // never part of a character
    for (int id = 10; id < 36; ++id)
      pieces_[static_cast<size_t>(id)] = std::string(1, static_cast<char>('a' + id - 10));
    for (int id = 36; id < kVocab; ++id) {
      std::string& piece = pieces_[static_cast<size_t>(id)];
      for (int value = id, i = 0; i < 2 + id % 3; ++i, value = value * 7 + 3)
        piece.push_back(static_cast<char>('a' + value % 5));
    }
  }

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions&) const override {
    std::vector<TokenId> ids;
    for (const char c : text) ids.push_back(c >= 'a' && c <= 'z' ? 10 + (c - 'a') : 2);
    return ids;
  }
  std::string_view piece(TokenId id, bool) const override {
    return id < 0 || id >= kVocab ? std::string_view() : pieces_[static_cast<size_t>(id)];
  }
  std::string decode(const std::vector<TokenId>& ids, bool) const override {
    std::string text;
    for (const TokenId id : ids) text += piece(id, false);
    return text;
  }
  int vocab_size() const override { return kVocab; }
  bool is_special(TokenId id) const override { return id == kEnd || id == kTurn; }
  std::optional<TokenId> find(std::string_view) const override { return std::nullopt; }
  std::optional<TokenId> bos() const override { return std::nullopt; }
  std::optional<TokenId> eos() const override { return kEnd; }
  std::vector<TokenId> end_of_generation() const override { return {kEnd, kTurn}; }

 private:
  std::vector<std::string> pieces_;
};

}  // namespace strata
