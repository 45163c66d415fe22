#include "model/text/char_class.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <map>
#include <string_view>

namespace strata {
namespace {

CharClass class_of_category(UCharCategory category) {
  const uint32_t mask = U_MASK(category);
  CharClass bits = 0;
  if (mask & (U_GC_LU_MASK | U_GC_LT_MASK)) bits |= kClassUpper;
  if (mask & U_GC_LL_MASK) bits |= kClassLower;
  if (mask & (U_GC_LM_MASK | U_GC_LO_MASK)) bits |= kClassUncased;
  if (mask & U_GC_M_MASK) bits |= kClassMark;
  if (mask & U_GC_MN_MASK) bits |= kClassNonspacing;
  if (mask & (U_GC_L_MASK | U_GC_M_MASK | U_GC_ND_MASK | U_GC_NL_MASK | U_GC_PC_MASK)) bits |= kClassWord;
  if (mask & U_GC_N_MASK) bits |= kClassNumber;
  if (mask & U_GC_ND_MASK) bits |= kClassDecimal;
  if (mask & U_GC_P_MASK) bits |= kClassPunctuation;
  if (mask & U_GC_S_MASK) bits |= kClassSymbol;
  if (mask & (U_GC_C_MASK & ~U_GC_CN_MASK)) bits |= kClassControl;
  return bits;
}

UBool fill_range(const void* context, UChar32 start, UChar32 limit, UCharCategory category) {
  auto& classes = *static_cast<std::vector<CharClass>*>(const_cast<void*>(context));
  std::fill(classes.begin() + start, classes.begin() + limit, class_of_category(category));
  return true;
}

constexpr std::array<std::pair<char32_t, char32_t>, 10> kWhiteSpace = {{
    {0x09, 0x0D},
    {0x20, 0x20},
    {0x85, 0x85},
    {0xA0, 0xA0},
    {0x1680, 0x1680},
    {0x2000, 0x200A},
    {0x2028, 0x2029},
    {0x202F, 0x202F},
    {0x205F, 0x205F},
    {0x3000, 0x3000},
}};

// What belongs to words beside the categories above: the joiners, and letters in circles and squares.
constexpr std::array<std::pair<char32_t, char32_t>, 5> kMoreOfWords = {
    {{0x200C, 0x200D}, {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}}};

}  // namespace

bool is_word_character(char32_t code_point) { return (CharClassTable::instance().of(code_point) & kClassWord) != 0; }

CharClassTable::CharClassTable() {
  std::vector<CharClass> classes(0x110000);
  u_enumCharTypes(fill_range, &classes);
  for (const auto& [first, last] : kWhiteSpace) {
    for (char32_t c = first; c <= last; ++c) classes[c] |= kClassSpace;
  }
  for (const auto& [first, last] : kMoreOfWords) {
    for (char32_t c = first; c <= last; ++c) classes[c] |= kClassWord;
  }
  for (const char c : std::string_view("$+<=>^`|~")) classes[static_cast<uint8_t>(c)] |= kClassAsciiSymbol;
  classes['\r'] |= kClassNewline;
  classes['\n'] |= kClassNewline;

  std::map<std::vector<CharClass>, uint16_t> known;
  for (size_t block = 0; block < block_of_.size(); ++block) {
    const auto begin = classes.begin() + static_cast<std::ptrdiff_t>(block) * 256;
    const std::vector<CharClass> content(begin, begin + 256);
    const auto [entry, is_new] = known.emplace(content, static_cast<uint16_t>(known.size()));
    if (is_new) blocks_.insert(blocks_.end(), content.begin(), content.end());
    block_of_[block] = entry->second;
  }
}

const CharClassTable& CharClassTable::instance() {
  static const CharClassTable table;
  return table;
}

}  // namespace strata
