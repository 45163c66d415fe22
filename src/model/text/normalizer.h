// The normalizer of a tokenizer: what is done to the text between added tokens before it is cut into words.
// https://huggingface.co/docs/tokenizers/api/normalizers lists the kinds. Immutable; any thread. Bytes that are not
// UTF-8 pass through unchanged.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/text/bert_normalizer.h"
#include "model/text/byte_alphabet.h"
#include "model/text/chars_map.h"
#include "model/text/sentence_piece_normalizer.h"
#include "model/text/split_pattern.h"

namespace strata {

enum class UnicodeForm : uint8_t { kNfc, kNfd, kNfkc, kNfkd };

struct UnicodeFormStep {
  UnicodeForm form = UnicodeForm::kNfc;
};
struct LowercaseStep {};
struct StripAccentsStep {};  // drops all marks; meant to follow kNfd or kNfkd
struct StripStep {           // white space at the ends
  bool left = true;
  bool right = true;
};
struct PrependStep {  // before every text that is not empty
  std::string text;
};
struct ReplaceStep {
  SplitPattern pattern;
  std::string content;
};

// As Marian's and T5's training did: some control characters dropped, some others spaces.
struct NmtStep {};
struct CharsMapStep {                   // map_graphemes()
  std::shared_ptr<const CharsMap> map;  // shared by copies of the step, never changed
};

using NormalizerStep =
    std::variant<UnicodeFormStep, LowercaseStep, StripAccentsStep, StripStep, PrependStep, ReplaceStep,
                 BertNormalizerStep, SpellBytesStep, NmtStep, CharsMapStep, SentencePieceStep>;

class Normalizer {
 public:
  Normalizer() = default;
  explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

  bool empty() const { return steps_.empty(); }
  const std::vector<NormalizerStep>& steps() const { return steps_; }
  std::string apply(std::string_view text) const;

 private:
  std::vector<NormalizerStep> steps_;
};

}  // namespace strata
