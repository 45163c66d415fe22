#include "model/format/gguf_tokenizer.h"

#include <algorithm>

#include "model/format/gguf.h"
#include "model/format/gguf_writer.h"
#include "test_files.h"

namespace strata {
namespace {

using test::TemporaryFolder;

// The tokenizer part of the GGUF file of this folder.
Result<GgufFile> export_tokenizer(const TemporaryFolder& folder) {
  if (!std::filesystem::exists(folder.path() / "config.json")) {
    folder.write("config.json", R"({"vocab_size": 8, "bos_token_id": 1, "eos_token_id": [2, 5]})");
  }
  folder.write("model.safetensors", test::safetensors("{}", 0));
  ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::open(folder.path()));
  ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(folder.path() / "out.gguf"));
  RETURN_IF_ERROR(write_gguf_tokenizer(checkpoint, writer));
  RETURN_IF_ERROR(writer.finish());
  return GgufFile::open(folder.path() / "out.gguf");
}

std::vector<std::string_view> strings(const GgufFile& file, const char* key) {
  const GgufValue* value = file.find(key);
  return value != nullptr ? value->as_strings().value_or(std::vector<std::string_view>{})
                          : std::vector<std::string_view>{};
}

void expect_refused(const std::string& tokenizer, std::string_view expected) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", tokenizer);
  const auto file = export_tokenizer(folder);
  ASSERT_FALSE(file.ok()) << "accepted, expected: " << expected;
  EXPECT_NE(file.status().message().find(expected), std::string::npos) << file.status().message();
}

TEST(GgufTokenizer, ByteLevel) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", R"x({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2},
      "merges": ["a b"]}, "added_tokens": [{"id": 5, "content": "<|end|>", "special": true},
      {"id": 4, "content": "<tool>", "special": false}],
      "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex":
      "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
      {"type": "ByteLevel"}]}})x");
  folder.write("tokenizer_config.json",
               R"({"eos_token": {"content": "<|end|>"}, "add_bos_token": false, "chat_template": "old"})");
  folder.write("chat_template.jinja", "{{ messages }}");
  const auto file = export_tokenizer(folder);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->get_string("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(file->get_string("tokenizer.ggml.pre"), "qwen2");
  EXPECT_EQ(strings(*file, "tokenizer.ggml.tokens"),
            (std::vector<std::string_view>{"a", "b", "ab", "[PAD3]", "<tool>", "<|end|>", "[PAD6]", "[PAD7]"}));
  EXPECT_EQ(file->find("tokenizer.ggml.token_type")->as_ints(), (std::vector<int64_t>{1, 1, 1, 5, 4, 3, 5, 5}));
  EXPECT_EQ(strings(*file, "tokenizer.ggml.merges"), std::vector<std::string_view>{"a b"});
  EXPECT_EQ(file->get_int("tokenizer.ggml.eos_token_id"), 5);
  EXPECT_EQ(file->get_int("tokenizer.ggml.bos_token_id"), 1);  // from config.json
  EXPECT_EQ(file->get_bool("tokenizer.ggml.add_bos_token"), false);
  EXPECT_EQ(file->get_string("tokenizer.chat_template"), "{{ messages }}");
}

TEST(GgufTokenizer, SentencePiece) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", R"({"model": {"type": "BPE", "byte_fallback": true, "unk_token": "<unk>", "vocab":
      {"<unk>": 0, "<s>": 1, "<0x0A>": 2, "a": 3, "b": 4, "ab": 5, "abb": 6, "ba": 7},
      "merges": [["a", "b"], ["ab", "b"], "b a"]}, "added_tokens": [{"id": 1, "content": "<s>", "special": true}]})");
  const auto file = export_tokenizer(folder);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->get_string("tokenizer.ggml.model"), "llama");
  EXPECT_EQ(file->find("tokenizer.ggml.token_type")->as_ints(), (std::vector<int64_t>{2, 3, 6, 1, 1, 1, 1, 1}));
  const auto scores = file->find("tokenizer.ggml.scores")->as_doubles().value();
  EXPECT_GT(scores[5], scores[6]);  // earlier merges score higher
  EXPECT_GT(scores[6], scores[7]);
  EXPECT_GT(scores[7], scores[3]);
  EXPECT_EQ(file->get_bool("tokenizer.ggml.add_space_prefix"), false);
}

TEST(GgufTokenizer, SpacePrefix) {
  for (const auto& [part, expected] :
       {std::pair{R"("normalizer": {"type": "Prepend", "prepend": "_"})", true},
        std::pair{R"("pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "first"})", true},
        std::pair{R"("pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "never"})", false},
        std::pair{R"("pre_tokenizer": {"type": "Metaspace", "add_prefix_space": false})", false}}) {
    const TemporaryFolder folder;
    folder.write("tokenizer.json", std::string(R"({"model": {"type": "BPE", "byte_fallback": true, "vocab": {"a": 0},
        "merges": []}, )") + part + "}");
    const auto file = export_tokenizer(folder);
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(file->get_bool("tokenizer.ggml.add_space_prefix"), expected) << part;
  }
}

