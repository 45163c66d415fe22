#include <utility>

#include "model/text/tokenizer_json_steps.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

// Where the steps go: to the tokens, until something joins them, from then on to the text.
class Builder {
 public:
  explicit Builder(DecoderSpec& decoder) : decoder_(decoder) {}
  template <class Step>
  void add(Step step) {
    (joined_ ? decoder_.text_steps : decoder_.token_steps).emplace_back(std::move(step));
  }
  void join() { joined_ = true; }

 private:
  DecoderSpec& decoder_;
  bool joined_ = false;
};

Status append_decoder(const JsonNode& node, Builder& decoder);

Status append_sequence(const JsonNode& node, Builder& decoder) {
  ASSIGN_OR_RETURN(const JsonNode list, node.require("decoders"));
  ASSIGN_OR_RETURN(const auto parts, list.array());
  for (const JsonNode& part : parts) RETURN_IF_ERROR(append_decoder(part, decoder));
  return ok_status();
}

Status append_byte_level(const JsonNode&, Builder& decoder) {
  decoder.add(ByteSpellingStep{});
  decoder.join();
  return ok_status();
}

Status append_byte_fallback(const JsonNode&, Builder& decoder) {
  decoder.add(ByteTokenStep{});
  return ok_status();
}

Status append_fuse(const JsonNode&, Builder& decoder) {
  decoder.join();
  return ok_status();
}

Status append_replace(const JsonNode& node, Builder& decoder) {
  ASSIGN_OR_RETURN(const JsonNode pattern_node, node.require("pattern"));
  ASSIGN_OR_RETURN(SplitPattern pattern, read_split_pattern(pattern_node));
  ASSIGN_OR_RETURN(const std::string_view content, node.require_string("content"));
  decoder.add(ReplaceStep{std::move(pattern), std::string(content)});
  return ok_status();
}

Result<size_t> read_count(const JsonNode& node, std::string_view key) {
  const auto member = node.find(key);
  if (!member) return size_t{0};
  ASSIGN_OR_RETURN(const int64_t count, member->integer());
  if (count < 0) return member->wrong("expected a number of characters");
  return static_cast<size_t>(count);
}

Status append_strip(const JsonNode& node, Builder& decoder) {
  ASSIGN_OR_RETURN(const std::string_view content, node.get_string("content", " "));
  if (content.empty() || code_point_at(content, 0).length != content.size()) {
    return node.wrong("content: expected one character");
  }
  ASSIGN_OR_RETURN(const size_t start, read_count(node, "start"));
  ASSIGN_OR_RETURN(const size_t stop, read_count(node, "stop"));
  decoder.add(StripCharacterStep{std::string(content), start, stop});
  return ok_status();
}

Status append_metaspace(const JsonNode& node, Builder& decoder) {
  ASSIGN_OR_RETURN(const std::string_view replacement, node.get_string("replacement", kMetaspace));
  ASSIGN_OR_RETURN(const bool prefix, node.get_bool("add_prefix_space", true));
  ASSIGN_OR_RETURN(const std::string_view scheme, node.get_string("prepend_scheme", prefix ? "always" : "never"));
  decoder.add(MetaspaceDecodeStep{std::string(replacement), scheme != "never"});
  return ok_status();
}

Status append_word_piece(const JsonNode& node, Builder& decoder) {
  WordPieceStep step;
  ASSIGN_OR_RETURN(const std::string_view prefix, node.get_string("prefix", "##"));
  ASSIGN_OR_RETURN(step.cleanup, node.get_bool("cleanup", true));
  step.prefix = prefix;
  decoder.add(std::move(step));
  return ok_status();
}

Status append_word_end(const JsonNode& node, Builder& decoder) {
  ASSIGN_OR_RETURN(const std::string_view suffix, node.get_string("suffix", "</w>"));
  decoder.add(WordEndStep{std::string(suffix)});
  return ok_status();
}

Status append_ctc(const JsonNode& node, Builder& decoder) {
  CtcStep step;
  ASSIGN_OR_RETURN(const std::string_view pad, node.get_string("pad_token", "<pad>"));
  ASSIGN_OR_RETURN(const std::string_view delimiter, node.get_string("word_delimiter_token", "|"));
  ASSIGN_OR_RETURN(step.cleanup, node.get_bool("cleanup", true));
  step.pad = pad;
  step.word_delimiter = delimiter;
  decoder.add(std::move(step));
  return ok_status();
}

using Read = Status (*)(const JsonNode&, Builder&);
constexpr NamedReader<Read> kReaders[] = {
    {"Sequence", append_sequence},
    {"ByteLevel", append_byte_level},
    {"ByteFallback", append_byte_fallback},
    {"Fuse", append_fuse},
    {"Replace", append_replace},
    {"Strip", append_strip},
    {"Metaspace", append_metaspace},
    {"WordPiece", append_word_piece},
    {"BPEDecoder", append_word_end},
    {"CTC", append_ctc},
};

Status append_decoder(const JsonNode& node, Builder& decoder) {
  ASSIGN_OR_RETURN(const NamedReader<Read>* reader, reader_of<Read>(node, "decoder", kReaders));
  return reader->read(node, decoder);
}

}  // namespace

Status read_decoder(const JsonNode& node, TokenizerSpec& spec) {
  spec.decoder = {};
  Builder builder(spec.decoder);
  return append_decoder(node, builder);
}

}  // namespace strata
