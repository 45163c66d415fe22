// The pre-tokenizer of a tokenizer: cuts a normalized text into words, which the model encodes one by one.
// https://huggingface.co/docs/tokenizers/api/pre-tokenizers lists the kinds; all of them come down to these steps.
// Immutable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/text/byte_alphabet.h"
#include "model/text/span.h"
#include "model/text/split_pattern.h"

namespace strata {

// What becomes of the matches of a split: a word each, or part of a neighbour, or dropped.
enum class SplitBehavior : uint8_t { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

struct SplitStep {
  SplitPattern pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what lies between the matches counts as the match
};

// A space put before a word that begins with none.
struct PrefixSpaceStep {};

// Spaces become `replacement`, one is put before the text, and each begins a word.
struct MetaspaceStep {
  enum class Prepend : uint8_t { kAlways, kFirst, kNever };
  std::string replacement = "\xE2\x96\x81";  // U+2581
  Prepend prepend = Prepend::kAlways;        // kFirst: only at the very beginning of the text
  bool split = true;
};

// A cut between characters of different scripts; Hiragana and Katakana go with Han, spaces with what they follow.
struct ScriptStep {};

struct FixedLengthStep {  // words of so many characters
  size_t length = 5;
};

using PreTokenizerStep = std::variant<SplitStep, PrefixSpaceStep, MetaspaceStep, SpellBytesStep, UnspellBytesStep,
                                      ScriptStep, FixedLengthStep>;

struct WordList {
  std::string_view text;  // the text the spans refer to: the one given, or `changed`
  std::string changed;
  std::vector<Span> words;
  WordList() = default;
  WordList(const WordList&) = delete;
  WordList& operator=(const WordList&) = delete;
};

class PreTokenizer {
 public:
  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps) : steps_(std::move(steps)) {}
  const std::vector<PreTokenizerStep>& steps() const { return steps_; }

  // `at_start`: the text is the beginning of what is encoded. `list.text` refers to `text` or into `list`.
  void cut(std::string_view text, bool at_start, WordList& list) const;

 private:
  std::vector<PreTokenizerStep> steps_;
};

}  // namespace strata
