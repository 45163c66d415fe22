#include "model/format/gguf.h"

#include <numeric>

#include "model/format/gguf_writer.h"
#include "test_files.h"

namespace strata {
namespace {

using test::Bytes;
using test::TemporaryFolder;

// The file is refused with one line that holds `expected`.
void expect_refused(const Bytes& bytes, std::string_view expected) {
  const TemporaryFolder folder;
  const auto file = GgufFile::open(folder.write("hostile.gguf", bytes.text()));
  ASSERT_FALSE(file.ok()) << "accepted, expected: " << expected;
  const std::string& message = file.status().message();
  EXPECT_NE(message.find(expected), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_NE(message.find("hostile.gguf"), std::string::npos) << message;
}

Bytes one_key(uint32_t type) { return std::move(Bytes().gguf(0, 1).string("key").u32(type)); }

TEST(GgufHostile, Header) {
  expect_refused(Bytes(), "not a GGUF file");
  expect_refused(Bytes().raw("GG"), "not a GGUF file");
  expect_refused(Bytes().raw("GGML").u32(3).u64(0).u64(0), "not a GGUF file");
  expect_refused(Bytes().raw("GGUF"), "inside the header");
  expect_refused(Bytes().gguf(0, 0, 1), "version 1 is not read");
  expect_refused(Bytes().gguf(0, 0, 4), "version 4 is not read");
  expect_refused(Bytes().gguf(0, 0, 0x03000000), "big-endian");
  expect_refused(Bytes().raw("GGUF").u32(3).u64(0), "inside the header");
}

TEST(GgufHostile, CountsThatTheFileCannotHold) {
  expect_refused(Bytes().gguf(0, UINT64_MAX), "metadata keys, more than");
  expect_refused(Bytes().gguf(UINT64_MAX, 0), "tensors, more than");
  expect_refused(Bytes().gguf(1ull << 40, 1ull << 40).zeros(4096), "more than its size can hold");
  expect_refused(one_key(9).u32(8).u64(UINT64_MAX).zeros(64), "metadata 'key'");
  expect_refused(one_key(9).u32(10).u64(UINT64_MAX / 8 + 2).zeros(64), "metadata 'key'");  // count * 8 overflows
  expect_refused(one_key(8).u64(UINT64_MAX).zeros(64), "metadata 'key'");
  expect_refused(Bytes().gguf(0, 1).u64(UINT64_MAX).zeros(64), "metadata key 0");
}

TEST(GgufHostile, Metadata) {
  expect_refused(Bytes().gguf(0, 1).string("").u32(4).u32(1), "has 0 bytes");
  expect_refused(Bytes().gguf(0, 1).string(std::string(70000, 'k')).u32(4).u32(1), "has 70000 bytes");
  expect_refused(one_key(13).zeros(64), "unknown type 13");
  expect_refused(one_key(9).u32(77).u64(1).zeros(64), "array of the unknown type 77");
  expect_refused(one_key(9).u32(9).u64(1).zeros(64), "array of arrays");
  expect_refused(one_key(4).zeros(2).zeros(0), "inside metadata 'key'");
  expect_refused(Bytes().gguf(0, 2).string("twice").u32(4).u32(1).string("twice").u32(4).u32(2),
                 "'twice' occurs twice");
  expect_refused(Bytes().gguf(0, 1).string("bad\nkey\xff").u32(13).zeros(9), "'bad\\x0akey\\xff'");
}

TEST(GgufHostile, Alignment) {
  for (const uint32_t alignment : {0u, 1u, 4u, 24u, 48u, 1u << 21, 0xffffffffu}) {
    expect_refused(Bytes().gguf(0, 1).string("general.alignment").u32(4).u32(alignment), "power of two");
  }
  expect_refused(Bytes().gguf(0, 1).string("general.alignment").u32(8).string("32"), "power of two");
}

TEST(GgufHostile, Tensors) {
  const auto with_data = [](Bytes bytes) { return bytes.align(32).zeros(256); };
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("", {4}, 0, 0)), "has 0 bytes");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor(std::string(65, 'n'), {4}, 0, 0)), "has 65 bytes");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {1, 1, 1, 1, 1}, 0, 0)), "5 dimensions");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {4, 0}, 0, 0)), "not positive");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {1ull << 63}, 0, 0)), "not positive");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {1ull << 32, 1ull << 32}, 0, 0)), "overflow");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {1ull << 62}, 0, 0)), "overflow");  // bytes, not elements
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {33}, 8, 0)), "no multiple of the 32 elements of a Q8_0");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {128}, 12, 0)), "no multiple of the 256 elements of a Q4_K");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {4}, 0, 4)), "no multiple of the alignment");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {65}, 0, 0)), "outside the file");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {4}, 0, 1 << 20)), "outside the file");
  expect_refused(with_data(Bytes().gguf(1, 0).tensor("t", {4}, 0, UINT64_MAX - 31)), "outside the file");
  expect_refused(Bytes().gguf(1, 0).tensor("t", {4}, 0, 0), "outside the file");
  expect_refused(with_data(Bytes().gguf(2, 0).tensor("a", {16}, 0, 0).tensor("b", {4}, 0, 32)), "'a' and 'b' overlap");
  expect_refused(with_data(Bytes().gguf(2, 0).tensor("a", {4}, 0, 0).tensor("a", {4}, 0, 32)), "'a' occurs twice");
}

