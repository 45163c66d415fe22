#include "model/text/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <optional>

#include "model/text/digit_groups.h"
#include "model/text/utf8.h"
#include "model/text/word_scanner.h"

namespace strata {
namespace {

// Backtracking steps of one match. The expressions in use need a few per byte.
constexpr uint32_t kMatchLimit = 50'000'000;

// What \w and \s mean where tokenizer.json comes from, as members of a character class.
constexpr std::string_view kWordClass =
    R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\xB2\xB3\xB9\xBC-\xBE\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
constexpr std::string_view kSpaceClass =
    R"(\x09-\x0D\x20\x85\xA0\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";

// The same expression in PCRE2's terms: its \w knows no marks, and its \s knows U+180E.
std::string for_pcre(std::string_view expression) {
  const std::string word = "[" + std::string(kWordClass) + "]";
  std::string out;
  bool in_class = false;
  for (size_t at = 0; at < expression.size(); ++at) {
    const char c = expression[at];
    const char next = c == '\\' && at + 1 < expression.size() ? expression[at + 1] : '\0';
    if (c != '\\') {
      if (c == '[') in_class = true;
      if (c == ']') in_class = false;
      out += c;
      continue;
    }
    ++at;
    const std::string_view members = next == 'w' || next == 'W' ? kWordClass : kSpaceClass;
    if (next == 'w' || next == 's') {
      out.append(in_class ? "" : "[").append(members).append(in_class ? "" : "]");
    } else if ((next == 'W' || next == 'S') && !in_class) {
      out.append("[^").append(members).append("]");
    } else if (next == 'b' && !in_class) {
      out.append("(?:(?<=").append(word).append(")(?!").append(word).append(")|(?<!").append(word).append(")(?=");
      out.append(word).append("))");
    } else {
      out += c;
      if (at < expression.size()) out += next;
    }
  }
  return out;
}

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

}  // namespace

struct SplitPattern::Engine {
  std::optional<WordScanner> scanner;
  std::optional<DigitGroups> digit_groups;
  std::unique_ptr<pcre2_code, FreeCode> code;
  std::string literal;
  CharClass classes = 0;
  bool runs = false;
  bool words_and_symbols = false;

  // Runs are of one kind: words, or what is neither word nor space, where both are looked for.
  void find_characters(std::string_view text, Span within, std::vector<Span>& matches) const {
    const CharClassTable& table = CharClassTable::instance();
    const std::string_view part = text.substr(0, within.end);
    CharClass run = 0;  // the kind of character that ended at `at`, if it may go on
    for (size_t at = within.begin; at < part.size();) {
      const CodePoint point = code_point_at(part, at);
      const size_t next = at + point.length;
      const CharClass kind = kind_of(point.valid ? table.of(point.value) : CharClass{0});
      if (kind != 0 && kind == run) {
        matches.back().end = next;
      } else if (kind != 0) {
        matches.push_back({at, next});
      }
      run = runs ? kind : CharClass{0};
      at = next;
    }
  }

  CharClass kind_of(CharClass character) const {
    if (!words_and_symbols) return (character & classes) != 0 ? CharClass{1} : CharClass{0};
    if (character & kClassWord) return 1;
    return (character & kClassSpace) != 0 ? CharClass{0} : CharClass{2};
  }

  void find_literal(std::string_view text, Span within, std::vector<Span>& matches) const {
    const std::string_view part = text.substr(0, within.end);
    for (size_t at = within.begin; (at = part.find(literal, at)) != std::string_view::npos; at += literal.size()) {
      matches.push_back({at, at + literal.size()});
    }
  }

