// Builds tokenizer.json documents for the tests from published vocabularies (../shared/data/tokenizers) and the
// pipelines of tests/data/tokenizer_golden.json.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace strata::test {

// tests/data/tokenizer_golden.json
const nlohmann::json& tokenizer_golden();

// `pipeline`: a name in tokenizer_golden()["pipelines"].
std::string tokenizer_document(const std::string& pipeline);

}  // namespace strata::test