// Every prefix of a good file is refused, or opens with fewer bytes than needed nowhere.
TEST(GgufHostile, EveryTruncation) {
  const Bytes whole = Bytes()
                          .gguf(1, 2)
                          .string("general.architecture")
                          .u32(8)
                          .string("llama")
                          .string("list")
                          .u32(9)
                          .u32(8)
                          .u64(2)
                          .string("a")
                          .string("bc")
                          .tensor("t", {4}, 0, 0)
                          .align(32)
                          .zeros(16);
  const TemporaryFolder folder;
  ASSERT_TRUE(GgufFile::open(folder.write("whole.gguf", whole.text())).ok());
  for (size_t length = 0; length < whole.text().size(); ++length) {
    const auto file = GgufFile::open(folder.write("part.gguf", std::string_view(whole.text()).substr(0, length)));
    EXPECT_FALSE(file.ok()) << "opened with " << length << " bytes";
  }
}

TEST(Gguf, MissingFileAndFolder) {
  EXPECT_EQ(GgufFile::open("/nonexistent/model.gguf").status().code(), Code::kNotFound);
  const TemporaryFolder folder;
  EXPECT_FALSE(GgufFile::open(folder.path()).ok());
}

TEST(Gguf, UnknownElementTypeIsKeptWithoutBytes) {
  const TemporaryFolder folder;
  const Bytes bytes = Bytes().gguf(1, 0).tensor("t", {256}, 16, 0).align(32).zeros(66);
  const auto file = GgufFile::open(folder.write("iq2.gguf", bytes.text()));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_FALSE(file->tensors()[0].type.has_value());
  EXPECT_EQ(file->tensors()[0].file_type, 16u);
  EXPECT_TRUE(file->tensors()[0].data.empty());
}

TEST(Gguf, Version2AndOtherAlignment) {
  const TemporaryFolder folder;
  const Bytes bytes = Bytes()
                          .gguf(1, 1, 2)
                          .string("general.alignment")
                          .u32(4)
                          .u32(128)
                          .tensor("t", {2, 3}, 26, 0)
                          .align(128)
                          .u32(7)
                          .zeros(20);
  const auto file = GgufFile::open(folder.write("v2.gguf", bytes.text()));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->version(), 2u);
  EXPECT_EQ(file->alignment(), 128u);
  const GgufTensor* tensor = file->find_tensor("t");
  ASSERT_NE(tensor, nullptr);
  EXPECT_EQ(tensor->shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(static_cast<int>(tensor->data[0]), 7);
}

