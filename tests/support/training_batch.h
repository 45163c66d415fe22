// The rows of a train.json as one batch: each row a segment, each token but its last predicting the next.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "compute/graph/batch.h"

namespace strata::test {

struct TrainingBatch {
  explicit TrainingBatch(const nlohmann::json& rows) {
    query_begin.push_back(0);
    for (const nlohmann::json& row : rows) {
      const auto tokens = row.get<std::vector<int32_t>>();
      for (size_t i = 0; i < tokens.size(); ++i) {
        if (i + 1 < tokens.size()) {
          output_rows.push_back(static_cast<int32_t>(ids.size()));
          targets.push_back(tokens[i + 1]);
        }
        ids.push_back(tokens[i]);
        positions.push_back(static_cast<int32_t>(i));
      }
      query_begin.push_back(static_cast<int32_t>(ids.size()));
      context_len.push_back(static_cast<int32_t>(tokens.size()));
    }
  }
  Batch batch() const {
    Batch b;
    b.ids = ids;
    b.positions = positions;
    b.query_begin = query_begin;
    b.context_len = context_len;
    b.output_rows = output_rows;
    b.targets = targets;
    return b;
  }
  std::vector<int32_t> ids, positions, query_begin, context_len, output_rows, targets;
};

}  // namespace strata::test
