// RoBERTa (https://arxiv.org/abs/1907.11692) and XLM-R (https://arxiv.org/abs/1911.02116): BERT's stack, positions that
// begin behind the padding token's id, and a head of two layers for classification and reranking.
#include "model/arch/encoder.h"
#include "model/arch/models.h"

namespace strata::roberta {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  EncoderFields f = encoder_fields(b);
  f.padding_id = static_cast<int32_t>(b.config().get_int("pad_token_id").value_or(1));
  if (f.padding_id < 0 || f.padding_id >= f.max_positions)
    b.fail(invalid_argument("config: pad_token_id is outside the table of positions"));
  if (!b.status().ok()) return b.status();
  const std::string prefix = b.prefix_of({"roberta.", ""}, "embeddings.word_embeddings.weight");
  const Value x = bert_stack(b, prefix, f);
  if (b.has(prefix + "pooler.dense.weight"))
    b.graph().add_output("pooler", tanh_pooler(b, x, prefix + "pooler.dense", f));
  if (b.has("classifier.dense.weight"))
    add_score(b, checkpoint, tanh_pooler(b, x, "classifier.dense", f), "classifier.out_proj");
  return finish_encoder(b, x, f);
}

}  // namespace strata::roberta
