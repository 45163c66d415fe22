#include "model/text/gguf_tokenizer.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "model/format/quoted_name.h"
#include "model/text/end_of_generation.h"
#include "model/text/gguf_word_patterns.h"
#include "model/text/token_map.h"
#include "model/text/tokenizer_json.h"

namespace strata {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

Status bad_key(std::string_view key, std::string_view why) {
  return invalid_argument(std::string(key) + ": " + std::string(why), std::string(key));
}

Result<std::vector<std::string_view>> require_strings(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.find(key);
  if (value == nullptr) return bad_key(key, "missing");
  auto strings = value->as_strings();
  if (!strings) return bad_key(key, "not a list of strings");
  return *std::move(strings);
}

TokenKind kind_of(int64_t number) {
  switch (number) {
    case 2:
      return TokenKind::kUnknown;
    case 3:
      return TokenKind::kControl;
    case 4:
      return TokenKind::kUserDefined;
    case 5:
      return TokenKind::kUnused;
    case 6:
      return TokenKind::kByte;
    default:
      return TokenKind::kNormal;
  }
}

Status read_vocabulary(const GgufFile& file, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const auto texts, require_strings(file, "tokenizer.ggml.tokens"));
  if (texts.empty()) return bad_key("tokenizer.ggml.tokens", "empty");
  if (texts.size() > (size_t{1} << 30)) return bad_key("tokenizer.ggml.tokens", "more than 2^30 tokens");
  spec.tokens.resize(texts.size());
  for (size_t id = 0; id < texts.size(); ++id) spec.tokens[id].text = texts[id];
  const GgufValue* types = file.find("tokenizer.ggml.token_type");
  if (types == nullptr) return ok_status();
  const auto numbers = types->as_ints();
  if (!numbers || numbers->size() != texts.size()) {
    return bad_key("tokenizer.ggml.token_type",
                   "not one number for each of the " + std::to_string(texts.size()) + " tokens");
  }
  for (size_t id = 0; id < texts.size(); ++id) spec.tokens[id].kind = kind_of((*numbers)[id]);
  return ok_status();
}

// The id under `key`, nullopt when absent or, as converters write for "none", outside the vocabulary.
std::optional<TokenId> token_id(const GgufFile& file, std::string_view key, const TokenizerSpec& spec) {
  const auto id = file.get_int(key);
  if (!id || *id < 0 || static_cast<size_t>(*id) >= spec.tokens.size()) return std::nullopt;
  return static_cast<TokenId>(*id);
}

template <class Score>
Status read_scores(const GgufFile& file, const TokenizerSpec& spec, std::vector<Score>& into) {
  const GgufValue* value = file.find("tokenizer.ggml.scores");
  if (value == nullptr) return bad_key("tokenizer.ggml.scores", "missing");
  const auto scores = value->as_doubles();
  if (!scores || scores->size() != spec.tokens.size()) {
    return bad_key("tokenizer.ggml.scores",
                   "not one number for each of the " + std::to_string(spec.tokens.size()) + " tokens");
  }
  into.assign(scores->begin(), scores->end());
  return ok_status();
}

Status read_merges(const GgufFile& file, const TokenizerSpec& spec, BpeSpec& bpe) {
  constexpr std::string_view kKey = "tokenizer.ggml.merges";
  ASSIGN_OR_RETURN(const auto lines, require_strings(file, kKey));
  TokenMap by_spelling(spec.tokens.size());
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (!spec.tokens[id].text.empty()) by_spelling.insert(spec.tokens[id].text, static_cast<TokenId>(id));
  }
  bpe.merges.reserve(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t space = lines[i].find(' ', 1);
    if (space == std::string_view::npos) return bad_key(kKey, "entry " + std::to_string(i) + " is no pair");
    const std::string_view left = lines[i].substr(0, space);
    const std::string_view right = lines[i].substr(space + 1);
    const auto left_id = by_spelling.find(left);
    const auto right_id = by_spelling.find(right);
    const auto result = by_spelling.find(std::string(left) + std::string(right));
    if (!left_id || !right_id || !result) {
      return bad_key(kKey, "entry " + std::to_string(i) + " names a token that is not in the vocabulary (" +
                               quoted_name(lines[i]) + ")");
    }
    bpe.merges.push_back({*left_id, *right_id, *result});
  }
  return ok_status();
}

