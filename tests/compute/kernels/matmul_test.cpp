// Every weight type in every table against the reference, over shapes that meet each border of groups, panels, register
// tiles and tiles of work.
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <numeric>

#include "compute/tensor/half.h"
#include "compute/tensor/quant_blocks.h"
#include "kernel_test.h"

namespace strata {
namespace {

using namespace test;

constexpr DType kWeightTypes[] = {DType::kF32,   DType::kF16,  DType::kBF16, DType::kQ8_0,   DType::kQ4_0,
                                  DType::kQ4_1,  DType::kQ5_0, DType::kQ5_1, DType::kQ2_K,   DType::kQ3_K,
                                  DType::kQ4_K,  DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS,
                                  DType::kMXFP4, DType::kInt4, DType::kInt8, DType::kFP8};

// Exactly as many bytes as asked for, aligned as packed weights are: reading beyond them is seen by the sanitizer.
class Buffer {
 public:
  explicit Buffer(size_t size) : bytes_(static_cast<uint8_t*>(::operator new(size, std::align_val_t{64}))) {
    std::memset(bytes_.get(), 0xab, size);
  }
  void* data() { return bytes_.get(); }
  const void* data() const { return bytes_.get(); }

 private:
  struct Delete {
    void operator()(uint8_t* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  std::unique_ptr<uint8_t[], Delete> bytes_;
};

// INT4, INT8 and FP8 are made from other files' numbers, never from floats: here any codes, with zeros and scales that
// differ from block to block.
void encode(DType type, const float* w, uint8_t* out, int64_t k) {
  if (type != DType::kInt4 && type != DType::kInt8 && type != DType::kFP8) return quantize_row(type, w, out, k);
  const auto bytes = static_cast<size_t>(traits(type).block_bytes);
  for (int64_t b = 0; b < k / 32; ++b, out += bytes, w += 32) {
    const float scale = type == DType::kFP8 ? 0.01f * std::abs(w[0]) : std::abs(w[0]) / 8 + 1e-3f;
    std::memcpy(out, &scale, sizeof(scale));
    for (size_t i = sizeof(scale); i < bytes; ++i) {
      uint32_t bits;
      std::memcpy(&bits, &w[i % 32], sizeof(bits));
      out[i] = static_cast<uint8_t>(bits * 2654435761u >> 24);
      if (type == DType::kFP8 && (out[i] & 0x7f) == 0x7f) out[i] = 0x7e;
    }
    if (type == DType::kInt4) out[4] = static_cast<uint8_t>(out[4] % 18 - 1);
  }
}

// Weights [n, k] of one type as a file holds them, rows at odd addresses.
class Weights {
 public:
  Weights(DType type, int64_t n, int64_t k, uint32_t seed) : type_(type), n_(n), k_(k) {
    const std::vector<float> w = random_floats(seed, static_cast<size_t>(n * k), 0.5f);
    const size_t bytes = row_bytes(type, k);
    file_.resize(1 + static_cast<size_t>(n) * bytes);
    for (int64_t j = 0; j < n; ++j) {
      uint8_t* row = file_.data() + 1 + static_cast<size_t>(j) * bytes;
      std::vector<uint8_t> aligned(bytes);
      encode(type, w.data() + j * k, aligned.data(), k);
      std::memcpy(row, aligned.data(), bytes);
      rows_.push_back(row);
    }
  }
  // In two pieces, as two threads would.
  Buffer pack(const MatmulFamily& family) const {
    Buffer packed(family.packed_bytes(n_, k_));
    const int64_t middle = n_ > kPackRows ? kPackRows : n_;
    if (middle < n_) family.pack(packed.data(), rows_.data(), n_, k_, middle, n_);
    family.pack(packed.data(), rows_.data(), n_, k_, 0, middle);
    return packed;
  }
  std::vector<float> dequantized() const {
    std::vector<float> w(static_cast<size_t>(n_ * k_));
    for (int64_t j = 0; j < n_; ++j) dequantize_row(type_, rows_[static_cast<size_t>(j)], w.data() + j * k_, k_);
    return w;
  }

