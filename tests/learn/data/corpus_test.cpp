#include "learn/data/corpus.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>

#include "learn/data/document_stream.h"
#include "learn/data/packed_batch.h"
#include "learn/data/tokenizer_training.h"
#include "model/text/load_tokenizer.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

class CorpusTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) / ("corpus_" + std::string(info->name()));
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }

  // All texts, block after block.
  std::vector<std::string> texts(const CorpusOptions& options) {
    const Result<Corpus> corpus = Corpus::open(options);
    EXPECT_TRUE(corpus.ok()) << corpus.status().message();
    std::vector<Record> records;
    for (size_t block = 0; block < corpus->n_blocks(); ++block) {
      const Status status = corpus->read_block(
          block, records, [&](const Corpus::Fault& fault) { faults_.push_back(corpus->describe(fault)); });
      EXPECT_TRUE(status.ok()) << status.message();
    }
    std::vector<std::string> texts;
    for (const Record& record : records) texts.push_back(record.text);
    return texts;
  }

  fs::path folder_;
  std::vector<std::string> faults_;
};

TEST_F(CorpusTest, EveryRecordIsInOneBlockWhateverItsSize) {
  std::string text = "\n\nfirst\n", lines;
  std::vector<std::string> documents{"first"}, jsons;
  for (int i = 0; i < 40; ++i) {
    documents.push_back("document " + std::to_string(i) + (i % 3 == 0 ? "\nwith a second line" : ""));
    text += std::string(static_cast<size_t>(1 + i % 3), '\n') + documents.back() + "\n";
    jsons.push_back("line " + std::to_string(i * i));
    lines += R"({"text": ")" + jsons.back() + "\"}\n" + (i % 5 == 0 ? "\n" : "");
  }
  text.pop_back();  // the last line has no end
  const fs::path txt = write("a.txt", text), json = write("b.jsonl", lines);
  for (const int64_t block : {1, 2, 3, 5, 8, 13, 31, 64, 1000}) {
    SCOPED_TRACE(block);
    EXPECT_EQ(texts({.paths = {txt}, .block_bytes = block}), documents);
    EXPECT_EQ(texts({.paths = {json}, .block_bytes = block}), jsons);
  }
  EXPECT_EQ(texts({.paths = {txt}}), documents);
}

TEST_F(CorpusTest, SeparatorsMayBeLinesOrNone) {
  const fs::path path = write("a.txt", "one\r\ntwo\r\n<|end|>\r\nthree\r\n<|end|>\r\n");
  for (int64_t block : {3, 7, 20, 1000}) {
    EXPECT_EQ(texts({.paths = {path}, .separator = "<|end|>", .block_bytes = block}),
              (std::vector<std::string>{"one\r\ntwo", "three"}));
  }
  const std::vector<std::string> pieces = texts({.paths = {path}, .separator = std::nullopt, .block_bytes = 8});
  std::string whole;
  for (const std::string& piece : pieces) whole += piece;
  EXPECT_EQ(whole, "one\r\ntwo\r\n<|end|>\r\nthree\r\n<|end|>\r\n");
  EXPECT_GT(pieces.size(), 1u);
}

