#include "model/text/bert_normalizer.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <array>

#include "model/text/char_class.h"
#include "model/text/lower_case.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

// The blocks that BERT's own code names; the gap from 2B820 to 2B91F is as published.
constexpr std::array<std::pair<char32_t, char32_t>, 8> kHan = {{{0x4E00, 0x9FFF},
                                                                {0x3400, 0x4DBF},
                                                                {0x20000, 0x2A6DF},
                                                                {0x2A700, 0x2B73F},
                                                                {0x2B740, 0x2B81F},
                                                                {0x2B920, 0x2CEAF},
                                                                {0xF900, 0xFAFF},
                                                                {0x2F800, 0x2FA1F}}};

bool is_han(char32_t c) {
  if (c < 0x3400) return false;
  for (const auto& [first, last] : kHan) {
    if (c >= first && c <= last) return true;
  }
  return false;
}

class Pass {
 public:
  Pass(const BertNormalizerStep& step, std::string& out) : step_(step), out_(out) {
    UErrorCode error = U_ZERO_ERROR;
    if (step.strip_accents) nfd_ = icu::Normalizer2::getNFDInstance(error);
  }

  void take(char32_t c) {
    const CharClass bits = CharClassTable::instance().of(c);
    if (step_.clean && !clean(c, bits)) return;
    const bool alone = step_.isolate_han && is_han(c);
    if (alone) out_ += ' ';
    put(c);
    if (alone) out_ += ' ';
  }

 private:
  // False when the character is dropped; white space becomes a space.
  bool clean(char32_t& c, CharClass bits) const {
    const bool space = (bits & kClassSpace) != 0;
    const bool control = (bits & kClassControl) != 0 && c != '\t' && c != '\n' && c != '\r';
    if (c == 0 || c == 0xFFFD || (control && !(step_.as_llama_cpp && space))) return false;
    if (space) c = ' ';
    return true;
  }

  void put(char32_t c) {
    if (nfd_ == nullptr || c < 0x80) return put_lower(c);
    icu::UnicodeString parts;
    if (!nfd_->getDecomposition(static_cast<UChar32>(c), parts)) return put_unless_mark(c);
    for (int32_t at = 0; at < parts.length(); at = parts.moveIndex32(at, 1)) {
      put_unless_mark(static_cast<char32_t>(parts.char32At(at)));
    }
  }

  void put_unless_mark(char32_t c) {
    const CharClass marks = step_.as_llama_cpp ? kClassMark : kClassNonspacing;
    if (!(CharClassTable::instance().of(c) & marks)) put_lower(c);
  }

  void put_lower(char32_t c) {
    if (step_.lowercase) {
      append_lower(out_, c);
    } else {
      append_utf8(out_, c);
    }
  }

  BertNormalizerStep step_;
  std::string& out_;
  const icu::Normalizer2* nfd_ = nullptr;
};

}  // namespace

std::string bert_normalize(const BertNormalizerStep& step, std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  Pass pass(step, out);
  for (size_t at = 0; at < text.size();) {
    const char byte = text[at];
    if (byte >= 0x21 && byte < 0x7F) {  // printable ASCII
      out += step.lowercase && byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
      ++at;
      continue;
    }
    const CodePoint point = code_point_at(text, at);
    pass.take(point.value);
    at += point.length;
  }
  return out;
}

}  // namespace strata
