// "%s and %d" % values, and "{} {name:>8}".format(...).
// Sources: https://docs.python.org/3/library/stdtypes.html#printf-style-string-formatting,
// https://docs.python.org/3/library/string.html#format-string-syntax
#pragma once

#include <string>
#include <string_view>

#include "model/jinja/render.h"

namespace strata::jinja {

// `values`: a tuple for several, a dict for %(name)s, else the one value.
Value printf_format(Render& render, const Value& format, const Value& values);

Value brace_format(Render& render, std::string_view format, const Arguments& arguments);

}  // namespace strata::jinja
