// BERT (https://arxiv.org/abs/1810.04805) as an embedding model, and with its pooler and a linear layer as a reranker.
#include "model/arch/encoder.h"
#include "model/arch/models.h"

namespace strata::bert {

Result<BuiltModel> build(const Checkpoint& checkpoint) {
  ModelBuilder b(checkpoint);
  const EncoderFields f = encoder_fields(b);
  if (!b.status().ok()) return b.status();
  const std::string prefix = b.prefix_of({"bert.", ""}, "embeddings.word_embeddings.weight");
  const Value x = bert_stack(b, prefix, f);
  if (b.has(prefix + "pooler.dense.weight")) {
    const Value pooled = tanh_pooler(b, x, prefix + "pooler.dense", f);
    b.graph().add_output("pooler", pooled);
    if (b.has("classifier.weight")) add_score(b, checkpoint, pooled, "classifier");
  }
  return finish_encoder(b, x, f);
}

}  // namespace strata::bert
