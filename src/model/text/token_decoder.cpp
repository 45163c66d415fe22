#include "model/text/token_decoder.h"

#include <array>
#include <utility>

#include "model/text/byte_alphabet.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// The rules of transformers' clean_up_tokenization, in their order.
void clean_up(std::string& text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kRules = {{{" .", "."},
                                                                                     {" ?", "?"},
                                                                                     {" !", "!"},
                                                                                     {" ,", ","},
                                                                                     {" ' ", "'"},
                                                                                     {" n't", "n't"},
                                                                                     {" 'm", "'m"},
                                                                                     {" do not", " don't"},
                                                                                     {" 's", "'s"},
                                                                                     {" 've", "'ve"},
                                                                                     {" 're", "'re"}}};
  if (text.find(' ') == std::string::npos) return;
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

void apply(const ReplaceStep& step, std::string& text, TokenPlace) { text = Normalizer({step}).apply(text); }

void apply(const ByteSpellingStep&, std::string& text, TokenPlace) {
  if (auto bytes = unspell_bytes(text)) text = *std::move(bytes);
}

void apply(const ByteTokenStep&, std::string& text, TokenPlace) {
  if (const auto byte = byte_token_value(text)) text.assign(1, static_cast<char>(*byte));
}

void apply(const SpacesBetweenStep&, std::string& text, TokenPlace place) {
  if (!place.first) text.insert(0, 1, ' ');
}

void apply(const WordPieceStep& step, std::string& text, TokenPlace place) {
  if (!place.first) {
    if (text.starts_with(step.prefix)) {
      text.erase(0, step.prefix.size());
    } else {
      text.insert(0, 1, ' ');
    }
  }
  if (step.cleanup) clean_up(text);
}

void apply(const MetaspaceDecodeStep& step, std::string& text, TokenPlace place) {
  replace_all(text, step.replacement, place.first && step.drop_in_first ? "" : " ");
}

void apply(const WordEndStep& step, std::string& text, TokenPlace place) {
  replace_all(text, step.suffix, place.last ? "" : " ");
}

void apply(const CtcStep& step, std::string& text, TokenPlace) {
  replace_all(text, step.pad, "");
  if (!step.cleanup) return;
  clean_up(text);
  replace_all(text, step.word_delimiter, " ");
}

void apply(const StripCharacterStep& step, std::string& text, TokenPlace) {
  if (step.character.empty()) return;
  for (size_t n = 0; n < step.start && text.starts_with(step.character); ++n) text.erase(0, step.character.size());
  for (size_t n = 0; n < step.stop && text.ends_with(step.character); ++n) {
    text.erase(text.size() - step.character.size());
  }
}

template <class Step>
bool has(const std::vector<DecodeStep>& steps) {
  for (const DecodeStep& step : steps) {
    if (std::holds_alternative<Step>(step)) return true;
  }
  return false;
}

}  // namespace

std::string decode_steps(const std::vector<DecodeStep>& steps, std::string_view text, TokenPlace place) {
  std::string out(text);
  for (const DecodeStep& step : steps) {
    std::visit([&](const auto& s) { apply(s, out, place); }, step);
  }
  return out;
}

DecodeRules rules_of(const DecoderSpec& decoder) {
  DecodeRules rules;
  rules.last_differs = has<WordEndStep>(decoder.token_steps);
  rules.drops_repeats = has<CtcStep>(decoder.token_steps);
  rules.first_differs = has<SpacesBetweenStep>(decoder.token_steps) || has<WordPieceStep>(decoder.token_steps);
  for (const DecodeStep& step : decoder.token_steps) {
    const auto* metaspace = std::get_if<MetaspaceDecodeStep>(&step);
    rules.first_differs = rules.first_differs || (metaspace != nullptr && metaspace->drop_in_first);
  }
  const auto* strip =
      decoder.text_steps.size() == 1 ? std::get_if<StripCharacterStep>(&decoder.text_steps[0]) : nullptr;
  if (strip != nullptr && strip->stop == 0) {
    rules.strip_character = strip->character;
    rules.strip_count = strip->start;
  } else {
    rules.whole_text = !decoder.text_steps.empty();
  }
  return rules;
}

}  // namespace strata
