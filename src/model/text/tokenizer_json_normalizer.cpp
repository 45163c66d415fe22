#include <utility>

#include "model/text/tokenizer_json_steps.h"

namespace strata {
namespace {

using Steps = std::vector<NormalizerStep>;

Status append_normalizer(const JsonNode& node, Steps& steps);

Status append_sequence(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const JsonNode list, node.require("normalizers"));
  ASSIGN_OR_RETURN(const auto parts, list.array());
  for (const JsonNode& part : parts) RETURN_IF_ERROR(append_normalizer(part, steps));
  return ok_status();
}

template <UnicodeForm kForm>
Status append_form(const JsonNode&, Steps& steps) {
  steps.emplace_back(UnicodeFormStep{kForm});
  return ok_status();
}

template <class Step>
Status append_simple(const JsonNode&, Steps& steps) {
  steps.emplace_back(Step{});
  return ok_status();
}

Status append_strip(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const bool left, node.get_bool("strip_left", true));
  ASSIGN_OR_RETURN(const bool right, node.get_bool("strip_right", true));
  steps.emplace_back(StripStep{left, right});
  return ok_status();
}

Status append_prepend(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const std::string_view text, node.require_string("prepend"));
  steps.emplace_back(PrependStep{std::string(text)});
  return ok_status();
}

Status append_replace(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const JsonNode pattern_node, node.require("pattern"));
  ASSIGN_OR_RETURN(SplitPattern pattern, read_split_pattern(pattern_node));
  ASSIGN_OR_RETURN(const std::string_view content, node.require_string("content"));
  steps.emplace_back(ReplaceStep{std::move(pattern), std::string(content)});
  return ok_status();
}

Status append_bert(const JsonNode& node, Steps& steps) {
  BertNormalizerStep step;
  ASSIGN_OR_RETURN(step.clean, node.get_bool("clean_text", true));
  ASSIGN_OR_RETURN(step.isolate_han, node.get_bool("handle_chinese_chars", true));
  ASSIGN_OR_RETURN(step.lowercase, node.get_bool("lowercase", true));
  ASSIGN_OR_RETURN(step.strip_accents, node.get_bool("strip_accents", step.lowercase));
  steps.emplace_back(step);
  return ok_status();
}

Status append_precompiled(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const JsonNode map_node, node.require("precompiled_charsmap"));
  ASSIGN_OR_RETURN(const std::string_view base64, map_node.string());
  const auto bytes = decode_base64(base64);
  if (!bytes) return map_node.wrong("not base64");
  auto map = CharsMap::parse(*bytes);
  if (!map.ok()) return map_node.wrong(map.status().message());
  steps.emplace_back(CharsMapStep{std::make_shared<const CharsMap>(*std::move(map))});
  return ok_status();
}

using Read = Status (*)(const JsonNode&, Steps&);
constexpr NamedReader<Read> kReaders[] = {
    {"Sequence", append_sequence},
    {"NFC", append_form<UnicodeForm::kNfc>},
    {"NFD", append_form<UnicodeForm::kNfd>},
    {"NFKC", append_form<UnicodeForm::kNfkc>},
    {"NFKD", append_form<UnicodeForm::kNfkd>},
    {"Lowercase", append_simple<LowercaseStep>},
    {"StripAccents", append_simple<StripAccentsStep>},
    {"Strip", append_strip},
    {"Prepend", append_prepend},
    {"Replace", append_replace},
    {"BertNormalizer", append_bert},
    {"Nmt", append_simple<NmtStep>},
    {"Precompiled", append_precompiled},
    {"ByteLevel", append_simple<SpellBytesStep>},
};

Status append_normalizer(const JsonNode& node, Steps& steps) {
  ASSIGN_OR_RETURN(const NamedReader<Read>* reader, reader_of<Read>(node, "normalizer", kReaders));
  return reader->read(node, steps);
}

}  // namespace

Status read_normalizer(const JsonNode& node, TokenizerSpec& spec) {
  Steps steps;
  RETURN_IF_ERROR(append_normalizer(node, steps));
  spec.normalizer = Normalizer(std::move(steps));
  return ok_status();
}

}  // namespace strata
