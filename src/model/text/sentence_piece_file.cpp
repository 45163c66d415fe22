#include "model/text/sentence_piece_file.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "model/text/end_of_generation.h"
#include "model/text/protobuf_reader.h"

namespace strata {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";
constexpr float kUnknownPenalty = 10.0f;

Status damaged(std::string_view what) { return invalid_argument("damaged: " + std::string(what)); }

class ModelFile {
 public:
  Status read(std::string_view bytes) {
    ProtobufReader model(bytes);
    while (model.next()) {
      if (model.field() == 1) RETURN_IF_ERROR(read_piece(model.bytes()));
      if (model.field() == 2) RETURN_IF_ERROR(read_trainer(model.bytes()));
      if (model.field() == 3) RETURN_IF_ERROR(read_normalizer(model.bytes()));
    }
    if (!model.ok()) return damaged("no fields of a protocol buffer");
    if (spec_.tokens.empty()) return damaged("no pieces");
    return ok_status();
  }

  Result<TokenizerSpec> finish() {
    protect_symbols(kind_ == kBpe);
    if (kind_ == kBpe) {
      finish_bpe();
    } else if (kind_ == kUnigram) {
      finish_unigram();
    } else {
      return invalid_argument("model_type " + std::to_string(kind_) + " is not supported (known: unigram 1, bpe 2)");
    }
    for (VocabularyToken& token : spec_.tokens) {
      token.in_words = token.kind == TokenKind::kNormal || (token.kind == TokenKind::kUserDefined && kind_ == kUnigram);
    }
    spec_.normalizer = Normalizer({normalizer_});
    spec_.added_as_spelled = true;
    spec_.decoder.spell_added_tokens = true;
    spec_.decoder.token_steps = {ByteTokenStep{}, ReplaceStep{SplitPattern::literal(std::string(kMetaspace)), " "}};
    const size_t stripped = normalizer_.merge_spaces ? SIZE_MAX : normalizer_.add_space ? 1 : 0;
    if (stripped > 0 && !normalizer_.space_after) spec_.decoder.text_steps = {StripCharacterStep{" ", stripped, 0}};
    if (bos_id_ >= 0 && static_cast<size_t>(bos_id_) < spec_.tokens.size()) spec_.bos = static_cast<TokenId>(bos_id_);
    if (eos_id_ >= 0 && static_cast<size_t>(eos_id_) < spec_.tokens.size()) spec_.eos = static_cast<TokenId>(eos_id_);
    add_end_of_generation(spec_, false);
    return std::move(spec_);
  }

 private:
  static constexpr uint64_t kUnigram = 1;
  static constexpr uint64_t kBpe = 2;

  Status read_piece(std::string_view bytes) {
    constexpr TokenKind kKinds[] = {TokenKind::kNormal,  TokenKind::kNormal,      TokenKind::kUnknown,
                                    TokenKind::kControl, TokenKind::kUserDefined, TokenKind::kUnused,
                                    TokenKind::kByte};
    VocabularyToken token;
    float score = 0.0f;
    uint64_t type = 1;
    ProtobufReader piece(bytes);
    while (piece.next()) {
      if (piece.field() == 1) token.text = piece.bytes();
      if (piece.field() == 2) score = piece.single();
      if (piece.field() == 3) type = piece.number();
    }
    if (!piece.ok() || type >= std::size(kKinds) || std::isnan(score)) {
      return damaged("piece " + std::to_string(spec_.tokens.size()));
    }
    token.kind = kKinds[type];
    if (token.kind == TokenKind::kUnknown) unknown_ = static_cast<TokenId>(spec_.tokens.size());
    spec_.tokens.push_back(std::move(token));
    scores_.push_back(score);
    return ok_status();
  }

  Status read_trainer(std::string_view bytes) {
    ProtobufReader trainer(bytes);
    while (trainer.next()) {
      if (trainer.field() == 3) kind_ = trainer.number();
      if (trainer.field() == 24) normalizer_.space_after = trainer.boolean();
      if (trainer.field() == 35) byte_fallback_ = trainer.boolean();
      if (trainer.field() == 41) bos_id_ = static_cast<int32_t>(trainer.number());
      if (trainer.field() == 42) eos_id_ = static_cast<int32_t>(trainer.number());
    }
    return trainer.ok() ? ok_status() : damaged("trainer_spec");
  }

