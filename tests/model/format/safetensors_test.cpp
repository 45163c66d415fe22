#include "model/format/safetensors.h"

#include "model/format/safetensors_writer.h"
#include "test_files.h"

namespace strata {
namespace {

using test::Bytes;
using test::safetensors;
using test::TemporaryFolder;

void expect_refused(const std::string& bytes, std::string_view expected) {
  const TemporaryFolder folder;
  const auto file = SafetensorsFile::open(folder.write("hostile.safetensors", bytes));
  ASSERT_FALSE(file.ok()) << "accepted, expected: " << expected;
  const std::string& message = file.status().message();
  EXPECT_NE(message.find(expected), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_NE(message.find("hostile.safetensors"), std::string::npos) << message;
}

TEST(SafetensorsHostile, Header) {
  expect_refused("", "shorter than 8 bytes");
  expect_refused("1234567", "shorter than 8 bytes");
  expect_refused(Bytes().u64(UINT64_MAX).zeros(100).text(), "header claims");
  expect_refused(Bytes().u64(50'000'000).zeros(100).text(), "header claims");
  expect_refused(Bytes().u64(0).text(), "not JSON");
  expect_refused(safetensors("{\"a\":", 0), "not JSON");
  expect_refused(safetensors("[]", 0), "not a JSON object");
  expect_refused(safetensors(std::string(5000, '['), 0), "not JSON");  // depth
  expect_refused(safetensors(R"({"__metadata__":[]})", 0), "__metadata__ is not an object");
  expect_refused(safetensors(R"({"__metadata__":{"a":1}})", 0), "not a string");
}

TEST(SafetensorsHostile, Tensors) {
  expect_refused(safetensors(R"({"t":1})", 0), "'t': dtype");
  expect_refused(safetensors(R"({"t":{"dtype":1,"shape":[],"data_offsets":[0,4]}})", 4), "'t': dtype");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":4,"data_offsets":[0,4]}})", 4), "'t': shape");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4), "'t': shape");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", 4), "'t': shape");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4),
                 "more than 8 dimensions");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4),
                 "overflows");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,4]}})", 4),
                 "overflows");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4), "pair of offsets");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 8), "pair of offsets");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}})", 8), "pair of offsets");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", 8), "outside the file");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4), "outside the file");
  expect_refused(safetensors(R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 8), "need 8 bytes");
  expect_refused(safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                                 "b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                             8),
                 "'a' and 'b' overlap");
  expect_refused(safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                                 "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                             8),
                 "'a' occurs twice");
}

TEST(Safetensors, OtherTypesAreKept) {
  const TemporaryFolder folder;
  const auto file = SafetensorsFile::open(
      folder.write("f8.safetensors", safetensors(R"({"a":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]},
                                        "b":{"dtype":"NEW7","shape":[3],"data_offsets":[3,5]},
                                        "empty":{"dtype":"F32","shape":[0,4],"data_offsets":[5,5]},
                                        "scalar":{"dtype":"I8","shape":[],"data_offsets":[5,6]}})",
                                                 6)));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_FALSE(file->find("a")->type.has_value());
  EXPECT_EQ(file->find("a")->type_name, "F8_E4M3");
  EXPECT_FALSE(file->find("b")->type.has_value());
  EXPECT_TRUE(file->find("empty")->data.empty());
  EXPECT_EQ(file->find("scalar")->data.size(), 1u);
  EXPECT_EQ(file->find("absent"), nullptr);
}

TEST(Safetensors, UnalignedElementsAreUsable) {
  const TemporaryFolder folder;
  // A header of odd length puts the floats at an odd address.
  std::string header = R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  while (header.size() % 4 != 1) header += ' ';
  const Bytes bytes = Bytes().u64(header.size()).raw(header).put(1.5f).put(-2.5f);
  const auto file = SafetensorsFile::open(folder.write("odd.safetensors", bytes.text()));
  ASSERT_TRUE(file.ok()) << file.status().message();
  const auto* values = reinterpret_cast<const float*>(file->find("t")->data.data());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(values) % alignof(float), 0u);
  EXPECT_EQ(values[0], 1.5f);
  EXPECT_EQ(values[1], -2.5f);
  file->release(file->find("t")->data);
  EXPECT_EQ(values[0], 1.5f);
}

TEST(SafetensorsWriter, RoundTrip) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "out.safetensors";
  const std::vector<float> weights = {1, 2, 3, 4, 5, 6};
  {
    auto writer = SafetensorsWriter::create(path);
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    writer->set_metadata("made \"by\"", "a test");
    ASSERT_TRUE(writer->declare_tensor("w", DType::kF32, std::vector<int64_t>{2, 3}).ok());
    ASSERT_TRUE(writer->declare_tensor("half", DType::kBF16, std::vector<int64_t>{1}).ok());
    EXPECT_FALSE(writer->declare_tensor("w", DType::kF32, std::vector<int64_t>{1}).ok());
    EXPECT_FALSE(writer->declare_tensor("q", DType::kQ8_0, std::vector<int64_t>{32}).ok());
    EXPECT_FALSE(writer->declare_tensor("__metadata__", DType::kF32, std::vector<int64_t>{1}).ok());
    ASSERT_TRUE(writer->begin_data().ok());
    ASSERT_TRUE(writer->write(std::as_bytes(std::span(weights))).ok());
    const uint16_t one = 0x3f80;
    ASSERT_TRUE(writer->write(std::as_bytes(std::span(&one, 1))).ok());
    ASSERT_TRUE(writer->finish().ok());
  }
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->metadata().at("made \"by\""), "a test");
  EXPECT_EQ(file->metadata().at("format"), "pt");
  EXPECT_EQ(file->find("w")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(std::memcmp(file->find("w")->data.data(), weights.data(), 24), 0);
  EXPECT_EQ(file->find("half")->type, DType::kBF16);
}

}  // namespace
}  // namespace strata
