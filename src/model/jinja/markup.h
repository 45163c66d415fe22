// HTML escaping, which |escape does and text marked |safe asks of what is added to it.
#pragma once

#include <string>
#include <string_view>

namespace strata::jinja {

std::string escape_markup(std::string_view text);    // & < > ' " become entities
std::string unescape_markup(std::string_view text);  // the common entities and numeric references become characters

}  // namespace strata::jinja