bool name_has(const GgufFile& file, std::string_view key, std::string_view part) {
  std::string name(file.get_string(key).value_or(""));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name.find(part) != std::string::npos;
}

// Control, unknown and user-defined tokens are found in the text before the model sees it. GGUF does not store which of
// them take white space along; for the models where some do, llama.cpp knows it by name, and so do we.
void add_added_tokens(const GgufFile& file, TokenizerSpec& spec) {
  const bool phi3 = name_has(file, "general.name", "phi-3") || name_has(file, "general.name", "phi3");
  const bool jina = name_has(file, "tokenizer.ggml.pre", "jina-v2");
  const bool modern_bert = name_has(file, "general.name", "modern-bert");
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const VocabularyToken& token = spec.tokens[id];
    const bool special = token.kind == TokenKind::kControl || token.kind == TokenKind::kUnknown;
    if ((!special && token.kind != TokenKind::kUserDefined) || token.text.empty()) continue;
    AddedToken added;
    added.id = static_cast<TokenId>(id);
    added.content = token.text;
    added.special = special;
    added.right_strip = phi3 && token.text != "<unk>" && token.text != "<s>" && token.text != "<|endoftext|>";
    added.left_strip = (jina && token.text == "<mask>") || (modern_bert && token.text == "[MASK]");
    spec.added.push_back(std::move(added));
  }
}

void decode_metaspace(DecoderSpec& decoder) {
  decoder.token_steps = {ByteTokenStep{}, ReplaceStep{SplitPattern::literal(std::string(kMetaspace)), " "}};
}

Status read_sentencepiece(const GgufFile& file, TokenizerSpec& spec) {
  BpeSpec bpe;
  RETURN_IF_ERROR(read_scores(file, spec, bpe.scores));
  bpe.byte_fallback = true;
  bpe.fuse_unknown = true;
  bpe.unknown = token_id(file, "tokenizer.ggml.unknown_token_id", spec);
  spec.model = std::move(bpe);
  const bool prefix = file.get_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  std::vector<NormalizerStep> steps;
  if (prefix) steps.emplace_back(PrependStep{" "});
  steps.emplace_back(ReplaceStep{SplitPattern::literal(" "), std::string(kMetaspace)});
  spec.normalizer = Normalizer(std::move(steps));
  decode_metaspace(spec.decoder);
  if (prefix) spec.decoder.text_steps = {StripCharacterStep{" ", 1, 0}};
  return ok_status();
}

// Unigram models (T5, XLM-R) with SentencePiece's normalizer.
Status read_unigram(const GgufFile& file, TokenizerSpec& spec) {
  constexpr float kUnknownPenalty = 10.0f;
  UnigramSpec unigram;
  RETURN_IF_ERROR(read_scores(file, spec, unigram.scores));
  float lowest = std::numeric_limits<float>::max();
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (std::isnan(unigram.scores[id])) return bad_key("tokenizer.ggml.scores", "a score is no number");
    if (spec.tokens[id].kind == TokenKind::kUserDefined) unigram.scores[id] = 0.0;
    if (spec.tokens[id].kind != TokenKind::kNormal) continue;
    lowest = std::min(lowest, static_cast<float>(unigram.scores[id]));
  }
  unigram.unknown = token_id(file, "tokenizer.ggml.unknown_token_id", spec);
  if (!unigram.unknown && spec.tokens.size() > 2) unigram.unknown = 2;  // llama.cpp's default
  unigram.unknown_score = lowest - kUnknownPenalty;
  spec.model = std::move(unigram);

  SentencePieceStep step;
  if (const GgufValue* value = file.find("tokenizer.ggml.precompiled_charsmap")) {
    const auto numbers = value->as_ints();
    if (!numbers) return bad_key("tokenizer.ggml.precompiled_charsmap", "not a list of bytes");
    auto map = CharsMap::parse(std::string(numbers->begin(), numbers->end()));
    if (!map.ok()) return bad_key("tokenizer.ggml.precompiled_charsmap", map.status().message());
    step.map = std::make_shared<const CharsMap>(*std::move(map));
  }
  step.merge_spaces = file.get_bool("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
  step.add_space = file.get_bool("tokenizer.ggml.add_space_prefix").value_or(false) || step.merge_spaces;
  spec.normalizer = Normalizer({step});
  decode_metaspace(spec.decoder);
  if (step.add_space) spec.decoder.text_steps = {StripCharacterStep{" ", 1, 0}};
  return ok_status();
}

