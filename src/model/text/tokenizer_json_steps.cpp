#include "model/text/tokenizer_json_steps.h"

#include <utility>

namespace strata {
namespace {

constexpr std::string_view kGpt2Words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kPunctuation = R"([\p{P}!-/:-@\[-`{-~])";

// \w+|[^\w\s]+ with \w as is_word_character() has it: alphabetic are letters, letter numbers and circled letters.
std::string words_or_symbols() {
  const std::string word = R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9})"
                           R"(\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
  return "[" + word + "]+|[^" + word + R"(\s]+)";
}

Result<std::string_view> type_of(const JsonNode& node) { return node.require_string("type"); }

Status not_supported(const JsonNode& node, std::string_view what, std::string_view type, std::string_view known) {
  return node.wrong(std::string(what) + " " + quoted_name(type) + " is not supported (known: " + std::string(known) +
                    ")");
}

// {"String": "x"} or {"Regex": "x"}
Result<SplitPattern> read_pattern(const JsonNode& node) {
  if (const auto text = node.find("String")) {
    ASSIGN_OR_RETURN(const std::string_view literal, text->string());
    return SplitPattern::literal(std::string(literal));
  }
  ASSIGN_OR_RETURN(const JsonNode regex, node.require("Regex"));
  ASSIGN_OR_RETURN(const std::string_view expression, regex.string());
  auto pattern = SplitPattern::regex(expression);
  if (!pattern.ok()) return regex.wrong(pattern.status().message());
  return pattern;
}

Result<SplitBehavior> read_behavior(const JsonNode& node, std::string_view otherwise) {
  ASSIGN_OR_RETURN(const std::string_view name, node.get_string("behavior", otherwise));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return node.wrong("unknown behavior " + quoted_name(name));
}

// ---- normalizer

Status append_normalizer(const JsonNode& node, TokenizerSpec& spec, std::vector<NormalizerStep>& steps) {
  ASSIGN_OR_RETURN(const std::string_view type, type_of(node));
  if (type == "Sequence") {
    ASSIGN_OR_RETURN(const JsonNode list, node.require("normalizers"));
    ASSIGN_OR_RETURN(const auto parts, list.array());
    for (const JsonNode& part : parts) RETURN_IF_ERROR(append_normalizer(part, spec, steps));
  } else if (type == "NFC") {
    steps.emplace_back(UnicodeFormStep{UnicodeForm::kNfc});
  } else if (type == "NFD") {
    steps.emplace_back(UnicodeFormStep{UnicodeForm::kNfd});
  } else if (type == "NFKC") {
    steps.emplace_back(UnicodeFormStep{UnicodeForm::kNfkc});
  } else if (type == "NFKD") {
    steps.emplace_back(UnicodeFormStep{UnicodeForm::kNfkd});
  } else if (type == "Lowercase") {
    steps.emplace_back(LowercaseStep{});
  } else if (type == "StripAccents") {
    steps.emplace_back(StripAccentsStep{});
  } else if (type == "Strip") {
    ASSIGN_OR_RETURN(const bool left, node.get_bool("strip_left", true));
    ASSIGN_OR_RETURN(const bool right, node.get_bool("strip_right", true));
    steps.emplace_back(StripStep{left, right});
  } else if (type == "Prepend") {
    ASSIGN_OR_RETURN(const std::string_view text, node.require_string("prepend"));
    steps.emplace_back(PrependStep{std::string(text)});
  } else if (type == "Replace") {
    ASSIGN_OR_RETURN(const JsonNode pattern_node, node.require("pattern"));
    ASSIGN_OR_RETURN(SplitPattern pattern, read_pattern(pattern_node));
    ASSIGN_OR_RETURN(const std::string_view content, node.require_string("content"));
    steps.emplace_back(ReplaceStep{std::move(pattern), std::string(content)});
  } else if (type == "ByteLevel") {
    spec.model.byte_level = true;
  } else {
    return not_supported(node, "normalizer", type,
                         "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, ByteLevel");
  }
  return ok_status();
}

// ---- pre-tokenizer

Status append_split(std::string_view expression, SplitBehavior behavior, bool invert,
                    std::vector<PreTokenizerStep>& steps) {
  ASSIGN_OR_RETURN(SplitPattern pattern, SplitPattern::regex(expression));
  steps.emplace_back(SplitStep{std::move(pattern), behavior, invert});
  return ok_status();
}

Status append_byte_level(const JsonNode& node, TokenizerSpec& spec, std::vector<PreTokenizerStep>& steps) {
  ASSIGN_OR_RETURN(const bool prefix, node.get_bool("add_prefix_space", true));
  ASSIGN_OR_RETURN(const bool words, node.get_bool("use_regex", true));
  if (prefix) steps.emplace_back(PrefixSpaceStep{});
  if (words) RETURN_IF_ERROR(append_split(kGpt2Words, SplitBehavior::kIsolated, false, steps));
  steps.emplace_back(SpellBytesStep{});
  spec.model.byte_level = true;
  return ok_status();
}