  Status read_normalizer(std::string_view bytes) {
    ProtobufReader normalizer(bytes);
    while (normalizer.next()) {
      if (normalizer.field() == 2) {
        ASSIGN_OR_RETURN(CharsMap map, CharsMap::parse(normalizer.bytes()));
        normalizer_.map = std::make_shared<const CharsMap>(std::move(map));
      }
      if (normalizer.field() == 3) normalizer_.add_space = normalizer.boolean();
      if (normalizer.field() == 4) normalizer_.merge_spaces = normalizer.boolean();
      if (normalizer.field() == 5) normalizer_.escape_spaces = normalizer.boolean();
    }
    return normalizer.ok() ? ok_status() : damaged("normalizer_spec");
  }

  // Control tokens are found where a caller allows it; the library itself never looks for them.
  void add_token(size_t id, bool special) {
    AddedToken added;
    added.id = static_cast<TokenId>(id);
    added.content = spec_.tokens[id].text;
    added.special = special;
    added.normalized = !special;
    spec_.added.push_back(std::move(added));
  }

  // Symbols that the user defined pass the normalizer unchanged. In a BPE they are cut out after it, in a unigram model
  // they are tokens with a score that hardly any other way reaches.
  void protect_symbols(bool cut_out) {
    std::vector<ByteTrie::Entry> symbols;
    for (size_t id = 0; id < spec_.tokens.size(); ++id) {
      const VocabularyToken& token = spec_.tokens[id];
      if (token.kind == TokenKind::kControl && !token.text.empty()) add_token(id, true);
      if (token.kind != TokenKind::kUserDefined || token.text.empty()) continue;
      symbols.emplace_back(token.text, static_cast<int32_t>(id));
      if (cut_out) add_token(id, false);
    }
    if (!symbols.empty()) normalizer_.symbols = std::make_shared<const ByteTrie>(std::move(symbols));
  }

  void finish_bpe() {
    BpeSpec bpe;
    bpe.scores = scores_;
    bpe.byte_fallback = byte_fallback_;
    bpe.fuse_unknown = true;
    bpe.unknown = unknown_;
    spec_.model = std::move(bpe);
  }

  void finish_unigram() {
    float lowest = std::numeric_limits<float>::max();
    float highest = std::numeric_limits<float>::lowest();
    const auto user_defined = [&](size_t id) { return spec_.tokens[id].kind == TokenKind::kUserDefined; };
    for (size_t id = 0; id < scores_.size(); ++id) {
      if (spec_.tokens[id].kind == TokenKind::kNormal) lowest = std::min(lowest, scores_[id]);
      if (spec_.tokens[id].kind == TokenKind::kNormal || user_defined(id)) highest = std::max(highest, scores_[id]);
    }
    UnigramSpec unigram;
    unigram.scores.assign(scores_.begin(), scores_.end());
    for (size_t id = 0; id < scores_.size(); ++id) {
      if (user_defined(id)) unigram.scores[id] = static_cast<float>(spec_.tokens[id].text.size()) * highest;
    }
    unigram.unknown = unknown_;
    unigram.unknown_score = lowest - kUnknownPenalty;
    unigram.byte_fallback = byte_fallback_;
    unigram.single_precision = true;
    spec_.model = std::move(unigram);
  }

  TokenizerSpec spec_;
  std::vector<float> scores_;
  SentencePieceStep normalizer_;
  uint64_t kind_ = kUnigram;
  bool byte_fallback_ = false;
  std::optional<TokenId> unknown_;
  int32_t bos_id_ = 1;
  int32_t eos_id_ = 2;
};

}  // namespace

Result<TokenizerSpec> tokenizer_spec_from_sentence_piece(std::string_view bytes) {
  ModelFile file;
  RETURN_IF_ERROR(file.read(bytes));
  return file.finish();
}

}  // namespace strata