 private:
  DType type_;
  int64_t n_, k_;
  std::vector<uint8_t> file_;
  std::vector<const void*> rows_;
};

// x in the form that the family multiplies.
Buffer activations(const CpuKernels& kernels, const MatmulFamily& family, const std::vector<float>& x, int64_t k) {
  const int64_t rows = static_cast<int64_t>(x.size()) / k;
  Buffer out(static_cast<size_t>(rows) * row_bytes(family.activation, k));
  if (family.activation == DType::kF32) {
    std::memcpy(out.data(), x.data(), x.size() * sizeof(float));
  } else {
    kernels.to_activation(family.activation, out.data(), x.data(), rows, k);
  }
  return out;
}

void run_all(const MatmulFamily& family, const MatmulArgs& args) { family.run(args, 0, family.tiles(args)); }

// A matmul of one table, ready to be run for some rows.
struct Product {
  Product(const CpuKernels& kernels, DType type, int64_t n_, int64_t k_, int64_t rows, uint32_t seed)
      : n(n_),
        k(k_),
        weights(type, n_, k_, seed),
        family(*matmul_family(kernels, type, k_)),
        x(activation_source(rows, k_, seed)),
        activation(activations(kernels, family, x, k_)),
        packed(weights.pack(family)) {}

  // Rows differ in size by up to a thousand, and one is zero.
  static std::vector<float> activation_source(int64_t rows, int64_t k, uint32_t seed) {
    std::vector<float> x = random_floats(seed + 1, static_cast<size_t>(rows * k));
    for (int64_t i = 0; i < rows; ++i) {
      const float size = i == 5 ? 0.0f : std::pow(10.0f, static_cast<float>(i % 4) - 1.0f);
      for (int64_t c = 0; c < k; ++c) x[static_cast<size_t>(i * k + c)] *= size;
    }
    return x;
  }
  MatmulArgs args(std::vector<float>& y, int64_t rows) const {
    y.assign(static_cast<size_t>(rows * n), NAN);
    return {activation.data(), y.data(), n, packed.data(), rows, n, k, nullptr, nullptr};
  }
  std::vector<float> run(int64_t rows) const {
    std::vector<float> y;
    run_all(family, args(y, rows));
    return y;
  }

