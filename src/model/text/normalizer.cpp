#include "model/text/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>

#include <algorithm>

#include "model/text/char_class.h"
#include "model/text/lower_case.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

const icu::Normalizer2* normalizer_of(UnicodeForm form) {
  UErrorCode error = U_ZERO_ERROR;
  switch (form) {
    case UnicodeForm::kNfc:
      return icu::Normalizer2::getNFCInstance(error);
    case UnicodeForm::kNfd:
      return icu::Normalizer2::getNFDInstance(error);
    case UnicodeForm::kNfkc:
      return icu::Normalizer2::getNFKCInstance(error);
    case UnicodeForm::kNfkd:
      return icu::Normalizer2::getNFKDInstance(error);
  }
  return nullptr;
}

// Calls well_formed(stretch) and ill_formed(stretch) for the parts of the text, in order.
template <class WellFormed, class IllFormed>
void for_each_stretch(std::string_view text, WellFormed well_formed, IllFormed ill_formed) {
  constexpr size_t kLongest = size_t{1} << 30;  // the library counts in int32
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    if (!point.valid || at - begin >= kLongest) {
      if (at > begin) well_formed(text.substr(begin, at - begin));
      if (!point.valid) ill_formed(text.substr(at, point.length));
      begin = point.valid ? at : at + point.length;
    }
    at += point.length;
  }
  if (begin < text.size()) well_formed(text.substr(begin));
}

bool is_ascii(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; });
}

void apply(const UnicodeFormStep& step, std::string& text) {
  if (is_ascii(text)) return;
  const icu::Normalizer2* normalizer = normalizer_of(step.form);
  if (normalizer == nullptr) return;
  std::string out;
  for_each_stretch(
      text,
      [&](std::string_view stretch) {
        UErrorCode error = U_ZERO_ERROR;
        const size_t before = out.size();
        icu::StringByteSink<std::string> sink(&out);
        normalizer->normalizeUTF8(0, icu::StringPiece(stretch.data(), static_cast<int32_t>(stretch.size())), sink,
                                  nullptr, error);
        if (U_FAILURE(error)) out.replace(before, std::string::npos, stretch);
      },
      [&](std::string_view bytes) { out += bytes; });
  text = std::move(out);
}

void apply(const LowercaseStep&, std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    if (point.valid) {
      append_lower(out, point.value);
    } else {
      out.append(text, at, point.length);
    }
    at += point.length;
  }
  text = std::move(out);
}

void apply(const StripAccentsStep&, std::string& text) {
  const CharClassTable& classes = CharClassTable::instance();
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    if (!point.valid || !(classes.of(point.value) & kClassMark)) out.append(text, at, point.length);
    at += point.length;
  }
  text = std::move(out);
}

void apply(const StripStep& step, std::string& text) {
  const CharClassTable& classes = CharClassTable::instance();
  size_t begin = 0;
  size_t end = text.size();
  while (step.left && begin < end) {
    const CodePoint point = code_point_at(text, begin);
    if (!point.valid || !(classes.of(point.value) & kClassSpace)) break;
    begin += point.length;
  }
  while (step.right && end > begin) {
    const size_t at = previous_code_point(text, end);
    const CodePoint point = code_point_at(text, at);
    if (!point.valid || !(classes.of(point.value) & kClassSpace)) break;
    end = at;
  }
  text = text.substr(begin, end - begin);
}

void apply(const BertNormalizerStep& step, std::string& text) { text = bert_normalize(step, text); }

enum class NmtFate : uint8_t { kKept, kDropped, kSpace };

NmtFate nmt_fate(char32_t c) {
  const auto within = [c](char32_t first, char32_t last) { return c >= first && c <= last; };
  if (within(0x1, 0x8) || c == 0xB || within(0xE, 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F)
    return NmtFate::kDropped;
  if (within(0x9, 0xD) || c == 0x1680 || within(0x200B, 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
      c == 0xFEFF || c == 0xFFFD) {
    return NmtFate::kSpace;
  }
  return NmtFate::kKept;
}

void apply(const NmtStep&, std::string& text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const CodePoint point = code_point_at(text, at);
    const NmtFate fate = point.valid ? nmt_fate(point.value) : NmtFate::kKept;
    if (fate == NmtFate::kKept) out.append(text, at, point.length);
    if (fate == NmtFate::kSpace) out += ' ';
    at += point.length;
  }
  text = std::move(out);
}

void apply(const CharsMapStep& step, std::string& text) { text = map_graphemes(*step.map, text); }

void apply(const SentencePieceStep& step, std::string& text) { text = sentence_piece_normalize(step, text); }

void apply(const SpellBytesStep&, std::string& text) { text = spell_bytes(text); }

void apply(const PrependStep& step, std::string& text) {
  if (!text.empty()) text.insert(0, step.text);
}

void apply(const ReplaceStep& step, std::string& text) {
  std::vector<Span> matches;
  step.pattern.find_all(text, {0, text.size()}, matches);
  if (matches.empty()) return;
  std::string out;
  out.reserve(text.size() + matches.size() * step.content.size());
  size_t at = 0;
  for (const Span& match : matches) {
    out.append(text, at, match.begin - at);
    out += step.content;
    at = match.end;
  }
  out.append(text, at);
  text = std::move(out);
}

}  // namespace

std::string Normalizer::apply(std::string_view text) const {
  std::string out(text);
  for (const NormalizerStep& step : steps_) {
    std::visit([&](const auto& s) { strata::apply(s, out); }, step);
  }
  return out;
}

}  // namespace strata