Status append_metaspace(const JsonNode& node, std::vector<PreTokenizerStep>& steps) {
  MetaspaceStep step;
  ASSIGN_OR_RETURN(const std::string_view replacement, node.get_string("replacement", step.replacement));
  step.replacement = replacement;
  ASSIGN_OR_RETURN(const bool prefix, node.get_bool("add_prefix_space", true));
  ASSIGN_OR_RETURN(const std::string_view scheme, node.get_string("prepend_scheme", prefix ? "always" : "never"));
  if (scheme == "always") {
    step.prepend = MetaspaceStep::Prepend::kAlways;
  } else if (scheme == "first") {
    step.prepend = MetaspaceStep::Prepend::kFirst;
  } else if (scheme == "never") {
    step.prepend = MetaspaceStep::Prepend::kNever;
  } else {
    return node.wrong("unknown prepend_scheme " + quoted_name(scheme));
  }
  ASSIGN_OR_RETURN(step.split, node.get_bool("split", true));
  steps.emplace_back(std::move(step));
  return ok_status();
}

Status append_pre_tokenizer(const JsonNode& node, TokenizerSpec& spec, std::vector<PreTokenizerStep>& steps) {
  ASSIGN_OR_RETURN(const std::string_view type, type_of(node));
  if (type == "Sequence") {
    ASSIGN_OR_RETURN(const JsonNode list, node.require("pretokenizers"));
    ASSIGN_OR_RETURN(const auto parts, list.array());
    for (const JsonNode& part : parts) RETURN_IF_ERROR(append_pre_tokenizer(part, spec, steps));
    return ok_status();
  }
  if (type == "ByteLevel") return append_byte_level(node, spec, steps);
  if (type == "Metaspace") return append_metaspace(node, steps);
  if (type == "Split") {
    ASSIGN_OR_RETURN(const JsonNode pattern_node, node.require("pattern"));
    ASSIGN_OR_RETURN(SplitPattern pattern, read_pattern(pattern_node));
    ASSIGN_OR_RETURN(const SplitBehavior behavior, read_behavior(node, "Isolated"));
    ASSIGN_OR_RETURN(const bool invert, node.get_bool("invert", false));
    steps.emplace_back(SplitStep{std::move(pattern), behavior, invert});
    return ok_status();
  }
  if (type == "Digits") {
    ASSIGN_OR_RETURN(const bool individual, node.get_bool("individual_digits", false));
    return append_split(individual ? R"(\p{N})" : R"(\p{N}+)", SplitBehavior::kIsolated, false, steps);
  }
  if (type == "Punctuation") {
    ASSIGN_OR_RETURN(const SplitBehavior behavior, read_behavior(node, "Isolated"));
    return append_split(kPunctuation, behavior, false, steps);
  }
  if (type == "Whitespace") return append_split(words_or_symbols(), SplitBehavior::kRemoved, true, steps);
  if (type == "WhitespaceSplit") return append_split(R"(\s)", SplitBehavior::kRemoved, false, steps);
  if (type == "BertPreTokenizer") {
    RETURN_IF_ERROR(append_split(R"(\s)", SplitBehavior::kRemoved, false, steps));
    return append_split(kPunctuation, SplitBehavior::kIsolated, false, steps);
  }
  return not_supported(node, "pre-tokenizer", type,
                       "Sequence, ByteLevel, Metaspace, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, "
                       "BertPreTokenizer");
}

// The model reads bytes, so spelling them out is only done where a later step looks at the spelling.
void settle_byte_spelling(std::vector<PreTokenizerStep>& steps) {
  bool spelled = false;
  std::vector<PreTokenizerStep> settled;
  for (size_t i = 0; i < steps.size(); ++i) {
    const bool spells = std::holds_alternative<SpellBytesStep>(steps[i]);
    if (spells && (spelled || i + 1 == steps.size())) continue;
    spelled = spelled || spells;
    settled.push_back(std::move(steps[i]));
  }
  if (spelled) settled.emplace_back(UnspellBytesStep{});
  steps = std::move(settled);
}

// ---- decoder

