// Our writers give byte for byte what the Python packages gguf and safetensors write (tests/data/format).
#include <cstring>

#include "model/format/gguf.h"
#include "model/format/gguf_writer.h"
#include "model/format/safetensors.h"
#include "model/format/safetensors_writer.h"
#include "test_data.h"
#include "test_files.h"

namespace strata {
namespace {

struct Tensor {
  std::string name;
  DType type;
  std::vector<int64_t> shape;
  std::string bytes;
};

std::vector<Tensor> tensors() {
  test::Bytes weights;
  for (int i = 1; i < 16; ++i) weights.put(static_cast<float>(i));
  test::Bytes halves;
  for (const uint16_t half : {0x3c00, 0xc000, 0x3800, 0x7bff}) halves.put(half);
  test::Bytes numbers;
  for (const int32_t number : {-1, 2, 3}) numbers.put(number);
  return {{"weights", DType::kF32, {3, 5}, weights.text()},
          {"halves", DType::kF16, {2, 2}, halves.text()},
          {"numbers", DType::kI32, {3}, numbers.text()}};
}

template <class Writer>
void write_tensors(Writer& writer, const std::vector<Tensor>& list) {
  for (const Tensor& tensor : list) ASSERT_TRUE(writer.declare_tensor(tensor.name, tensor.type, tensor.shape).ok());
  ASSERT_TRUE(writer.begin_data().ok());
  for (const Tensor& tensor : list) ASSERT_TRUE(writer.write(std::as_bytes(std::span(tensor.bytes))).ok());
  ASSERT_TRUE(writer.finish().ok());
}

TEST(WriterGolden, Gguf) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "out.gguf";
  auto writer = GgufWriter::create(path);
  ASSERT_TRUE(writer.ok());
  writer->add_string("general.architecture", "llama");
  writer->add_uint("llama.block_count", 7);
  writer->add_int("signed", -1);
  writer->add_float("eps", 1e-5f);
  writer->add_bool("flag", true);
  writer->add_strings("tokens", std::vector<std::string>{"a", "\u2581the", "\u00e9"});
  writer->add_ints("types", std::vector<int32_t>{1, -2, 3});
  writer->add_floats("scores", std::vector<float>{0.0f, -1.5f, 2.0f});
  auto list = tensors();
  list[0].name = "odd";
  list[1].name = "blk.0.attn_q.weight";
  write_tensors(*writer, list);
  EXPECT_EQ(test::read_text(path), test::read_text(test::source_dir() / "tests/data/format/golden.gguf"));
}

TEST(WriterGolden, Safetensors) {
  const test::TemporaryFolder folder;
  const auto path = folder.path() / "out.safetensors";
  auto writer = SafetensorsWriter::create(path);
  ASSERT_TRUE(writer.ok());
  auto list = tensors();
  std::swap(list[1], list[2]);  // the package writes wider types first
  write_tensors(*writer, list);
  EXPECT_EQ(test::read_text(path), test::read_text(test::source_dir() / "tests/data/format/golden.safetensors"));
}

TEST(ReaderGolden, BothFiles) {
  const auto gguf = GgufFile::open(test::source_dir() / "tests/data/format/golden.gguf");
  ASSERT_TRUE(gguf.ok()) << gguf.status().message();
  const auto file = SafetensorsFile::open(test::source_dir() / "tests/data/format/golden.safetensors");
  ASSERT_TRUE(file.ok()) << file.status().message();
  for (const Tensor& tensor : tensors()) {
    const SafetensorsTensor* found = file->find(tensor.name);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->shape, tensor.shape);
    EXPECT_EQ(found->type, tensor.type);
    EXPECT_EQ(std::memcmp(found->data.data(), tensor.bytes.data(), tensor.bytes.size()), 0);
  }
  EXPECT_EQ(gguf->find_tensor("odd")->shape, (std::vector<int64_t>{3, 5}));
  EXPECT_EQ(gguf->find("tokens")->as_strings()->at(1), "\u2581the");
}

}  // namespace
}  // namespace strata
