// Numbers as Python prints and rounds them.
#pragma once

#include <string>

#include "model/jinja/value.h"

namespace strata::jinja {

void append_integer(std::string& out, Wide value);
std::string integer_text(Wide value, unsigned base = 10);  // with a minus sign, no prefix
void append_float(std::string& out, double value);         // repr: the shortest text that reads back the same
double round_decimal(double value, int digits);            // round(value, digits): half to even on the exact value

}  // namespace strata::jinja