TEST_F(CorpusTest, AByteOrderMarkIsNoText) {
  const fs::path txt = write("a.txt", "\xEF\xBB\xBFone\r\n\r\ntwo\r\n");
  const fs::path json = write("a.jsonl", "\xEF\xBB\xBF{\"text\": \"one\"}\r\n{\"text\": \"two\"}\r\n");
  for (int64_t block : {4, 9, 1000}) {
    EXPECT_EQ(texts({.paths = {txt}, .block_bytes = block}), (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(texts({.paths = {json}, .block_bytes = block}), (std::vector<std::string>{"one", "two"}));
  }
}

TEST_F(CorpusTest, FoldersAreReadByNameAndOtherFilesLeft) {
  fs::create_directories(folder_ / "z");
  write("z/b.txt", "second");
  write("a.jsonl", R"({"text":"first"})");
  write("c.bin", "no");
  EXPECT_EQ(texts({.paths = {folder_}}), (std::vector<std::string>{"first", "second"}));
}

TEST_F(CorpusTest, BadRecordsAreNamedByFileAndLine) {
  const fs::path json = write("a.jsonl",
                              "{\"text\": \"good\"}\n{\"text\": 5}\nnot json\n{\"text\": \"\xFF\"}\n"
                              "{\"text\": \"fine\"}\n" +
                                  std::string("{\"text\": \"") + std::string(200, 'x') + "\"}\n{\"text\": \"end\"}\n");
  CorpusOptions options{.paths = {json}, .max_record_bytes = 100, .skips_faults = true};
  for (int64_t block : {5, 1000}) {
    faults_.clear();
    options.block_bytes = block;
    EXPECT_EQ(texts(options), (std::vector<std::string>{"good", "fine", "end"}));
    ASSERT_EQ(faults_.size(), 4u);
    EXPECT_EQ(faults_[0], json.string() + ":2: no field \"text\" with a text, and no list of messages");
    EXPECT_NE(faults_[1].find(":3: not JSON"), std::string::npos) << faults_[1];
    EXPECT_NE(faults_[2].find(":4: not"), std::string::npos) << faults_[2];
    EXPECT_NE(faults_[3].find(":6: the record is too long"), std::string::npos) << faults_[3];
  }
  options.skips_faults = false;
  const Result<Corpus> corpus = Corpus::open(options);
  std::vector<Record> records;
  const Status status = corpus->read_block(0, records, [](const Corpus::Fault&) {});
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find("a.jsonl:2: "), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("bad_records: skip"), std::string::npos) << status.message();
}

TEST_F(CorpusTest, EmptyAndBinaryFilesAreErrors) {
  EXPECT_NE(Corpus::open({.paths = {write("empty.txt", "")}}).status().message().find("is empty"), std::string::npos);
  EXPECT_EQ(Corpus::open({.paths = {folder_ / "none"}}).status().code(), Code::kNotFound);
  EXPECT_FALSE(Corpus::open({}).ok());
  const Result<Corpus> corpus = Corpus::open({.paths = {write("b.txt", std::string("a\0b", 3))}});
  std::vector<Record> records;
  const Status status = corpus->read_block(0, records, [](const Corpus::Fault&) {});
  EXPECT_NE(status.message().find("b.txt:1: has a NUL byte"), std::string::npos) << status.message();
}

TEST_F(CorpusTest, ManyFaultsAreCountedAndFewKept) {
  std::string text;
  for (int i = 0; i < 3000; ++i) text += i % 3 == 0 ? "{\"text\": \"line of text\"}\n" : "no json\n";
  const Corpus corpus = *Corpus::open({.paths = {write("a.jsonl", text)}, .block_bytes = 1024, .skips_faults = true});
  ThreadPool pool(3);
  const TrainedTokenizer trained = *train_tokenizer(corpus, {.vocab = 258}, pool);
  const auto tokenizer = *tokenizer_from_json(trained.tokenizer_json, trained.tokenizer_config);
  DocumentStream stream = *DocumentStream::open(corpus, *tokenizer, pool, {.seed = 1});
  int n_documents = 0;
  for (; stream.current().ok() && stream.position().epoch == 0; ++n_documents) stream.next_document();
  EXPECT_EQ(n_documents, 1000);
  EXPECT_GE(stream.n_faults(), 2000);
}

// A stream over generated documents with a tokenizer trained on them.
class StreamTest : public CorpusTest {
 protected:
  void open(int n_documents, int64_t block_bytes) {
    std::string text;
    for (int i = 0; i < n_documents; ++i) text += "document number " + std::to_string(i) + " says hello\n\n";
    corpus_ = *Corpus::open({.paths = {write("a.txt", text)}, .block_bytes = block_bytes});
    const Result<TrainedTokenizer> trained = train_tokenizer(*corpus_, {.vocab = 270}, pool_);
    ASSERT_TRUE(trained.ok()) << trained.status().message();
    tokenizer_ = *tokenizer_from_json(trained->tokenizer_json, trained->tokenizer_config);
  }
  DocumentStream stream(const StreamOptions& options, const StreamPosition& position = {}) {
    return *DocumentStream::open(*corpus_, *tokenizer_, pool_, options, position);
  }
  // The numbers of the documents of one epoch, in the stream's order.
  std::vector<int> epoch(const StreamOptions& options, int64_t number = 0) {
    DocumentStream s = stream(options, {number, 0, 0, 0});
    std::vector<int> numbers;
    while (true) {
      const auto document = s.current();
      EXPECT_TRUE(document.ok()) << document.status().message();
      if (!document.ok() || s.position().epoch != number) return numbers;
      EXPECT_EQ(document->back(), *tokenizer_->eos());
      const std::string text = tokenizer_->decode({document->begin(), document->end()});
      numbers.push_back(std::stoi(text.substr(16)));
      s.next_document();
    }
  }

  ThreadPool pool_{2};
  std::optional<Corpus> corpus_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(StreamTest, EpochsAreDifferentOrdersOfAllDocuments) {
  open(300, 256);
  const StreamOptions options{.seed = 3, .group_blocks = 4};
  const std::vector<int> first = epoch(options), second = epoch(options, 1);
  EXPECT_NE(first, second);
  EXPECT_EQ(first, epoch(options));
  EXPECT_NE(first, epoch({.seed = 4, .group_blocks = 4}));
  std::vector<int> sorted = first, all(300);
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), 0);
  EXPECT_EQ(sorted, all);
  EXPECT_EQ(epoch({.shuffles = false}), all);
}

