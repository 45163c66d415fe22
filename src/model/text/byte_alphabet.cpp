#include "model/text/byte_alphabet.h"

#include <array>

#include "model/text/utf8.h"

namespace strata {
namespace {

struct Alphabet {
  std::array<char16_t, 256> letter{};
  std::array<int16_t, 512> byte{};  // -1: no letter

  constexpr Alphabet() {
    byte.fill(-1);
    char16_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool itself = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      letter[b] = itself ? static_cast<char16_t>(b) : next++;
      byte[letter[b]] = static_cast<int16_t>(b);
    }
  }
};
constexpr Alphabet kAlphabet;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) append_utf8(out, kAlphabet.letter[static_cast<uint8_t>(c)]);
  return out;
}

std::optional<std::string> unspell_bytes(std::string_view spelling) {
  std::string out;
  for (size_t at = 0; at < spelling.size();) {
    const CodePoint point = code_point_at(spelling, at);
    if (!point.valid || point.value >= kAlphabet.byte.size() || kAlphabet.byte[point.value] < 0) return std::nullopt;
    out += static_cast<char>(kAlphabet.byte[point.value]);
    at += point.length;
  }
  return out;
}

std::optional<uint8_t> byte_token_value(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>') return std::nullopt;
  const int high = hex_digit(spelling[3]);
  const int low = hex_digit(spelling[4]);
  if (high < 0 || low < 0) return std::nullopt;
  return static_cast<uint8_t>(high * 16 + low);
}

}  // namespace strata
