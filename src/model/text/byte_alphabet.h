// The printable character by which GPT-2 vocabularies spell each byte: ! to ~, U+00A1 to U+00AC and U+00AE to U+00FF
// stand for themselves, the other bytes in rising order for U+0100 onwards (published with GPT-2, encoder.py). Also the
// spelling <0x0A> of SentencePiece. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace strata {

// The same as steps of a normalizer or a pre-tokenizer.
struct SpellBytesStep {};
struct UnspellBytesStep {};

std::string spell_bytes(std::string_view bytes);
// nullopt when a character is not of the alphabet.
std::optional<std::string> unspell_bytes(std::string_view spelling);

// "<0x0A>" -> 10; nullopt for every other text.
std::optional<uint8_t> byte_token_value(std::string_view spelling);

}  // namespace strata
