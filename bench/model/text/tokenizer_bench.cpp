// Encoding speed on one thread in MB/s of text, and load time. Texts: English (Grimm), code (Strata's own),
// pseudo-random Han, and 10 MB of what makes careless tokenizers slow. tokenizer_reference.py measures Hugging Face's
// tokenizers on the same texts.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "model/format/gguf.h"
#include "model/text/load_tokenizer.h"
#include "model/text/tokenizer_documents.h"
#include "model/text/utf8.h"
#include "test_data.h"

namespace strata {
namespace {

constexpr size_t kAdversarialBytes = 10'000'000;

std::string source_code() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(test::source_dir() / "src")) {
    if (entry.path().extension() == ".cpp" || entry.path().extension() == ".h") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const auto& file : files) text += test::read_text(file);
  return text;
}

std::string han() {
  std::string text;
  for (uint64_t i = 0; i < 500'000; ++i) {
    append_utf8(text, i % 17 == 16 ? 0x3002 : 0x4E00 + static_cast<char32_t>((i * i * 31 + i * 7) % 6000));
  }
  return text;
}

std::string repeated(const std::string& unit) {
  std::string text;
  while (text.size() < kAdversarialBytes) text += unit;
  return text;
}

std::string random_from(const std::string& alphabet) {
  std::mt19937_64 random(1);
  std::string text(kAdversarialBytes, ' ');
  for (char& c : text) c = alphabet.empty() ? static_cast<char>(random()) : alphabet[random() % alphabet.size()];
  return text;
}

const std::vector<std::pair<std::string, std::string>>& texts() {
  static const std::vector<std::pair<std::string, std::string>> all = {
      {"english", test::read_text(test::shared_data() / "corpus-grimm" / "grimm.txt")},
      {"code", source_code()},
      {"han", han()},
      {"one letter", repeated("a")},
      {"spaces", repeated(" ")},
      {"emoji", repeated("😀")},
      {"random letters", random_from("abcdefghijklmnopqrstuvwxyz")},
      {"random bytes", random_from("")},
      {"two letters", repeated("ab")},
      {"digits", repeated("7")},
      {"newlines", repeated("\n")},
      {"capitals", repeated("A")},
      {"marks", repeated("e\u0301")},
  };
  return all;
}

void register_encoding(const std::string& name, const Tokenizer& tokenizer) {
  for (const auto& [text_name, text] : texts()) {
    benchmark::RegisterBenchmark((name + "/" + text_name).c_str(), [&tokenizer, &text = text](benchmark::State& state) {
      for (auto _ : state) benchmark::DoNotOptimize(tokenizer.encode(text));
      const double bytes = static_cast<double>(text.size()) * static_cast<double>(state.iterations());
      state.counters["MB/s"] = benchmark::Counter(bytes * 1e-6, benchmark::Counter::kIsRate);
    })->Unit(benchmark::kMillisecond);
  }
}

void register_all() {
  static std::vector<std::unique_ptr<Tokenizer>> tokenizers;
  for (const char* pipeline : {"llama-3", "qwen-2", "gpt-2", "gpt-4o", "deepseek-v3", "deepseek-coder", "mistral",
                               "llama-2", "bert", "unigram"}) {
    static std::vector<std::string> documents;
    documents.push_back(test::tokenizer_document(pipeline));
    tokenizers.push_back(*tokenizer_from_json(documents.back()));
    register_encoding(pipeline, *tokenizers.back());
    benchmark::RegisterBenchmark((std::string(pipeline) + "/load").c_str(), [document = documents.back()](
                                                                                benchmark::State& state) {
      for (auto _ : state) benchmark::DoNotOptimize(tokenizer_from_json(document));
    })->Unit(benchmark::kMillisecond);
  }
  const auto file = GgufFile::open(test::shared_data() / "tokenizers" / "ggml-vocab-llama-spm.gguf");
  tokenizers.push_back(*tokenizer_from_gguf(*file));
  register_encoding("llama-spm.gguf", *tokenizers.back());
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (!std::filesystem::exists(strata::test::shared_data() / "tokenizers")) return 1;
  strata::register_all();
  benchmark::RunSpecifiedBenchmarks();
}
