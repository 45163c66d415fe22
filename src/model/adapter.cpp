#include "model/adapter.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "compute/tensor/quant_blocks.h"
#include "model/format/published_rows.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

std::vector<float> numbers_of(const TensorInfo& tensor) {
  const int64_t columns = tensor.shape[1];
  std::vector<float> out(static_cast<size_t>(tensor.shape[0] * columns));
  for (int64_t row = 0; row < tensor.shape[0]; ++row) {
    dequantize_row(tensor.type, tensor.data.data() + static_cast<size_t>(row) * row_bytes(tensor.type, columns),
                   out.data() + row * columns, columns);
  }
  return out;
}

class Binding {
 public:
  Binding(const LoraAdapter& adapter, const AdapterPlaces& places, const Checkpoint& model)
      : adapter_(adapter), places_(places), model_(model), weights_(std::make_shared<AdapterWeights>()) {}

  Result<std::shared_ptr<const AdapterWeights>> run() {
    for (const auto& [weight, pair] : adapter_.pairs()) RETURN_IF_ERROR(check(weight, pair));
    lay_out();
    for (size_t i = 0; i < places_.first.size(); ++i) RETURN_IF_ERROR(fill_first(i));
    for (size_t i = 0; i < places_.second.size(); ++i) RETURN_IF_ERROR(fill_second(i));
    weights_->identity = identity();
    return std::shared_ptr<const AdapterWeights>(std::move(weights_));
  }

 private:
  Status check(const std::string& weight, const LoraAdapter::Pair& pair) const {
    const auto place = std::find_if(places_.first.begin(), places_.first.end(),
                                    [&](const AdapterPlaces::First& first) { return first.tensor == weight; });
    const std::string where = "weight " + quoted_name(weight);
    if (place == places_.first.end())
      return invalid_argument(where + ": the model has no such linear layer (is the adapter of another model?)");
    const int64_t rank = pair.a.shape[0], n = pair.b.shape[0], k = pair.a.shape[1];
    if (rank > places_.max_rank) {
      return invalid_argument(where + " has rank " + std::to_string(rank) + ", at most " +
                              std::to_string(places_.max_rank) + " is allowed (--max-adapter-rank)");
    }
    ASSIGN_OR_RETURN(const TensorInfo* base, model_.require(weight));
    const auto outputs = std::find_if(places_.second.begin(), places_.second.end(), [&](const auto& second) {
                           return second.site.tensor == weight;
                         })->site.is_transposed
                             ? base->shape[1]
                             : base->shape[0];
    if (k == place->k && n == outputs) return ok_status();
    return invalid_argument(where + ": the adapter is for " + std::to_string(k) + " inputs and " + std::to_string(n) +
                            " outputs, the model has " + std::to_string(place->k) + " and " + std::to_string(outputs));
  }

  // Where each factor will be: in the order of computation, aligned.
  void lay_out() {
    size_t bytes = 0;
    std::vector<size_t> offsets;
    const auto add = [&](const AdapterFactor& factor) {
      offsets.push_back(bytes);
      bytes += (factor_bytes(factor) + 63) / 64 * 64;
    };
    for (size_t i = 0; i < places_.first.size(); ++i) {
      const LoraAdapter::Pair* pair = adapter_.find(places_.first[i].tensor);
      const int64_t rank = pair == nullptr ? 0 : pair->a.shape[0];
      weights_->first.push_back(
          {{places_.first[i].type, nullptr, rank, places_.first[i].k, kAdapterRows}, pair == nullptr ? 1.0F : pair->scale});
      add(weights_->first.back().factor);
    }
    for (const AdapterPlaces::Second& place : places_.second) {
      const int64_t rank = weights_->first[place.first].factor.rank;
      const DType type = places_.first[place.first].type;
      weights_->second.push_back({type, nullptr, rank, place.site.n, std::max<int64_t>(1, rank)});
      add(weights_->second.back());
    }
    weights_->memory = AlignedBuffer(std::max<size_t>(bytes, 1));
    for (size_t i = 0; i < offsets.size(); ++i) {
      AdapterFactor& factor =
          i < weights_->first.size() ? weights_->first[i].factor : weights_->second[i - weights_->first.size()];
      factor.data = weights_->memory.data() + offsets[i];
    }
  }

  Status pack(const AdapterFactor& factor, const std::vector<float>& numbers, const std::string& tensor) const {
    if (!std::all_of(numbers.begin(), numbers.end(), [](float v) { return std::isfinite(v); }))
      return data_loss("weight " + quoted_name(tensor) + ": the adapter has a number that is not finite");
    pack_adapter_factor(factor, numbers.data(), weights_->memory.data() + (factor.data - weights_->memory.data()));
    return ok_status();
  }

  Status fill_first(size_t i) const {
    const LoraAdapter::Pair* pair = adapter_.find(places_.first[i].tensor);
    return pair == nullptr ? ok_status()
                           : pack(weights_->first[i].factor, numbers_of(pair->a), places_.first[i].tensor);
  }

  // The rows of b that the matmul has, as the model stores them, turned: [rank, n].
  Status fill_second(size_t i) const {
    const AdapterSite& site = places_.second[i].site;
    const LoraAdapter::Pair* pair = adapter_.find(site.tensor);
    if (pair == nullptr) return ok_status();
    ASSIGN_OR_RETURN(const std::vector<int64_t> published, published_rows(model_, site.tensor, pair->b.shape[0]));
    const std::vector<float> b = numbers_of(pair->b);
    const int64_t rank = pair->b.shape[1];
    std::vector<float> turned(static_cast<size_t>(rank * site.n));
    int64_t column = 0;
    for (const WeightPart& part : site.rows) {
      for (int64_t row = part.row_begin; row < part.row_end; row += part.row_step, ++column) {
        const int64_t from = published.empty() ? row : published[static_cast<size_t>(row)];
        for (int64_t r = 0; r < rank; ++r)
          turned[static_cast<size_t>(r * site.n + column)] = b[static_cast<size_t>(from * rank + r)] * site.scale;
      }
    }
    return pack(weights_->second[i], turned, site.tensor);
  }

  Hash128 identity() const {
    std::vector<Hash128> hashes{hash_bytes({weights_->memory.data(), weights_->memory.size()})};
    for (const AdapterWeights::First& first : weights_->first)
      hashes.push_back({static_cast<uint64_t>(first.factor.rank), std::bit_cast<uint32_t>(first.scale)});
    return hash_bytes(std::as_bytes(std::span(hashes)));
  }

  const LoraAdapter& adapter_;
  const AdapterPlaces& places_;
  const Checkpoint& model_;
  std::shared_ptr<AdapterWeights> weights_;
};

}  // namespace

Result<std::shared_ptr<const AdapterWeights>> bind_adapter(const LoraAdapter& adapter, const AdapterPlaces& places,
                                                           const Checkpoint& model) {
  return Binding(adapter, places, model).run();
}

Result<std::shared_ptr<const AdapterWeights>> load_adapter(const std::filesystem::path& folder,
                                                           const AdapterPlaces& places, const Checkpoint& model) {
  Result<LoraAdapter> adapter = LoraAdapter::open(folder);
  if (!adapter.ok()) return adapter.status().with_context("adapter " + folder.string());
  auto bound = bind_adapter(*adapter, places, model);
  return bound.ok() ? std::move(bound) : bound.status().with_context("adapter " + folder.string());
}

}  // namespace strata
