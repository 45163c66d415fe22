// Groups of three digits counted from the right, as some tokenizers cut numbers. The expressions that say so look ahead
// to the end of the number at every group, which takes a long number's length squared; here it is one pass.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "model/text/span.h"

namespace strata {

enum class DigitGroups : uint8_t {
  kGroups,              // \p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd}))
  kGroupsOfWholeWords,  // \d{1,3}(?=(?:\d{3})*\b)
  kBetween,             // (?=(\d{3})+(?!\d)): the places where a group of three begins
};

std::optional<DigitGroups> digit_groups_of(std::string_view expression);

// As SplitPattern::find_all.
void find_digit_groups(DigitGroups kind, std::string_view text, Span within, std::vector<Span>& matches);

}  // namespace strata
