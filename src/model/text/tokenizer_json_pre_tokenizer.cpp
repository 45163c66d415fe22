#include <utility>

#include "model/text/tokenizer_json_steps.h"

namespace strata {
namespace {

using Steps = std::vector<PreTokenizerStep>;

constexpr std::string_view kGpt2Words = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr CharClass kMarks = kClassPunctuation | kClassAsciiSymbol;

Status append_pre_tokenizer(const JsonNode& node, Steps& steps);

Result<SplitBehavior> read_behavior(const JsonNode& node, std::string_view otherwise) {
  ASSIGN_OR_RETURN(const std::string_view name, node.get_string("behavior", otherwise));
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  return node.wrong("unknown behavior " + quoted_name(name));
}

void append_split(SplitPattern pattern, SplitBehavior behavior, Steps& steps) {
  steps.emplace_back(SplitStep{std::move(pattern), behavior, false});
}

Status append_sequence(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const JsonNode list, node.require("pretokenizers"));
  ASSIGN_OR_RETURN(const auto parts, list.array());
  for (const JsonNode& part : parts) RETURN_IF_ERROR(append_pre_tokenizer(part, steps));
  return ok_status();
}

Status append_byte_level(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const bool prefix, node.get_bool("add_prefix_space", true));
  ASSIGN_OR_RETURN(const bool words, node.get_bool("use_regex", true));
  if (prefix) steps.emplace_back(PrefixSpaceStep{});
  if (words) {
    ASSIGN_OR_RETURN(SplitPattern pattern, SplitPattern::regex(kGpt2Words));
    append_split(std::move(pattern), SplitBehavior::kIsolated, steps);
  }
  steps.emplace_back(SpellBytesStep{});
  return ok_status();
}

Status append_metaspace(const JsonNode& node, Steps& steps) {
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

Status append_given_split(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const JsonNode pattern_node, node.require("pattern"));
  ASSIGN_OR_RETURN(SplitPattern pattern, read_split_pattern(pattern_node));
  ASSIGN_OR_RETURN(const SplitBehavior behavior, read_behavior(node, "Isolated"));
  ASSIGN_OR_RETURN(const bool invert, node.get_bool("invert", false));
  steps.emplace_back(SplitStep{std::move(pattern), behavior, invert});
  return ok_status();
}

Status append_digits(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const bool individual, node.get_bool("individual_digits", false));
  append_split(SplitPattern::characters(kClassNumber, !individual), SplitBehavior::kIsolated, steps);
  return ok_status();
}

Status append_punctuation(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const SplitBehavior behavior, read_behavior(node, "Isolated"));
  append_split(SplitPattern::characters(kMarks), behavior, steps);
  return ok_status();
}

Status append_white_space(const JsonNode&, Steps& steps) {
  steps.emplace_back(SplitStep{SplitPattern::words_and_symbols(), SplitBehavior::kRemoved, true});
  return ok_status();
}

Status append_white_space_split(const JsonNode&, Steps& steps) {
  append_split(SplitPattern::characters(kClassSpace, true), SplitBehavior::kRemoved, steps);
  return ok_status();
}

Status append_bert(const JsonNode&, Steps& steps) {
  append_split(SplitPattern::characters(kClassSpace, true), SplitBehavior::kRemoved, steps);
  append_split(SplitPattern::characters(kMarks), SplitBehavior::kIsolated, steps);
  return ok_status();
}

Status append_delimiter(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const std::string_view delimiter, node.require_string("delimiter"));
  if (delimiter.empty()) return node.wrong("delimiter: expected a character");
  append_split(SplitPattern::literal(std::string(delimiter)), SplitBehavior::kRemoved, steps);
  return ok_status();
}

Status append_scripts(const JsonNode&, Steps& steps) {
  steps.emplace_back(ScriptStep{});
  return ok_status();
}

Status append_fixed_length(const JsonNode& node, Steps& steps) {
  const auto length = node.find("length");
  ASSIGN_OR_RETURN(const int64_t n, length ? length->integer() : Result<int64_t>(int64_t{5}));
  if (n < 1) return node.wrong("length: expected a number above 0");
  steps.emplace_back(FixedLengthStep{static_cast<size_t>(n)});
  return ok_status();
}

using Read = Status (*)(const JsonNode&, Steps&);
constexpr NamedReader<Read> kReaders[] = {
    {"Sequence", append_sequence},      {"ByteLevel", append_byte_level},
    {"Metaspace", append_metaspace},    {"Split", append_given_split},
    {"Digits", append_digits},          {"Punctuation", append_punctuation},
    {"Whitespace", append_white_space}, {"WhitespaceSplit", append_white_space_split},
    {"BertPreTokenizer", append_bert},  {"CharDelimiterSplit", append_delimiter},
    {"UnicodeScripts", append_scripts}, {"FixedLength", append_fixed_length},
};

Status append_pre_tokenizer(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const NamedReader<Read>* reader, reader_of<Read>(node, "pre-tokenizer", kReaders));
  return reader->read(node, steps);
}

}  // namespace

Status read_pre_tokenizer(const JsonNode& node, TokenizerSpec& spec) {
  Steps steps;
  RETURN_IF_ERROR(append_pre_tokenizer(node, steps));
  spec.pre_tokenizer = PreTokenizer(std::move(steps));
  return ok_status();
}

}  // namespace strata
