#include "model/text/grapheme.h"

#include <unicode/uchar.h>

#include "model/text/utf8.h"

namespace strata {
namespace {

int32_t break_class(const CodePoint& point) {
  if (!point.valid) return U_GCB_CONTROL;
  return u_getIntPropertyValue(static_cast<UChar32>(point.value), UCHAR_GRAPHEME_CLUSTER_BREAK);
}

bool is_pictograph(const CodePoint& point) {
  return point.valid && u_hasBinaryProperty(static_cast<UChar32>(point.value), UCHAR_EXTENDED_PICTOGRAPHIC);
}

bool is_control(int32_t c) { return c == U_GCB_CONTROL || c == U_GCB_CR || c == U_GCB_LF; }

// Syllables of Hangul stay together: L (L | V | LV | LVT), (LV | V) (V | T), (LVT | T) T.
bool joins_hangul(int32_t before, int32_t after) {
  if (before == U_GCB_L) return after == U_GCB_L || after == U_GCB_V || after == U_GCB_LV || after == U_GCB_LVT;
  if (before == U_GCB_LV || before == U_GCB_V) return after == U_GCB_V || after == U_GCB_T;
  return (before == U_GCB_LVT || before == U_GCB_T) && after == U_GCB_T;
}

}  // namespace

size_t grapheme_end(std::string_view text, size_t at) {
  const auto ascii_at = [&](size_t place) { return static_cast<uint8_t>(text[place]) < 0x80; };
  const bool next_is_ascii = at + 1 >= text.size() || ascii_at(at + 1);
  if (ascii_at(at) && next_is_ascii && text[at] != '\r') return at + 1;

  CodePoint point = code_point_at(text, at);
  int32_t before = break_class(point);
  bool pictograph = is_pictograph(point);  // a pictograph and what extends it, up to here
  bool after_joiner = false;               // of a pictograph
  int flags = before == U_GCB_REGIONAL_INDICATOR ? 1 : 0;
  size_t end = at + point.length;
  while (end < text.size()) {
    point = code_point_at(text, end);
    const int32_t after = break_class(point);
    const bool extends = after == U_GCB_EXTEND || after == U_GCB_ZWJ;
    const bool joined = before == U_GCB_CR   ? after == U_GCB_LF
                        : is_control(before) ? false
                        : is_control(after)
                            ? false
                            : extends || after == U_GCB_SPACING_MARK || before == U_GCB_PREPEND ||
                                  joins_hangul(before, after) || (after_joiner && is_pictograph(point)) ||
                                  (after == U_GCB_REGIONAL_INDICATOR && flags % 2 == 1);
    if (!joined) break;
    after_joiner = pictograph && after == U_GCB_ZWJ;
    pictograph = is_pictograph(point) || (pictograph && after == U_GCB_EXTEND);
    flags = after == U_GCB_REGIONAL_INDICATOR ? flags + 1 : 0;
    before = after;
    end += point.length;
  }
  return end;
}

}  // namespace strata