// BERT's vocabulary, in which llama.cpp's files mark the tokens that begin words (U+2581) instead of the others (##).
Status read_word_piece(const GgufFile& file, TokenizerSpec& spec) {
  WordPieceSpec pieces;
  pieces.first_prefix = kMetaspace;
  pieces.next_prefix = "";
  pieces.unknown = token_id(file, "tokenizer.ggml.unknown_token_id", spec);
  spec.model = std::move(pieces);
  BertNormalizerStep step;
  step.as_llama_cpp = true;
  step.lowercase = file.get_bool("tokenizer.ggml.normalizer.lowercase").value_or(true);
  step.strip_accents = file.get_bool("tokenizer.ggml.normalizer.strip_accents").value_or(step.lowercase);
  spec.normalizer = Normalizer({step});
  spec.pre_tokenizer = PreTokenizer(
      {SplitStep{SplitPattern::characters(kClassSpace, true), SplitBehavior::kRemoved, false},
       SplitStep{SplitPattern::characters(kClassPunctuation | kClassAsciiSymbol), SplitBehavior::kIsolated, false}});
  spec.decoder.token_steps = {ReplaceStep{SplitPattern::literal(std::string(kMetaspace)), " "}};
  spec.decoder.text_steps = {StripCharacterStep{" ", 1, 0}};
  return ok_status();
}

Status read_byte_level(const GgufFile& file, std::string_view pre, TokenizerSpec& spec, bool& add_bos) {
  const GgufWordPatterns* patterns = find_gguf_word_patterns(pre);
  if (patterns == nullptr) {
    return bad_key("tokenizer.ggml.pre",
                   "unknown pre-tokenizer " + quoted_name(pre) + " (known: " + known_gguf_word_patterns() + ")");
  }
  BpeSpec bpe;
  RETURN_IF_ERROR(read_merges(file, spec, bpe));
  std::vector<PreTokenizerStep> steps;
  for (const std::string_view expression : patterns->expressions) {
    ASSIGN_OR_RETURN(auto pattern, SplitPattern::regex(expression));
    steps.emplace_back(SplitStep{std::move(pattern)});
  }
  spec.pre_tokenizer = PreTokenizer(std::move(steps));
  bpe.byte_level = patterns->byte_level;
  bpe.byte_fallback = !patterns->byte_level;
  bpe.whole_words_first = patterns->whole_words_first;
  bpe.unknown = token_id(file, "tokenizer.ggml.unknown_token_id", spec);
  spec.model = std::move(bpe);
  if (patterns->byte_level) {
    spec.decoder.token_steps = {ByteSpellingStep{}};
  } else {
    decode_metaspace(spec.decoder);
    spec.normalizer = Normalizer({ReplaceStep{SplitPattern::literal(" "), std::string(kMetaspace)}});
  }
  add_bos = patterns->add_bos;
  return ok_status();
}