TEST_F(StreamTest, HeldOutDocumentsAreTheSameInEveryEpochAndNeverTrainedOn) {
  open(300, 512);
  StreamOptions options{.seed = 3, .held_out = 0.2};
  std::vector<int> train = epoch(options);
  options.gives_held_out = true;
  std::vector<int> held = epoch(options), again = epoch(options, 1);
  EXPECT_GT(held.size(), 30u);
  EXPECT_LT(held.size(), 90u);
  EXPECT_EQ(held.size() + train.size(), 300u);
  std::sort(held.begin(), held.end());
  std::sort(again.begin(), again.end());
  EXPECT_EQ(held, again);
  for (const int number : train) EXPECT_FALSE(std::binary_search(held.begin(), held.end(), number));
}

TEST_F(StreamTest, BatchesGoOnExactlyWhereAPositionSays) {
  open(50, 128);
  const StreamOptions options{.seed = 5, .group_blocks = 2};
  DocumentStream whole = stream(options);
  StreamPosition position;
  std::vector<int32_t> seen;
  for (int step = 0; step < 60; ++step) {  // several epochs
    DocumentStream resumed = stream(options, position);
    PackedBatch a, b;
    ASSERT_TRUE(a.fill(whole, 37, 16).ok());
    ASSERT_TRUE(b.fill(resumed, 37, 16).ok());
    ASSERT_EQ(a.n_targets(), 37);
    const Batch batch = a.batch(), other = b.batch();
    ASSERT_TRUE(std::equal(batch.ids.begin(), batch.ids.end(), other.ids.begin(), other.ids.end()));
    ASSERT_TRUE(std::equal(batch.targets.begin(), batch.targets.end(), other.targets.begin(), other.targets.end()));
    for (size_t s = 0; s + 1 < batch.query_begin.size(); ++s) {
      const auto begin = static_cast<size_t>(batch.query_begin[s]), end = static_cast<size_t>(batch.query_begin[s + 1]);
      ASSERT_LE(end - begin, 16u);
      ASSERT_EQ(batch.context_len[s], static_cast<int32_t>(end - begin));
      for (size_t i = begin; i < end; ++i) {
        ASSERT_EQ(batch.positions[i], static_cast<int32_t>(i - begin));
        if (i + 1 < end) {
          ASSERT_EQ(batch.targets[i], batch.ids[i + 1]);
        }
      }
    }
    position = whole.position();
    ASSERT_EQ(position, resumed.position());
    seen.insert(seen.end(), batch.ids.begin(), batch.ids.end());
  }
  EXPECT_GT(position.epoch, 1);
}