TEST(Gguf, ValuesOfEveryType) {
  const TemporaryFolder folder;
  Bytes bytes;
  bytes.gguf(0, 13);
  bytes.string("u8").u32(0).put<uint8_t>(200).string("i8").u32(1).put<int8_t>(-5);
  bytes.string("u16").u32(2).put<uint16_t>(60000).string("i16").u32(3).put<int16_t>(-300);
  bytes.string("u32").u32(4).u32(4000000000u).string("i32").u32(5).put<int32_t>(-7);
  bytes.string("f32").u32(6).put(0.5f).string("bool").u32(7).put<uint8_t>(1);
  bytes.string("u64").u32(10).u64(UINT64_MAX).string("i64").u32(11).put<int64_t>(-9000000000ll);
  bytes.string("f64").u32(12).put(0.25).string("text").u32(8).string("caf\xc3\xa9");
  bytes.string("floats").u32(9).u32(6).u64(2).put(1.5f).put(-2.0f);
  const auto file = GgufFile::open(folder.write("values.gguf", bytes.text()));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->get_int("u8"), 200);
  EXPECT_EQ(file->get_int("i8"), -5);
  EXPECT_EQ(file->get_int("u16"), 60000);
  EXPECT_EQ(file->get_int("i16"), -300);
  EXPECT_EQ(file->get_int("u32"), 4000000000ll);
  EXPECT_EQ(file->get_int("i32"), -7);
  EXPECT_EQ(file->get_int("i64"), -9000000000ll);
  EXPECT_EQ(file->get_int("u64"), std::nullopt);  // does not fit
  EXPECT_EQ(file->get_int("f32"), std::nullopt);
  EXPECT_EQ(file->get_double("f32"), 0.5);
  EXPECT_EQ(file->get_double("f64"), 0.25);
  EXPECT_EQ(file->get_double("i32"), -7.0);
  EXPECT_EQ(file->get_bool("bool"), true);
  EXPECT_EQ(file->get_bool("u8"), std::nullopt);
  EXPECT_EQ(file->get_string("text"), "caf\xc3\xa9");
  EXPECT_EQ(file->get_int("absent"), std::nullopt);
  EXPECT_EQ(file->find("floats")->as_doubles(), (std::vector<double>{1.5, -2.0}));
  EXPECT_EQ(file->find("floats")->as_ints(), std::nullopt);
  EXPECT_EQ(file->find("floats")->as_strings(), std::nullopt);
  EXPECT_EQ(file->find("text")->as_doubles(), std::nullopt);
}