  void find_by_pcre(std::string_view text, Span within, std::vector<Span>& matches) const {
    const std::string_view part = text.substr(within.begin, within.size());
    const std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
    const std::unique_ptr<pcre2_match_context, FreeMatchContext> context(pcre2_match_context_create(nullptr));
    if (!data || !context) return;
    pcre2_set_match_limit(context.get(), kMatchLimit);
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(part.data());
    uint32_t options = PCRE2_NO_JIT;
    if (has_jit) options = 0;
    for (size_t at = 0; at <= part.size();) {
      int found = pcre2_match(code.get(), subject, part.size(), at, options, data.get(), context.get());
      if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
        found = pcre2_match(code.get(), subject, part.size(), at, PCRE2_NO_JIT, data.get(), context.get());
      }
      if (found < 0) return;
      const PCRE2_SIZE* bounds = pcre2_get_ovector_pointer(data.get());
      matches.push_back({within.begin + bounds[0], within.begin + bounds[1]});
      if (bounds[1] > bounds[0]) {
        at = bounds[1];
      } else {
        at = bounds[1] + 1;
        while (at < part.size() && (static_cast<uint8_t>(part[at]) & 0xC0) == 0x80) ++at;
      }
    }
  }

  bool has_jit = false;
};

Result<SplitPattern> SplitPattern::regex_without_scanner(std::string_view given) {
  const std::string expression = for_pcre(given);
  if (expression.find("&&[") != std::string_view::npos) {
    return invalid_argument("the expression intersects classes with &&, which is not supported");
  }
  int error = 0;
  PCRE2_SIZE where = 0;
  auto engine = std::make_shared<Engine>();
  engine->code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                                   PCRE2_UTF | PCRE2_UCP | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &error,
                                   &where, nullptr));
  if (!engine->code) {
    PCRE2_UCHAR reason[160];
    pcre2_get_error_message(error, reason, sizeof(reason));
    return invalid_argument("the expression cannot be compiled: " + std::string(reinterpret_cast<char*>(reason)) +
                            " at byte " + std::to_string(where));
  }
  engine->has_jit = pcre2_jit_compile(engine->code.get(), PCRE2_JIT_COMPLETE) == 0;
  return SplitPattern(std::move(engine));
}

Result<SplitPattern> SplitPattern::regex(std::string_view expression) {
  if (const auto scanner = WordScanner::for_expression(expression)) {
    auto engine = std::make_shared<Engine>();
    engine->scanner = *scanner;
    return SplitPattern(std::move(engine));
  }
  if (const auto groups = digit_groups_of(expression)) {
    auto engine = std::make_shared<Engine>();
    engine->digit_groups = groups;
    return SplitPattern(std::move(engine));
  }
  // As it stands, each space of a run that does not end the text is tried anew; a match begins where its run begins.
  if (expression == R"(\s+$)") return regex_without_scanner(R"((?<!\s)\s++$)");
  return regex_without_scanner(expression);
}

SplitPattern SplitPattern::literal(std::string text) {
  auto engine = std::make_shared<Engine>();
  engine->literal = std::move(text);
  return SplitPattern(std::move(engine));
}

SplitPattern SplitPattern::characters(CharClass classes, bool runs) {
  auto engine = std::make_shared<Engine>();
  engine->classes = classes;
  engine->runs = runs;
  return SplitPattern(std::move(engine));
}

SplitPattern SplitPattern::words_and_symbols() {
  auto engine = std::make_shared<Engine>();
  engine->runs = true;
  engine->words_and_symbols = true;
  return SplitPattern(std::move(engine));
}

void SplitPattern::find_all(std::string_view text, Span within, std::vector<Span>& matches) const {
  if (engine_->scanner) {
    engine_->scanner->find_all(text, within, matches);
  } else if (engine_->digit_groups) {
    find_digit_groups(*engine_->digit_groups, text, within, matches);
  } else if (engine_->classes != 0 || engine_->words_and_symbols) {
    engine_->find_characters(text, within, matches);
  } else if (engine_->code) {
    engine_->find_by_pcre(text, within, matches);
  } else if (!engine_->literal.empty()) {
    engine_->find_literal(text, within, matches);
  }
}

}  // namespace strata
