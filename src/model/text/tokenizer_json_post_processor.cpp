#include <utility>

#include "model/text/tokenizer_json_steps.h"

namespace strata {
namespace {

using What = FramePiece::What;

Result<TokenId> read_id(const JsonNode& node) {
  ASSIGN_OR_RETURN(const int64_t id, node.integer());
  if (id < 0 || id > INT32_MAX) return node.wrong("not a token id");
  return static_cast<TokenId>(id);
}

Result<int32_t> read_segment(const JsonNode& piece) {
  const auto node = piece.find("type_id");
  if (!node) return int32_t{0};
  ASSIGN_OR_RETURN(const int64_t segment, node->integer());
  if (segment < 0 || segment > INT32_MAX) return node->wrong("not a type id");
  return static_cast<int32_t>(segment);
}

// {"SpecialToken": {"id": "[CLS]", "type_id": 0}}: the ids that special_tokens of the processor gives the name.
Status append_special(const JsonNode& processor, const JsonNode& piece, Frame& frame) {
  ASSIGN_OR_RETURN(const std::string_view name, piece.require_string("id"));
  ASSIGN_OR_RETURN(const int32_t segment, read_segment(piece));
  ASSIGN_OR_RETURN(const JsonNode tokens, processor.require("special_tokens"));
  ASSIGN_OR_RETURN(const JsonNode token, tokens.require(name));
  ASSIGN_OR_RETURN(const JsonNode list, token.require("ids"));
  ASSIGN_OR_RETURN(const auto nodes, list.array());
  for (const JsonNode& node : nodes) {
    ASSIGN_OR_RETURN(const TokenId id, read_id(node));
    frame.push_back({What::kToken, id, segment});
  }
  return ok_status();
}

Result<Frame> read_frame(const JsonNode& processor, const JsonNode& list) {
  ASSIGN_OR_RETURN(const auto pieces, list.array());
  Frame frame;
  for (const JsonNode& piece : pieces) {
    if (const auto special = piece.find("SpecialToken")) {
      RETURN_IF_ERROR(append_special(processor, *special, frame));
      continue;
    }
    ASSIGN_OR_RETURN(const JsonNode sequence, piece.require("Sequence"));
    ASSIGN_OR_RETURN(const std::string_view name, sequence.get_string("id", "A"));
    if (name != "A" && name != "B") return sequence.wrong("id: expected A or B");
    ASSIGN_OR_RETURN(const int32_t segment, read_segment(sequence));
    frame.push_back({name == "A" ? What::kFirstText : What::kSecondText, 0, segment});
  }
  return frame;
}

Status read_template(const JsonNode& node, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const JsonNode single, node.require("single"));
  ASSIGN_OR_RETURN(spec.single, read_frame(node, single));
  const auto pair = node.find("pair");
  if (!pair) return ok_status();
  ASSIGN_OR_RETURN(Frame frame, read_frame(node, *pair));
  if (!frame.empty()) spec.pair = std::move(frame);
  return ok_status();
}

// [spelling, id]
Result<TokenId> read_pair_id(const JsonNode& node, std::string_view key) {
  ASSIGN_OR_RETURN(const JsonNode pair, node.require(key));
  ASSIGN_OR_RETURN(const auto parts, pair.array());
  if (parts.size() != 2) return pair.wrong("expected a spelling and an id");
  return read_id(parts[1]);
}

template <bool kRoberta>
Status read_bert(const JsonNode& node, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const TokenId first, read_pair_id(node, "cls"));
  ASSIGN_OR_RETURN(const TokenId last, read_pair_id(node, "sep"));
  spec.single = {{What::kToken, first, 0}, {What::kFirstText, 0, 0}, {What::kToken, last, 0}};
  spec.pair = spec.single;
  if (kRoberta) spec.pair.push_back({What::kToken, last, 0});
  const int32_t second = kRoberta ? 0 : 1;
  spec.pair.push_back({What::kSecondText, 0, second});
  spec.pair.push_back({What::kToken, last, second});
  return ok_status();
}

Status read_byte_level(const JsonNode&, TokenizerSpec&) { return ok_status(); }  // about offsets only

Status read_sequence(const JsonNode& node, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const JsonNode list, node.require("processors"));
  ASSIGN_OR_RETURN(const auto parts, list.array());
  for (const JsonNode& part : parts) RETURN_IF_ERROR(read_post_processor(part, spec));
  return ok_status();
}

using Read = Status (*)(const JsonNode&, TokenizerSpec&);
constexpr NamedReader<Read> kReaders[] = {
    {"Sequence", read_sequence},          {"TemplateProcessing", read_template},
    {"BertProcessing", read_bert<false>}, {"RobertaProcessing", read_bert<true>},
    {"ByteLevel", read_byte_level},
};

}  // namespace

Status read_post_processor(const JsonNode& node, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const NamedReader<Read>* reader, reader_of<Read>(node, "post-processor", kReaders));
  return reader->read(node, spec);
}

}  // namespace strata
