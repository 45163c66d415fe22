// What kind of character a code point is, as the patterns that cut text into words ask: Unicode general categories
// (https://www.unicode.org/reports/tr44/#General_Category_Values) as bits. Pure functions, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace strata {

using CharClass = uint16_t;
inline constexpr CharClass kClassUpper = 1;          // Lu Lt
inline constexpr CharClass kClassLower = 2;          // Ll
inline constexpr CharClass kClassUncased = 4;        // Lm Lo
inline constexpr CharClass kClassMark = 8;           // Mn Mc Me
inline constexpr CharClass kClassNumber = 16;        // Nd Nl No
inline constexpr CharClass kClassPunctuation = 32;   // P*
inline constexpr CharClass kClassSymbol = 64;        // S*
inline constexpr CharClass kClassSpace = 128;        // White_Space, newlines among them
inline constexpr CharClass kClassNewline = 256;      // \r \n
inline constexpr CharClass kClassAsciiSymbol = 512;  // $ + < = > ^ ` | ~
inline constexpr CharClass kClassControl = 1024;     // C* but Cn
inline constexpr CharClass kClassNonspacing = 2048;  // Mn
inline constexpr CharClass kClassWord = 4096;        // is_word_character()
inline constexpr CharClass kClassDecimal = 8192;     // Nd
inline constexpr CharClass kClassLetter = kClassUpper | kClassLower | kClassUncased;

// Part of a word, as regular expressions' \w has it: alphabetic, marks, decimal digits, connectors, joiners
// (https://www.unicode.org/reports/tr18/#Compatibility_Properties).
bool is_word_character(char32_t code_point);

class CharClassTable {
 public:
  // Made from the Unicode library at first use (milliseconds), shared from then on.
  static const CharClassTable& instance();

  CharClass of(char32_t code_point) const {
    if (code_point > 0x10FFFF) return 0;
    return blocks_[(static_cast<uint32_t>(block_of_[code_point >> 8]) << 8) | (code_point & 0xFF)];
  }

 private:
  CharClassTable();
  std::array<uint16_t, 0x1100> block_of_;  // which block of 256 classes; equal blocks are stored once
  std::vector<CharClass> blocks_;
};

}  // namespace strata