// With a token that begins every text: documents begin with it, and so does what is cut off one. Each token of a
// document is predicted once.
TEST_F(StreamTest, PiecesOfADocumentBeginAsTextsDo) {
  std::string text;
  for (int i = 0; i < 30; ++i) text += "sentence " + std::to_string(i) + " of one long document. ";
  corpus_ = *Corpus::open({.paths = {write("a.txt", text)}});
  const Result<TrainedTokenizer> trained = train_tokenizer(*corpus_, {.vocab = 270, .begin_token = "<s>"}, pool_);
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  tokenizer_ = *tokenizer_from_json(trained->tokenizer_json, trained->tokenizer_config);
  std::vector<TokenId> document = tokenizer_->encode(text.substr(0, text.size()));
  ASSERT_EQ(document.front(), 1);  // <s>
  document.push_back(*tokenizer_->eos());
  DocumentStream s = stream({.shuffles = false});
  std::vector<TokenId> predicted;
  while (s.position().epoch == 0 && predicted.size() + 1 < document.size()) {
    PackedBatch packed;
    ASSERT_TRUE(packed.fill(s, 40, 16, true).ok());
    const Batch batch = packed.batch();
    for (size_t i = 0; i + 1 < batch.query_begin.size(); ++i) {
      const auto begin = static_cast<size_t>(batch.query_begin[i]), end = static_cast<size_t>(batch.query_begin[i + 1]);
      ASSERT_EQ(batch.ids[begin], 1);
      ASSERT_LE(end - begin, 16u);
      for (size_t at = begin; at + 1 < end; ++at) ASSERT_EQ(batch.targets[at], batch.ids[at + 1]);
    }
    predicted.insert(predicted.end(), batch.targets.begin(), batch.targets.end());
  }
  EXPECT_EQ(predicted, std::vector<TokenId>(document.begin() + 1, document.end()));
}

TEST_F(StreamTest, ChatsAreWrittenByTheTemplate) {
  const fs::path chats = write(
      "a.jsonl",
      R"({"messages": [{"role": "user", "content": "Hello, hello <|end|>"}, {"role": "assistant", "content": "Hi"}]})"
      "\n"
      R"({"messages": [{"role": "stranger", "content": "?"}]})"
      "\n");
  corpus_ = *Corpus::open({.paths = {chats}, .skips_faults = true});
  const Result<TrainedTokenizer> trained =
      train_tokenizer(*corpus_, {.vocab = 261, .begin_token = "<s>", .special_tokens = {"<|user|>", "<|end|>"}}, pool_);
  ASSERT_TRUE(trained.ok()) << trained.status().message();
  tokenizer_ = *tokenizer_from_json(trained->tokenizer_json, trained->tokenizer_config);
  EXPECT_TRUE(tokenizer_->find("el")) << "of what is said, not of the keys of the file";
  const ChatTemplate form = *ChatTemplate::parse(
      "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'stranger' %}{{ raise_exception('who is it?') }}{% "
      "endif %}"
      "{% if m['role'] == 'user' %}<|user|>{% endif %}{{ m['content'] }}<|end|>{% endfor %}");
  DocumentStream s = stream({.shuffles = false, .chat_template = &form});
  const auto document = s.current();
  ASSERT_TRUE(document.ok()) << document.status().message();
  const std::vector<TokenId> ids(document->begin(), document->end());
  EXPECT_EQ(tokenizer_->decode(ids, true), "<s><|user|>Hello, hello <|end|><|end|>Hi<|end|><|endoftext|>");
  EXPECT_EQ(ids[0], *tokenizer_->bos());
  EXPECT_EQ(ids[1], *tokenizer_->find("<|user|>"));
  EXPECT_EQ(s.n_faults(), 1);
  DocumentStream without = stream({.shuffles = false});
  const auto none = without.current();
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(without.n_faults(), 2);
}

TEST_F(StreamTest, AnEpochWithoutDocumentsIsAnError) {
  open(10, 4096);
  corpus_ = *Corpus::open({.paths = {write("b.jsonl", "x\ny\n")}, .skips_faults = true});
  DocumentStream s = stream({});
  const auto document = s.current();
  ASSERT_FALSE(document.ok());
  EXPECT_NE(document.status().message().find("no usable document (2 bad records"), std::string::npos)
      << document.status().message();
}

}  // namespace
}  // namespace strata
