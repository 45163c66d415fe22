// Symbols of single characters: two steps through pages of 256, which only exist where a character has a symbol.
#pragma once

#include <cstdint>
#include <vector>

#include "model/text/merge_table.h"

namespace strata {

class CharacterMap {
 public:
  CharacterMap() : page_of_(0x1100), symbols_(256, kNoSymbol) {}

  Symbol find(char32_t character) const {
    return symbols_[(static_cast<size_t>(page_of_[character >> 8]) << 8) | (character & 0xFF)];
  }

  void set(char32_t character, Symbol symbol) {
    uint16_t& page = page_of_[character >> 8];
    if (page == 0) {
      page = static_cast<uint16_t>(symbols_.size() / 256);
      symbols_.resize(symbols_.size() + 256, kNoSymbol);
    }
    symbols_[(static_cast<size_t>(page) << 8) | (character & 0xFF)] = symbol;
  }

 private:
  std::vector<uint16_t> page_of_;  // page 0 is empty
  std::vector<Symbol> symbols_;
};

}  // namespace strata