void read_end_tokens(const GgufFile& file, TokenizerSpec& spec, bool add_bos, bool add_eos) {
  spec.bos = token_id(file, "tokenizer.ggml.bos_token_id", spec);
  spec.eos = token_id(file, "tokenizer.ggml.eos_token_id", spec);
  for (const std::string_view key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (const auto id = token_id(file, key, spec)) spec.end_of_generation.push_back(*id);
  }
  const auto put = [&](FrameSide side, std::optional<TokenId> token, std::string_view key, bool otherwise) {
    if (!token || !file.get_bool(key).value_or(otherwise)) return;
    set_token(spec.single, side, *token, true);
    set_token(spec.pair, side, *token, true);
  };
  put(FrameSide::kBefore, spec.bos, "tokenizer.ggml.add_bos_token", add_bos);
  put(FrameSide::kAfter, spec.eos, "tokenizer.ggml.add_eos_token", add_eos);
}

// [CLS] a [SEP], and [CLS] a [SEP] b [SEP].
void frame_word_pieces(const GgufFile& file, TokenizerSpec& spec) {
  using What = FramePiece::What;
  const auto named = [&](std::string_view key, std::string_view text) {
    if (const auto id = token_id(file, key, spec)) return id;
    for (size_t id = 0; id < spec.tokens.size(); ++id) {
      if (spec.tokens[id].text == text) return std::optional<TokenId>(static_cast<TokenId>(id));
    }
    return std::optional<TokenId>();
  };
  const auto first = named("tokenizer.ggml.bos_token_id", "[CLS]");
  const auto last = named("tokenizer.ggml.seperator_token_id", "[SEP]");
  spec.single.clear();
  if (first && file.get_bool("tokenizer.ggml.add_bos_token").value_or(true)) {
    spec.single.push_back({What::kToken, *first, 0});
  }
  const bool closes = last && file.get_bool("tokenizer.ggml.add_sep_token").value_or(true);
  spec.single.push_back({What::kFirstText, 0, 0});
  if (closes) spec.single.push_back({What::kToken, *last, 0});
  spec.pair = spec.single;
  spec.pair.push_back({What::kSecondText, 0, 1});
  if (closes) spec.pair.push_back({What::kToken, *last, 1});
}

}  // namespace

Result<TokenizerSpec> tokenizer_spec_from_gguf(const GgufFile& file) {
  // A file that `strata quantize` made brings tokenizer.json itself, which says more than GGUF's keys can.
  const auto json = file.get_string("tokenizer.huggingface.json");
  const auto settings = file.get_string("strata.tokenizer_config");
  if (json && settings) return tokenizer_spec_from_json(*json, *settings);
  const auto model = file.get_string("tokenizer.ggml.model");
  if (!model || *model == "none" || *model == "no_vocab") {
    return not_found(quoted_name(file.path().string()) +
                     " has no tokenizer (give the model's tokenizer.json, or convert the model with its vocabulary)");
  }
  TokenizerSpec spec;
  RETURN_IF_ERROR(read_vocabulary(file, spec));
  bool add_bos = true;
  bool add_eos = false;
  if (*model == "llama") {
    RETURN_IF_ERROR(read_sentencepiece(file, spec));
  } else if (*model == "gpt2" || *model == "gemma4") {
    const std::string_view named = file.get_string("tokenizer.ggml.pre").value_or("default");
    RETURN_IF_ERROR(read_byte_level(file, *model == "gemma4" ? "gemma4" : named, spec, add_bos));
  } else if (*model == "bert") {
    RETURN_IF_ERROR(read_word_piece(file, spec));
  } else if (*model == "t5") {
    RETURN_IF_ERROR(read_unigram(file, spec));
    add_bos = false;
    add_eos = true;
  } else {
    return bad_key("tokenizer.ggml.model",
                   "unknown tokenizer " + quoted_name(*model) + " (known: llama, gpt2, bert, t5, gemma4)");
  }
  spec.decoder.spell_added_tokens = true;
  read_end_tokens(file, spec, add_bos, add_eos);
  if (*model == "bert") frame_word_pieces(file, spec);
  add_end_of_generation(spec, true);
  for (VocabularyToken& token : spec.tokens) {
    token.in_words =
        token.kind != TokenKind::kControl && token.kind != TokenKind::kUnknown && token.kind != TokenKind::kByte;
  }
  add_added_tokens(file, spec);
  return spec;
}

}  // namespace strata
