#include "model/text/pre_tokenizer.h"

#include <unicode/uscript.h>

#include <algorithm>
#include <utility>

#include "model/text/utf8.h"

namespace strata {
namespace {

// The stretches of a word, matches and what lies between, in order.
struct Piece {
  Span span;
  bool match;
};

void append_pieces(Span word, const std::vector<Span>& matches, bool invert, std::vector<Piece>& pieces) {
  size_t at = word.begin;
  for (const Span& match : matches) {
    if (match.begin > at) pieces.push_back({{at, match.begin}, invert});
    if (match.size() > 0) pieces.push_back({match, !invert});  // an empty match only separates
    at = match.end;
  }
  if (at < word.end) pieces.push_back({{at, word.end}, invert});
}

void append_contiguous(const std::vector<Piece>& pieces, std::vector<Span>& words) {
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0 && pieces[i].match == pieces[i - 1].match) {
      words.back().end = pieces[i].span.end;
    } else {
      words.push_back(pieces[i].span);
    }
  }
}

void append_merged_with_previous(const std::vector<Piece>& pieces, std::vector<Span>& words) {
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0 && pieces[i].match && !pieces[i - 1].match) {
      words.back().end = pieces[i].span.end;
    } else {
      words.push_back(pieces[i].span);
    }
  }
}

void append_merged_with_next(const std::vector<Piece>& pieces, std::vector<Span>& words) {
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0 && pieces[i - 1].match && !pieces[i].match) {
      words.back().end = pieces[i].span.end;
    } else {
      words.push_back(pieces[i].span);
    }
  }
}

void append_words(const std::vector<Piece>& pieces, SplitBehavior behavior, std::vector<Span>& words) {
  switch (behavior) {
    case SplitBehavior::kRemoved:
      for (const Piece& piece : pieces) {
        if (!piece.match) words.push_back(piece.span);
      }
      break;
    case SplitBehavior::kIsolated:
      for (const Piece& piece : pieces) words.push_back(piece.span);
      break;
    case SplitBehavior::kMergedWithPrevious:
      append_merged_with_previous(pieces, words);
      break;
    case SplitBehavior::kMergedWithNext:
      append_merged_with_next(pieces, words);
      break;
    case SplitBehavior::kContiguous:
      append_contiguous(pieces, words);
      break;
  }
}

constexpr int32_t kAnyScript = -1;

int32_t script_of(char32_t c) {
  if (c == ' ') return kAnyScript;
  if (c == 0x30FC) return USCRIPT_HAN;
  UErrorCode error = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &error);
  if (U_FAILURE(error) || script == USCRIPT_UNKNOWN) return kAnyScript;
  return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ? USCRIPT_HAN : script;
}

void apply(const SplitStep& step, bool /*at_start*/, WordList& list) {
  std::vector<Span> words;
  std::vector<Span> matches;
  std::vector<Piece> pieces;
  for (const Span& word : list.words) {
    matches.clear();
    step.pattern.find_all(list.text, word, matches);
    if (matches.size() == 1 && matches[0].size() == word.size() && step.behavior == SplitBehavior::kIsolated) {
      words.push_back(word);
      continue;
    }
    pieces.clear();
    append_pieces(word, matches, step.invert, pieces);
    append_words(pieces, step.behavior, words);
  }
  list.words = std::move(words);
}

// Replaces the text by one made word by word; `write(word, out)` appends the new form of a word.
template <class Write>
void rewrite(WordList& list, Write write) {
  std::string changed;
  changed.reserve(list.text.size() + list.text.size() / 4 + 8);
  for (Span& word : list.words) {
    const size_t begin = changed.size();
    write(list.text.substr(word.begin, word.size()), changed);
    word = {begin, changed.size()};
  }
  list.changed = std::move(changed);
  list.text = list.changed;
}

void apply(const PrefixSpaceStep&, bool /*at_start*/, WordList& list) {
  rewrite(list, [](std::string_view word, std::string& out) {
    if (!word.starts_with(' ')) out += ' ';
    out += word;
  });
}

void apply(const SpellBytesStep&, bool /*at_start*/, WordList& list) {
  rewrite(list, [](std::string_view word, std::string& out) { out += spell_bytes(word); });
}

void apply(const UnspellBytesStep&, bool /*at_start*/, WordList& list) {
  rewrite(list,
          [](std::string_view word, std::string& out) { out += unspell_bytes(word).value_or(std::string(word)); });
}

void apply(const MetaspaceStep& step, bool at_start, WordList& list) {
  using Prepend = MetaspaceStep::Prepend;
  const char* beginning = list.text.data();
  rewrite(list, [&](std::string_view word, std::string& out) {
    const bool first = at_start && word.data() == beginning;
    const bool prepend = step.prepend == Prepend::kAlways || (step.prepend == Prepend::kFirst && first);
    if (prepend && !word.starts_with(' ') && !word.starts_with(step.replacement)) out += step.replacement;
    for (size_t at = 0; at < word.size();) {
      const size_t space = std::min(word.find(' ', at), word.size());
      out += word.substr(at, space - at);
      if (space < word.size()) out += step.replacement;
      at = space + 1;
    }
  });
  if (step.split) {
    apply(SplitStep{SplitPattern::literal(step.replacement), SplitBehavior::kMergedWithNext, false}, at_start, list);
  }
}

// Cuts every word where `cuts(character, begins a word)` says so.
template <class Cuts>
void cut_before(WordList& list, Cuts cuts) {
  std::vector<Span> words;
  for (const Span& word : list.words) {
    words.push_back({word.begin, word.end});
    const std::string_view part = list.text.substr(0, word.end);
    for (size_t at = word.begin; at < word.end;) {
      const CodePoint point = code_point_at(part, at);
      if (cuts(point.value, at == word.begin)) {
        words.back().end = at;
        words.push_back({at, word.end});
      }
      at += point.length;
    }
  }
  list.words = std::move(words);
}

void apply(const ScriptStep&, bool /*at_start*/, WordList& list) {
  // What precedes the first script of a word is dropped.
  for (Span& word : list.words) {
    while (word.begin < word.end) {
      const CodePoint point = code_point_at(list.text.substr(0, word.end), word.begin);
      if (script_of(point.value) != kAnyScript) break;
      word.begin += point.length;
    }
  }
  std::erase_if(list.words, [](const Span& word) { return word.size() == 0; });
  int32_t last = kAnyScript;
  cut_before(list, [&](char32_t c, bool begins) {
    if (begins) last = kAnyScript;
    const int32_t script = script_of(c);
    if (script == kAnyScript) return false;
    const int32_t before = std::exchange(last, script);
    return before != kAnyScript && before != script;
  });
}

void apply(const FixedLengthStep& step, bool /*at_start*/, WordList& list) {
  size_t n = 0;
  cut_before(list, [&](char32_t, bool begins) {
    if (!begins && ++n < step.length) return false;
    n = 0;
    return !begins;
  });
}

}  // namespace

void PreTokenizer::cut(std::string_view text, bool at_start, WordList& list) const {
  list.text = text;
  list.words.clear();
  if (!text.empty()) list.words.push_back({0, text.size()});
  for (const PreTokenizerStep& step : steps_) {
    std::visit([&](const auto& s) { apply(s, at_start, list); }, step);
  }
}

}  // namespace strata
