#include "model/text/lower_case.h"

#include <unicode/uchar.h>

#include "model/text/utf8.h"

namespace strata {

void append_lower(std::string& out, char32_t c) {
  if (c == 0x130) {  // the one letter whose lower case is two characters whatever its neighbours
    out += "i\xCC\x87";
  } else {
    append_utf8(out, static_cast<char32_t>(u_tolower(static_cast<UChar32>(c))));
  }
}

}  // namespace strata
