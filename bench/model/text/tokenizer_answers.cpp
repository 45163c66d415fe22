// What Strata's tokenizer makes of texts, for comparison with others (tokenizer_compare.py): reads one JSON string per
// line, writes one line {"ids", "text", "plain", "steps"} for each: the ids with the tokens around the text, the text
// decoded with and without special tokens, and decoded token by token.
//
//     tokenizer_answers PATH   (a folder, a GGUF file or the tokenizer.json itself)
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "model/format/gguf.h"
#include "model/text/load_tokenizer.h"

namespace strata {
namespace {

Result<std::unique_ptr<Tokenizer>> load(const std::filesystem::path& path) {
  if (path.extension() == ".gguf") {
    ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
    return tokenizer_from_gguf(file);
  }
  if (std::filesystem::is_directory(path)) return tokenizer_from_folder(path);
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  return tokenizer_from_json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
}

std::string by_steps(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  IncrementalDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

int answer(const char* path) {
  const auto tokenizer = load(path);
  if (!tokenizer.ok()) {
    std::cout << nlohmann::json{{"error", tokenizer.status().message()}}.dump() << "\n";
    return 1;
  }
  for (std::string line; std::getline(std::cin, line);) {
    const std::string text = nlohmann::json::parse(line);
    const std::vector<TokenId> ids = (*tokenizer)->encode(text);
    const nlohmann::json answer = {{"ids", ids},
                                   {"text", (*tokenizer)->decode(ids, true)},
                                   {"plain", (*tokenizer)->decode(ids)},
                                   {"steps", by_steps(**tokenizer, ids)}};
    std::cout << answer.dump() << "\n";
  }
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) { return argc == 2 ? strata::answer(argv[1]) : 2; }