TEST(GgufTokenizer, Unigram) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", R"({"model": {"type": "Unigram", "unk_id": 2, "vocab":
      [["<s>", 0], ["</s>", 0.0], ["<unk>", 0], ["a", -1.5], ["b", -2]]},
      "added_tokens": [{"id": 0, "content": "<s>", "special": true}, {"id": 1, "content": "</s>", "special": true},
      {"id": 2, "content": "<unk>", "special": true}],
      "normalizer": {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": "AQID"},
      {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
      "pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "always"},
      "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
      {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]}})");
  folder.write("tokenizer_config.json", R"({"bos_token": "<s>", "eos_token": "</s>", "mask_token": "b"})");
  const auto file = export_tokenizer(folder);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->get_string("tokenizer.ggml.model"), "t5");
  EXPECT_EQ(file->find("tokenizer.ggml.token_type")->as_ints(), (std::vector<int64_t>{3, 3, 2, 1, 1, 5, 5, 5}));
  EXPECT_EQ(file->find("tokenizer.ggml.scores")->as_doubles(), (std::vector<double>{0, 0, 0, -1.5, -2, 0, 0, 0}));
  EXPECT_EQ(file->find("tokenizer.ggml.precompiled_charsmap")->as_ints(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(file->get_bool("tokenizer.ggml.remove_extra_whitespaces"), true);
  EXPECT_EQ(file->get_bool("tokenizer.ggml.add_space_prefix"), true);
  EXPECT_EQ(file->get_bool("tokenizer.ggml.add_bos_token"), true);
  EXPECT_EQ(file->get_bool("tokenizer.ggml.add_eos_token"), true);
  EXPECT_EQ(file->get_int("tokenizer.ggml.mask_token_id"), 4);
}

TEST(GgufTokenizer, WordPiece) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", R"({"model": {"type": "WordPiece", "unk_token": "[UNK]", "vocab":
      {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "play": 3, "##ing": 4}},
      "added_tokens": [{"id": 1, "content": "[CLS]", "special": true}, {"id": 2, "content": "[SEP]", "special": true}],
      "normalizer": {"type": "BertNormalizer", "lowercase": true, "strip_accents": null},
      "post_processor": {"type": "BertProcessing"}})");
  folder.write("tokenizer_config.json", R"({"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]"})");
  folder.write("config.json", R"({"vocab_size": 5})");
  const auto file = export_tokenizer(folder);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->get_string("tokenizer.ggml.model"), "bert");
  EXPECT_EQ(strings(*file, "tokenizer.ggml.tokens"),
            (std::vector<std::string_view>{"[UNK]", "[CLS]", "[SEP]", "\xE2\x96\x81play", "ing"}));
  EXPECT_EQ(file->find("tokenizer.ggml.token_type")->as_ints(), (std::vector<int64_t>{2, 3, 3, 1, 1}));
  EXPECT_EQ(file->get_int("tokenizer.ggml.bos_token_id"), 1);
  EXPECT_EQ(file->get_int("tokenizer.ggml.seperator_token_id"), 2);
  EXPECT_EQ(file->get_bool("tokenizer.ggml.normalizer.lowercase"), true);
  EXPECT_EQ(file->get_bool("tokenizer.ggml.normalizer.strip_accents"), true);
  EXPECT_EQ(file->get_bool("tokenizer.ggml.add_sep_token"), true);
}

TEST(GgufTokenizer, NamesOfPatterns) {
  const std::pair<const char*, const char*> kCases[] = {
      {R"({"type": "ByteLevel"})", "gpt-2"},
      {R"({"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": true},
          {"type": "ByteLevel"}]})",
       "starcoder"},
      {R"({"type": "Split", "pattern": {"Regex": "[0-9][0-9][0-9]"}})", "falcon"},
      {R"({"type": "Split", "pattern": {"Regex": "something new"}})", "default"},
  };
  for (const auto& [part, expected] : kCases) {
    const TemporaryFolder folder;
    folder.write("tokenizer.json", std::string(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
        "pre_tokenizer": )") + part + "}");
    const auto file = export_tokenizer(folder);
    ASSERT_TRUE(file.ok()) << file.status().message();
    EXPECT_EQ(file->get_string("tokenizer.ggml.pre"), expected);
    EXPECT_TRUE(file->find("tokenizer.huggingface.json") != nullptr);
  }
}

TEST(GgufTokenizer, FolderWithoutOne) {
  const TemporaryFolder folder;
  const auto file = export_tokenizer(folder);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->get_string("tokenizer.ggml.model"), "no_vocab");
  EXPECT_EQ(file->get_int("tokenizer.ggml.eos_token_id"), 2);
  EXPECT_EQ(file->get_int("tokenizer.ggml.eot_token_id"), 5);
  folder.write("tokenizer.model", "x");
  EXPECT_NE(export_tokenizer(folder).status().message().find("tokenizer.model alone"), std::string::npos);
}

TEST(GgufTokenizer, HostileFiles) {
  expect_refused("[", "not valid JSON");
  expect_refused("[]", "model.type");
  expect_refused(R"({"model": {"type": "WordLevel"}})", "expected BPE, Unigram or WordPiece");
  expect_refused(R"({"model": {"type": "Unigram"}})", "model.vocab: expected an array");
  expect_refused(R"({"model": {"type": "Unigram", "vocab": [["a"]]}})", "pairs of a piece and its score");
  expect_refused(R"({"model": {"type": "Unigram", "vocab": []},
      "normalizer": {"type": "Precompiled", "precompiled_charsmap": "?"}})",
                 "no base64");
  expect_refused(R"({"model": {"type": "BPE", "vocab": []}})", "model.vocab: expected an object");
  expect_refused(R"({"model": {"type": "BPE", "vocab": {"a": -1}}})", "token 'a' has no usable id");
  expect_refused(R"({"model": {"type": "BPE", "vocab": {"a": 99999999999}}})", "token 'a' has no usable id");
  expect_refused(R"({"model": {"type": "BPE", "vocab": {"a": "0"}}})", "token 'a' has no usable id");
  expect_refused(R"({"model": {"type": "BPE", "vocab": {"a": 0}}})", "model.merges: expected an array");
  expect_refused(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [1]}})", "expected pairs");
  expect_refused(R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}, "added_tokens": [{}]})", "has no id");
}

}  // namespace
}  // namespace strata