Status append_decoder(const JsonNode& node, DecoderSpec& decoder) {
  ASSIGN_OR_RETURN(const std::string_view type, type_of(node));
  if (type == "Sequence") {
    ASSIGN_OR_RETURN(const JsonNode list, node.require("decoders"));
    ASSIGN_OR_RETURN(const auto parts, list.array());
    for (const JsonNode& part : parts) RETURN_IF_ERROR(append_decoder(part, decoder));
  } else if (type == "ByteLevel") {
    decoder.byte_level = true;
  } else if (type == "ByteFallback") {
    decoder.byte_tokens = true;
  } else if (type == "Fuse") {
    return ok_status();
  } else if (type == "Replace") {
    ASSIGN_OR_RETURN(const JsonNode pattern_node, node.require("pattern"));
    ASSIGN_OR_RETURN(SplitPattern pattern, read_pattern(pattern_node));
    ASSIGN_OR_RETURN(const std::string_view content, node.require_string("content"));
    decoder.replace.emplace_back(ReplaceStep{std::move(pattern), std::string(content)});
  } else if (type == "Strip") {
    ASSIGN_OR_RETURN(const std::string_view content, node.get_string("content", " "));
    const auto start = node.find("start");
    ASSIGN_OR_RETURN(const int64_t count, start ? start->integer() : Result<int64_t>(int64_t{0}));
    if (count > 0 && content == " ") decoder.strip_leading_space = true;
  } else if (type == "Metaspace") {
    ASSIGN_OR_RETURN(const std::string_view replacement, node.get_string("replacement", "\xE2\x96\x81"));
    ASSIGN_OR_RETURN(const bool prefix, node.get_bool("add_prefix_space", true));
    ASSIGN_OR_RETURN(const std::string_view scheme, node.get_string("prepend_scheme", prefix ? "always" : "never"));
    decoder.replace.emplace_back(ReplaceStep{SplitPattern::literal(std::string(replacement)), " "});
    if (scheme != "never") decoder.strip_leading_space = true;
  } else {
    return not_supported(node, "decoder", type, "Sequence, ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace");
  }
  return ok_status();
}

// ---- post-processor

Result<std::vector<TokenId>> template_ids(const JsonNode& processor, const JsonNode& piece) {
  ASSIGN_OR_RETURN(const std::string_view name, piece.require_string("id"));
  ASSIGN_OR_RETURN(const JsonNode tokens, processor.require("special_tokens"));
  ASSIGN_OR_RETURN(const JsonNode token, tokens.require(name));
  ASSIGN_OR_RETURN(const JsonNode list, token.require("ids"));
  ASSIGN_OR_RETURN(const auto nodes, list.array());
  std::vector<TokenId> ids;
  for (const JsonNode& node : nodes) {
    ASSIGN_OR_RETURN(const int64_t id, node.integer());
    if (id < 0 || id > INT32_MAX) return node.wrong("not a token id");
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

Status read_template(const JsonNode& node, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const JsonNode single, node.require("single"));
  ASSIGN_OR_RETURN(const auto pieces, single.array());
  bool after_text = false;
  for (const JsonNode& piece : pieces) {
    if (const auto special = piece.find("SpecialToken")) {
      ASSIGN_OR_RETURN(const auto ids, template_ids(node, *special));
      std::vector<TokenId>& where = after_text ? spec.suffix : spec.prefix;
      where.insert(where.end(), ids.begin(), ids.end());
    } else {
      ASSIGN_OR_RETURN(const JsonNode sequence, piece.require("Sequence"));
      after_text = true;
    }
  }
  return ok_status();
}

// [spelling, id]
Result<TokenId> read_pair_id(const JsonNode& node, std::string_view key) {
  ASSIGN_OR_RETURN(const JsonNode pair, node.require(key));
  ASSIGN_OR_RETURN(const auto parts, pair.array());
  if (parts.size() != 2) return pair.wrong("expected a spelling and an id");
  ASSIGN_OR_RETURN(const int64_t id, parts[1].integer());
  if (id < 0 || id > INT32_MAX) return pair.wrong("not a token id");
  return static_cast<TokenId>(id);
}

}  // namespace

Status read_normalizer(const JsonNode& node, TokenizerSpec& spec) {
  std::vector<NormalizerStep> steps;
  RETURN_IF_ERROR(append_normalizer(node, spec, steps));
  spec.normalizer = Normalizer(std::move(steps));
  return ok_status();
}

Status read_pre_tokenizer(const JsonNode& node, TokenizerSpec& spec) {
  std::vector<PreTokenizerStep> steps;
  RETURN_IF_ERROR(append_pre_tokenizer(node, spec, steps));
  settle_byte_spelling(steps);
  spec.pre_tokenizer = PreTokenizer(std::move(steps));
  return ok_status();
}

Status read_decoder(const JsonNode& node, TokenizerSpec& spec) { return append_decoder(node, spec.decoder); }

Status read_post_processor(const JsonNode& node, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const std::string_view type, type_of(node));
  if (type == "Sequence") {
    ASSIGN_OR_RETURN(const JsonNode list, node.require("processors"));
    ASSIGN_OR_RETURN(const auto parts, list.array());
    for (const JsonNode& part : parts) RETURN_IF_ERROR(read_post_processor(part, spec));
  } else if (type == "TemplateProcessing") {
    return read_template(node, spec);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    ASSIGN_OR_RETURN(const TokenId first, read_pair_id(node, "cls"));
    ASSIGN_OR_RETURN(const TokenId last, read_pair_id(node, "sep"));
    spec.prefix.push_back(first);
    spec.suffix.push_back(last);
  } else if (type != "ByteLevel") {
    return not_supported(node, "post-processor", type,
                         "Sequence, TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel");
  }
  return ok_status();
}

}  // namespace strata
