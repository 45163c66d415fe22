#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/runtime.h"

namespace strata::cli {

Status tokenize_command(const Settings& settings, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, Model::load(arguments[0]));
  ASSIGN_OR_RETURN(const Tokenizer* tokenizer, require_tokenizer(*model));
  const std::string text = settings.text.empty() ? read_standard_input() : settings.text;
  const std::vector<TokenId> ids = tokenizer->encode(text, {settings.special, settings.special});
  std::printf("%s\n", nlohmann::json(ids).dump().c_str());
  return ok_status();
}

Status detokenize_command(const Settings& settings, const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::unique_ptr<Model> model, Model::load(arguments[0]));
  ASSIGN_OR_RETURN(const Tokenizer* tokenizer, require_tokenizer(*model));
  ASSIGN_OR_RETURN(const std::vector<int32_t> ids, parse_ids(arguments[1], "IDS"));
  for (const int32_t id : ids) {
    if (id < 0 || id >= tokenizer->vocab_size()) {
      return invalid_argument("IDS: " + std::to_string(id) + " is outside the vocabulary of " +
                              std::to_string(tokenizer->vocab_size()));
    }
  }
  const std::string text = tokenizer->decode(ids, settings.special);
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fputc('\n', stdout);
  return ok_status();
}

}  // namespace strata::cli
