#include "model/text/utf8.h"

#include <algorithm>
#include <array>

namespace strata {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// What a lead byte announces: bytes in all (0: no lead byte) and the range of the second byte, which is where overlong
// forms, surrogates and values above U+10FFFF are told apart.
struct Lead {
  uint8_t length;
  uint8_t second_min;
  uint8_t second_max;
};

constexpr Lead lead_of(uint8_t byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

constexpr std::array<Lead, 256> make_leads() {
  std::array<Lead, 256> leads{};
  for (int byte = 0; byte < 256; ++byte) leads[byte] = lead_of(static_cast<uint8_t>(byte));
  return leads;
}
constexpr std::array<Lead, 256> kLeads = make_leads();

constexpr std::array<uint8_t, 5> kLeadBits = {0, 0x7F, 0x1F, 0x0F, 0x07};

// Bytes of the longest prefix of text[at...] that agrees with its lead byte; the whole sequence when complete.
uint8_t agreeing_bytes(std::string_view text, size_t at, Lead lead) {
  const size_t end = std::min<size_t>(lead.length, text.size() - at);
  size_t n = 1;
  for (; n < end; ++n) {
    const auto byte = static_cast<uint8_t>(text[at + n]);
    const uint8_t low = n == 1 ? lead.second_min : 0x80;
    const uint8_t high = n == 1 ? lead.second_max : 0xBF;
    if (byte < low || byte > high) break;
  }
  return static_cast<uint8_t>(n);
}

}  // namespace

CodePoint code_point_at(std::string_view text, size_t at) {
  const auto first = static_cast<uint8_t>(text[at]);
  if (first < 0x80) return {first, 1, true};
  const Lead lead = kLeads[first];
  if (lead.length == 0) return {0xFFFD, 1, false};
  const uint8_t length = agreeing_bytes(text, at, lead);
  if (length != lead.length) return {0xFFFD, length, false};
  char32_t value = first & kLeadBits[length];
  for (uint8_t i = 1; i < length; ++i) value = (value << 6) | (static_cast<uint8_t>(text[at + i]) & 0x3F);
  return {value, length, true};
}

size_t previous_code_point(std::string_view text, size_t end) {
  const size_t lowest = end >= 4 ? end - 4 : 0;
  for (size_t at = end; at-- > lowest;) {
    if ((static_cast<uint8_t>(text[at]) & 0xC0) == 0x80) continue;
    const CodePoint point = code_point_at(text.substr(0, end), at);
    if (point.valid && at + point.length == end) return at;
    break;
  }
  return end - 1;
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

size_t unfinished_suffix(std::string_view text) {
  const size_t lowest = text.size() >= 3 ? text.size() - 3 : 0;
  for (size_t at = text.size(); at-- > lowest;) {
    const auto byte = static_cast<uint8_t>(text[at]);
    if ((byte & 0xC0) == 0x80) continue;
    const Lead lead = kLeads[byte];
    const size_t rest = text.size() - at;
    return lead.length > rest && agreeing_bytes(text, at, lead) == rest ? rest : 0;
  }
  return 0;
}

void append_well_formed(std::string& out, std::string_view text) {
  size_t good = 0;  // start of the well-formed stretch not yet copied
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    if (!point.valid) {
      out.append(text.substr(good, at - good));
      out.append(kReplacement);
      good = at + point.length;
    }
    at += point.length;
  }
  out.append(text.substr(good));
}

}  // namespace strata
