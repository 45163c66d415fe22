#include "model/text/chars_map.h"

#include <cstring>

#include "model/text/grapheme.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

constexpr size_t kLongestCluster = 5;  // bytes

uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); }
uint32_t label_of(uint32_t unit) { return unit & ((1u << 31) | 0xFF); }
bool has_leaf(uint32_t unit) { return ((unit >> 8) & 1) != 0; }

}  // namespace

Result<CharsMap> CharsMap::parse(std::string_view bytes) {
  CharsMap map;
  if (bytes.empty()) return map;
  uint32_t size = 0;
  if (bytes.size() >= sizeof(size)) std::memcpy(&size, bytes.data(), sizeof(size));
  if (size < 4 || size % 4 != 0 || size > bytes.size() - sizeof(size)) {
    return invalid_argument("the precompiled character map is damaged");
  }
  map.units_.resize(size / 4);
  std::memcpy(map.units_.data(), bytes.data() + sizeof(size), size);
  map.texts_ = bytes.substr(sizeof(size) + size);
  return map;
}

CharsMap::Match CharsMap::find(std::string_view text, size_t at, bool shortest) const {
  Match match;
  if (units_.empty()) return match;
  size_t node = offset_of(units_[0]);
  for (size_t end = at; end < text.size() && text[end] != '\0';) {
    const auto byte = static_cast<uint8_t>(text[end++]);
    node ^= byte;
    if (node >= units_.size() || label_of(units_[node]) != byte) break;
    const bool leaf = has_leaf(units_[node]);
    node ^= offset_of(units_[node]);
    if (!leaf) continue;
    if (node >= units_.size()) break;
    const size_t begin = units_[node] & ~(1u << 31);
    if (begin >= texts_.size()) break;
    match = {end - at, std::string_view(texts_).substr(begin, texts_.find('\0', begin) - begin)};
    if (shortest) break;
  }
  return match;
}

std::string map_graphemes(const CharsMap& map, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t end = grapheme_end(text, at);
    const std::string_view cluster = text.substr(at, end - at);
    const CharsMap::Match whole = cluster.size() <= kLongestCluster ? map.shortest(cluster, 0) : CharsMap::Match();
    if (whole.length > 0) {
      out += whole.text;
      at = end;
    }
    while (at < end) {
      const size_t length = code_point_at(text, at).length;
      const std::string_view character = text.substr(at, length);
      const CharsMap::Match match = map.shortest(character, 0);
      out += match.length > 0 ? match.text : character;
      at += length;
    }
  }
  return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes;
  uint32_t bits = 0;
  int n_bits = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    const std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<uint32_t>(value);
    n_bits += 6;
    if (n_bits >= 8) bytes += static_cast<char>(bits >> (n_bits -= 8));
  }
  return bytes;
}

}  // namespace strata