TEST(GgufWriter, RoundTrip) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.gguf";
  const std::vector<std::string> tokens = {"a", "", "\xe2\x96\x81the"};
  const std::vector<int32_t> types = {1, -2, 3};
  const std::vector<float> scores = {0.f, -1.5f, 2.f};
  std::vector<float> weights(3 * 5);
  std::iota(weights.begin(), weights.end(), 1.f);
  const std::vector<std::byte> blocks(2 * 2 * 34, std::byte{0x5a});
  {
    auto writer = GgufWriter::create(path);
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    writer->add_string("general.architecture", "llama");
    writer->add_uint("llama.block_count", 7);
    writer->add_int("signed", -1);
    writer->add_float("eps", 1e-5f);
    writer->add_bool("flag", true);
    writer->add_strings("tokens", tokens);
    writer->add_ints("types", types);
    writer->add_floats("scores", scores);
    ASSERT_TRUE(writer->declare_tensor("odd", DType::kF32, std::vector<int64_t>{3, 5}).ok());
    ASSERT_TRUE(writer->declare_tensor("blocks", DType::kQ8_0, std::vector<int64_t>{2, 1, 64}).ok());
    ASSERT_TRUE(writer->begin_data().ok());
    const auto bytes = std::as_bytes(std::span(weights));
    ASSERT_TRUE(writer->write(bytes.first(20)).ok());
    ASSERT_TRUE(writer->write(bytes.subspan(20)).ok());
    ASSERT_TRUE(writer->write(blocks).ok());
    EXPECT_FALSE(std::filesystem::exists(path));  // only a finished file has the name
    ASSERT_TRUE(writer->finish().ok());
  }
  const auto file = GgufFile::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->version(), 3u);
  EXPECT_EQ(file->get_string("general.architecture"), "llama");
  EXPECT_EQ(file->get_int("llama.block_count"), 7);
  EXPECT_EQ(file->get_int("signed"), -1);
  EXPECT_EQ(file->get_double("eps"), static_cast<double>(1e-5f));
  EXPECT_EQ(file->get_bool("flag"), true);
  const auto read_tokens = file->find("tokens")->as_strings();
  ASSERT_TRUE(read_tokens.has_value());
  EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), read_tokens->begin(), read_tokens->end()));
  EXPECT_EQ(file->find("types")->as_ints(), (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(file->find("scores")->as_doubles(), (std::vector<double>{0, -1.5, 2}));
  const GgufTensor* odd = file->find_tensor("odd");
  ASSERT_NE(odd, nullptr);
  EXPECT_EQ(odd->shape, (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(std::memcmp(odd->data.data(), weights.data(), odd->data.size()), 0);
  const GgufTensor* quantized = file->find_tensor("blocks");
  ASSERT_NE(quantized, nullptr);
  EXPECT_EQ(quantized->type, DType::kQ8_0);
  EXPECT_EQ(quantized->shape, (std::vector<int64_t>{2, 1, 64}));
  EXPECT_TRUE(std::equal(blocks.begin(), blocks.end(), quantized->data.begin(), quantized->data.end()));
}

TEST(GgufWriter, CopiesMetadataAndLeavesNothingBehind) {
  const TemporaryFolder folder;
  const Bytes source =
      Bytes().gguf(0, 2).string("text").u32(8).string("x\ny").string("n").u32(9).u32(3).u64(1).put<int16_t>(-2);
  const auto original = GgufFile::open(folder.write("in.gguf", source.text()));
  ASSERT_TRUE(original.ok());
  const auto path = folder.path() / "out.gguf";
  {
    auto writer = GgufWriter::create(path);
    ASSERT_TRUE(writer.ok());
    for (const auto& [key, value] : original->metadata()) writer->add(key, value);
    ASSERT_TRUE(writer->finish().ok());
  }
  const auto copy = GgufFile::open(path);
  ASSERT_TRUE(copy.ok()) << copy.status().message();
  EXPECT_EQ(copy->get_string("text"), "x\ny");
  EXPECT_EQ(copy->find("n")->as_ints(), std::vector<int64_t>{-2});
  {
    auto abandoned = GgufWriter::create(folder.path() / "never.gguf");
    ASSERT_TRUE(abandoned.ok());
    abandoned->add_bool("flag", true);
  }
  int n_files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++n_files;
  EXPECT_EQ(n_files, 2);  // in.gguf and out.gguf
}

TEST(GgufWriter, RefusesWhatTheFormatCannotHold) {
  const TemporaryFolder folder;
  auto writer = GgufWriter::create(folder.path() / "out.gguf");
  ASSERT_TRUE(writer.ok());
  const std::vector<int64_t> shape = {2, 33};
  EXPECT_FALSE(writer->declare_tensor("t", DType::kQ8_0, shape).ok());
  EXPECT_FALSE(writer->declare_tensor(std::string(64, 'n'), DType::kF32, shape).ok());
  EXPECT_FALSE(writer->declare_tensor("t", DType::kF32, std::vector<int64_t>{1, 1, 1, 1, 1}).ok());
  EXPECT_FALSE(writer->declare_tensor("t", DType::kF32, std::vector<int64_t>{0}).ok());
  EXPECT_FALSE(writer->declare_tensor("t", DType::kActQ8, shape).ok());
  EXPECT_TRUE(writer->declare_tensor("t", DType::kF32, shape).ok());
  EXPECT_FALSE(writer->declare_tensor("t", DType::kF32, shape).ok());
  EXPECT_EQ(GgufWriter::create("/nonexistent/out.gguf").status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace strata