  int64_t n, k;
  Weights weights;
  const MatmulFamily& family;
  std::vector<float> x;
  Buffer activation, packed;
};

struct Shape {
  int64_t rows, n, k;
};
// Around the borders: 16 rows of a group, 32 of a panel, 64 of packing; 6 and 12 rows of register tiles; 256 numbers of
// an activation scale; K steps of 128.
constexpr Shape kShapes[] = {{1, 1, 32},     {2, 15, 64},    {3, 16, 96},   {4, 17, 256},  {5, 31, 512},
                             {6, 33, 288},   {7, 64, 256},   {8, 65, 320},  {11, 80, 512}, {12, 96, 256},
                             {13, 48, 768},  {14, 100, 256}, {19, 130, 96}, {25, 40, 512}, {70, 70, 256},
                             {1, 200, 2048}, {33, 24, 2048}, {140, 20, 256}};

bool fits(DType type, int64_t k) { return k % traits(type).block_elements == 0; }

std::string describe(DType type, const Shape& s) {
  return std::string(name(type)) + " rows " + std::to_string(s.rows) + " n " + std::to_string(s.n) + " k " +
         std::to_string(s.k);
}

class MatmulTest : public KernelTest {};
STRATA_TEST_EVERY_TABLE(MatmulTest);

// Equal arithmetic ids promise equal bits. The others round products, or pairs, in another way: sums of k numbers of
// the size of the row's largest product then differ by a few units in the last place.
TEST_P(MatmulTest, IsTheReference) {
  for (DType type : kWeightTypes) {
    for (const Shape& s : kShapes) {
      if (!fits(type, s.k)) continue;
      SCOPED_TRACE(describe(type, s));
      const Product fast(kernels(), type, s.n, s.k, s.rows, 7), slow(kReferenceKernels, type, s.n, s.k, s.rows, 7);
      const std::vector<float> actual = fast.run(s.rows), expected = slow.run(s.rows);
      if (fast.family.arithmetic == slow.family.arithmetic) {
        expect_same_bits(actual, expected);
        continue;
      }
      for (int64_t i = 0; i < s.rows; ++i) {  // rows differ in size
        const auto row = [&](const std::vector<float>& y) {
          return std::vector<float>(y.begin() + i * s.n, y.begin() + (i + 1) * s.n);
        };
        expect_close(row(actual), row(expected), 1e-5f);
      }
    }
  }
}

TEST_P(MatmulTest, ARowDoesNotDependOnItsCompany) {
  constexpr int64_t kRows = 70;
  for (DType type : kWeightTypes) {
    for (int64_t k : {96, 256, 768}) {
      if (!fits(type, k)) continue;
      const Product product(kernels(), type, 90, k, kRows, 11);
      const std::vector<float> together = product.run(kRows);
      for (int64_t rows = 1; rows < kRows; rows += rows < 14 ? 1 : 9) {
        SCOPED_TRACE(describe(type, {rows, 90, k}));
        expect_same_bits(product.run(rows), {together.begin(), together.begin() + rows * product.n});
      }
    }
  }
}

TEST_P(MatmulTest, TilesComeInAnyOrder) {
  for (DType type : kWeightTypes) {
    const Product product(kernels(), type, 330, 512, 200, 13);
    const std::vector<float> together = product.run(200);
    std::vector<float> y;
    const MatmulArgs args = product.args(y, 200);
    const int64_t tiles = product.family.tiles(args);
    EXPECT_GT(tiles, 1) << name(type);
    for (int64_t tile = tiles - 1; tile >= 0; --tile) product.family.run(args, tile, tile + 1);
    SCOPED_TRACE(name(type));
    expect_same_bits(y, together);
  }
}

TEST_P(MatmulTest, NoRowsAreNoWork) {
  const Product product(kernels(), DType::kQ8_0, 32, 256, 1, 3);
  std::vector<float> y;
  MatmulArgs args = product.args(y, 1);
  args.rows = 0;
  EXPECT_EQ(product.family.tiles(args), 0);
}

TEST_P(MatmulTest, GathersAndScattersRows) {
  constexpr int64_t kN = 50, kRows = 20, kStride = 64;
  for (DType type : kWeightTypes) {
    const Product product(kernels(), type, kN, 512, kRows, 17);
    const std::vector<float> together = product.run(kRows);
    for (size_t used : {1u, 5u, 17u}) {
      std::vector<int32_t> from(used), to(used);
      for (size_t i = 0; i < used; ++i) {
        from[i] = static_cast<int32_t>((i * 7 + 3) % kRows);
        to[i] = static_cast<int32_t>((i * 11 + 2) % kRows);
      }
      std::vector<float> y(kRows * kStride, -1.0f), expected = y;
      for (size_t i = 0; i < used; ++i) {
        std::memcpy(&expected[static_cast<size_t>(to[i]) * kStride], &together[static_cast<size_t>(from[i]) * kN],
                    kN * sizeof(float));
      }
      const MatmulArgs args = {product.activation.data(),
                               y.data(),
                               kStride,
                               product.packed.data(),
                               static_cast<int64_t>(used),
                               kN,
                               512,
                               from.data(),
                               to.data()};
      run_all(product.family, args);
      SCOPED_TRACE(name(type));
      expect_same_bits(y, expected);
    }
  }
}

TEST_P(MatmulTest, UnpackGivesTheFilesNumbers) {
  for (DType type : kWeightTypes) {
    for (const Shape& s : {Shape{0, 70, 768}, Shape{0, 33, 96}, Shape{0, 5, 2048}}) {
      if (!fits(type, s.k)) continue;
      SCOPED_TRACE(describe(type, s));
      const Weights weights(type, s.n, s.k, 19);
      const MatmulFamily& family = *matmul_family(kernels(), type, s.k);
      const Buffer packed = weights.pack(family);
      const std::vector<float> expected = weights.dequantized();
      std::vector<float> all(expected.size());
      family.unpack(all.data(), packed.data(), s.n, s.k, 0, s.n, 0, s.k);
      expect_same_bits(all, expected);
      if (s.k <= 256) continue;
      std::vector<float> part(static_cast<size_t>(2 * (s.k - 256)));
      family.unpack(part.data(), packed.data(), s.n, s.k, 3, 5, 256, s.k);
      std::vector<float> expected_part;
      for (int64_t j : {3, 4}) {
        expected_part.insert(expected_part.end(), expected.begin() + j * s.k + 256, expected.begin() + (j + 1) * s.k);
      }
      expect_same_bits(part, expected_part);
    }
  }
}

TEST_P(MatmulTest, PackedWeightsAreAsSmallAsTheFile) {
  constexpr int64_t kN = 1024, kK = 2048;
  for (DType type : kWeightTypes) {
    const size_t file = kN * row_bytes(type, kK), packed = matmul_family(kernels(), type, kK)->packed_bytes(kN, kK);
    EXPECT_LE(static_cast<double>(packed), 1.03 * static_cast<double>(file)) << name(type);
    EXPECT_EQ(packed % 64, 0u);
  }
}

TEST_P(MatmulTest, ActivationsHaveTheSameBitsInEveryTable) {
  constexpr int64_t kK = 512;
  std::vector<float> x = random_floats(23, 6 * kK);
  for (size_t i = 0; i < kK; ++i) x[kK + i] = 0;
  for (size_t i = 0; i < kK; ++i) x[2 * kK + i] *= 1e-32f;
  for (size_t i = 0; i < 256; ++i) x[3 * kK + i] = static_cast<float>(i) - 127.5f;  // half way between two numbers
  x[4 * kK + 17] = INFINITY;
  x[5 * kK + 300] = NAN;
  for (DType type : {DType::kActQ8, DType::kActQ8x32, DType::kActBF16}) {
    const size_t bytes = 6 * row_bytes(type, kK);
    std::vector<uint8_t> actual(bytes, 1), expected(bytes, 2);
    kernels().to_activation(type, actual.data(), x.data(), 6, kK);
    kReferenceKernels.to_activation(type, expected.data(), x.data(), 6, kK);
    EXPECT_EQ(actual, expected) << name(type);
  }
}

TEST_P(MatmulTest, NotANumberStaysVisible) {
  for (DType type : kWeightTypes) {
    std::vector<float> x = random_floats(29, 2 * 512);
    x[300] = NAN;
    const Weights weights(type, 20, 512, 31);
    const MatmulFamily& family = *matmul_family(kernels(), type, 512);
    const Buffer packed = weights.pack(family), activation = activations(kernels(), family, x, 512);
    std::vector<float> y(40);
    run_all(family, {activation.data(), y.data(), 20, packed.data(), 2, 20, 512, nullptr, nullptr});
    for (int j = 0; j < 20; ++j) {
      EXPECT_TRUE(std::isnan(y[static_cast<size_t>(j)])) << name(type);
      EXPECT_TRUE(std::isfinite(y[static_cast<size_t>(20 + j)])) << name(type);
    }
  }
}

TEST_P(MatmulTest, WeightGradientAddsRowsAscending) {
  for (const Shape& s : {Shape{1, 3, 5}, Shape{70, 13, 300}, Shape{9, 30, 64}, Shape{66, 150, 200}}) {
    const std::vector<float> dy = random_floats(1, static_cast<size_t>(s.rows * s.n));
    const std::vector<float> x = random_floats(2, static_cast<size_t>(s.rows * s.k));
    std::vector<float> actual = random_floats(3, static_cast<size_t>(s.n * s.k)), expected = actual, apart = actual;
    kernels().matmul_dw(actual.data(), dy.data(), x.data(), s.rows, s.n, s.k, 0, s.n, 0, s.k);
    kReferenceKernels.matmul_dw(expected.data(), dy.data(), x.data(), s.rows, s.n, s.k, 0, s.n, 0, s.k);
    expect_close(actual, expected, 2e-6f);
    for (int64_t j = s.n - 1; j >= 0; --j) {
      for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{s.k / 3, s.k}, {0, s.k / 3}})
        kernels().matmul_dw(apart.data(), dy.data(), x.data(), s.rows, s.n, s.k, j, j + 1, begin, end);
    }
    expect_same_bits(apart, actual);
  }
}

TEST_P(MatmulTest, InputGradientAddsOutputsAscending) {
  for (DType type : kWeightTypes) {
    const Shape s = {15, 37, 512};
    SCOPED_TRACE(name(type));
    const Weights weights(type, s.n, s.k, 37);
    const std::vector<float> dy = random_floats(4, static_cast<size_t>(s.rows * s.n));
    const auto gradient = [&](const CpuKernels& table, int64_t step, int64_t columns) {
      const MatmulFamily& family = *matmul_family(table, type, s.k);
      const Buffer packed = weights.pack(family);
      std::vector<float> dx(static_cast<size_t>(s.rows * s.k), NAN);
      for (int64_t i = 0; i < s.rows; i += step) {
        for (int64_t c = 0; c < s.k; c += columns) {
          table.matmul_dx(dx.data(), dy.data(), &family, packed.data(), s.n, s.k, i, std::min(i + step, s.rows), c,
                          c + columns);
        }
      }
      return dx;
    };
    expect_close(gradient(kernels(), s.rows, s.k), gradient(kReferenceKernels, s.rows, s.k), 2e-6f);
    expect_same_bits(gradient(kernels(), 2, 256), gradient(kernels(), s.rows, s.k));
  }
}

TEST_P(MatmulTest, InputGradientByRowsIsThatByPackedWeights) {
  const Shape s = {71, 70, 300};
  const Weights weights(DType::kF32, s.n, s.k, 38);
  const std::vector<float> dy = random_floats(5, static_cast<size_t>(s.rows * s.n)), w = weights.dequantized();
  const MatmulFamily& family = *matmul_family(kernels(), DType::kF32, s.k);
  const Buffer packed = weights.pack(family);
  std::vector<float> by_rows(static_cast<size_t>(s.rows * s.k), NAN), by_family = by_rows;
  kernels().matmul_dx(by_rows.data(), dy.data(), nullptr, w.data(), s.n, s.k, 0, s.rows, 0, 256);
  kernels().matmul_dx(by_rows.data(), dy.data(), nullptr, w.data(), s.n, s.k, 0, s.rows, 256, s.k);
  kernels().matmul_dx(by_family.data(), dy.data(), &family, packed.data(), s.n, s.k, 0, s.rows, 0, s.k);
  expect_same_bits(by_rows, by_family);
}

TEST_P(MatmulTest, BFloatGradientsAreNearTheReferenceWhateverTheSplit) {
  for (const Shape& s : {Shape{1, 3, 5}, Shape{71, 37, 300}, Shape{130, 150, 70}}) {
    const auto rounded = [&](int seed, int64_t n) {
      const std::vector<float> numbers = random_floats(seed, static_cast<size_t>(n));
      std::vector<uint16_t> to(numbers.size());
      kernels().to_activation(DType::kActBF16, to.data(), numbers.data(), 1, n);
      return to;
    };
    const std::vector<uint16_t> dy = rounded(6, s.rows * s.n), x = rounded(7, s.rows * s.k), w = rounded(8, s.n * s.k);
    const auto dw = [&](const CpuKernels& table, int64_t step, int64_t columns) {
      std::vector<float> out = random_floats(9, static_cast<size_t>(s.n * s.k));
      for (int64_t j = 0; j < s.n; j += step) {
        for (int64_t c = 0; c < s.k; c += columns) {
          table.matmul_dw_bfloat(out.data(), dy.data(), x.data(), s.rows, s.n, s.k, j, std::min(j + step, s.n), c,
                                 std::min(c + columns, s.k));
        }
      }
      return out;
    };
    const auto dx = [&](const CpuKernels& table, int64_t step, int64_t columns) {
      std::vector<float> out(static_cast<size_t>(s.rows * s.k), NAN);
      for (int64_t i = 0; i < s.rows; i += step) {
        for (int64_t c = 0; c < s.k; c += columns) {
          table.matmul_dx_bfloat(out.data(), dy.data(), w.data(), s.n, s.k, i, std::min(i + step, s.rows), c,
                                 std::min(c + columns, s.k));
        }
      }
      return out;
    };
    expect_close(dw(kernels(), s.n, s.k), dw(kReferenceKernels, s.n, s.k), 4e-6f);
    expect_same_bits(dw(kernels(), 7, 33), dw(kernels(), s.n, s.k));
    expect_close(dx(kernels(), s.rows, s.k), dx(kReferenceKernels, s.rows, s.k), 4e-6f);
    expect_same_bits(dx(kernels(), 5, 33), dx(kernels(), s.rows, s.k));
    std::vector<float> wide(x.size());
    kernels().from_activation(wide.data(), x.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < wide.size(); ++i) ASSERT_EQ(wide[i], bfloat16_to_float(x[i]));
  }
}

// The specification itself: a product of the numbers that weights and activations stand for, in double precision.
TEST(MatmulReferenceTest, IsTheProductOfWhatTheBlocksStandFor) {
  constexpr int64_t kRows = 8, kN = 20;
  for (DType type : kWeightTypes) {
    for (int64_t k : {96, 512}) {
      if (!fits(type, k)) continue;
      const Product product(kReferenceKernels, type, kN, k, kRows, 41);
      const std::vector<float> y = product.run(kRows), w = product.weights.dequantized();
      // Rounding x to int8, or to bf16, errs by at most half a step of its block's largest number, or of itself.
      const bool exact = product.family.activation == DType::kF32, bf16 = product.family.activation == DType::kActBF16;
      for (int64_t i = 0; i < kRows; ++i) {
        const float* x = product.x.data() + i * k;
        float largest = 0;
        for (int64_t c = 0; c < k; ++c) largest = std::max(largest, std::fabs(x[c]));
        for (int64_t j = 0; j < kN; ++j) {
          double sum = 0, magnitude = 0, error = 0;
          for (int64_t c = 0; c < k; ++c) {
            const double weight = w[static_cast<size_t>(j * k + c)];
            sum += weight * x[c];
            magnitude += std::fabs(weight * x[c]);
            error += std::fabs(weight) * (exact ? 0 : bf16 ? std::fabs(x[c]) / 256 : largest / 254.0);
          }
          ASSERT_NEAR(y[static_cast<size_t>(i * kN + j)], sum, error + 1e-5 * magnitude)
              << describe(type, {kRows, kN, k});
        }
      }
    }
  }
}

TEST(MatmulFamilyTest, TheFormOfTheActivationFollowsFromK) {
  for (const CpuKernels* table : fast_tables()) {
    EXPECT_EQ(matmul_family(*table, DType::kQ8_0, 512)->activation, DType::kActQ8);
    EXPECT_EQ(matmul_family(*table, DType::kQ8_0, 288)->activation, DType::kActQ8x32);
    EXPECT_EQ(matmul_family(*table, DType::kQ4_K, 288), nullptr);
    EXPECT_EQ(matmul_family(*table, DType::kQ4_0, 40), nullptr);
    EXPECT_EQ(matmul_family(*table, DType::kI8, 256), nullptr);
    EXPECT_EQ(matmul_family(*table, DType::kBF16, 33)->activation, DType::kActBF16);
  }
}

}  // namespace
}  // namespace strata
