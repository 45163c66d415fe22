// The gradients of a matmul. Included inside the namespace of an instruction set, after outer_products.inl. Sums run
// over all of their index in ascending order within one call; they wait in memory between register tiles, which changes
// no bit. What a block of outputs is made of is brought together first, so that it stays in the first-level cache while
// all rows of the block use it: rows far apart fall on each other there.
namespace {

constexpr int64_t kSummands = 128;   // between two visits of an output
constexpr int64_t kBlockRows = 128;   // of dw whose factors are brought together
constexpr int64_t kBlockColumns = 64;
constexpr int64_t kUnpackedColumns = 256;  // as unpack() wants them

STRATA_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// to [rows, columns], without gaps.
STRATA_INLINE void bring_together(float* to, const float* from, int64_t stride, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    row_map(to + i * columns, columns, [&](int64_t j, int64_t n) { return load_first(from + i * stride + j, n); });
  }
}

}  // namespace

void matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
               int64_t n_end, int64_t k_begin, int64_t k_end) {
  alignas(64) float a[kSummands * kBlockRows];
  alignas(64) float b[kSummands * kBlockColumns];
  for (int64_t j = n_begin; j < n_end; j += kBlockRows) {
    const int64_t n_rows = smaller(n_end - j, kBlockRows);
    for (int64_t i = 0; i < rows; i += kSummands) {
      const int64_t steps = smaller(rows - i, kSummands);
      bring_together(a, dy + i * n + j, n, steps, n_rows);
      for (int64_t c = k_begin; c < k_end; c += kBlockColumns) {
        const int64_t columns = smaller(k_end - c, kBlockColumns);
        bring_together(b, x + i * k + c, k, steps, columns);
        add_all_products({dw + j * k + c, k, a, n_rows, 1, b, columns, steps}, n_rows, columns);
      }
    }
  }
}

void matmul_dx(float* dx, const float* dy, const MatmulFamily* family, const void* w, int64_t n, int64_t k,
               int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end) {
  alignas(64) float unpacked[kSummands * kUnpackedColumns];
  alignas(64) float b[kSummands * kBlockColumns];
  const int64_t rows = row_end - row_begin;
  for (int64_t i = row_begin; i < row_end; ++i) clear(dx + i * k + k_begin, k_end - k_begin);
  for (int64_t first = k_begin; first < k_end; first += kUnpackedColumns) {
    const int64_t end = smaller(k_end, first + kUnpackedColumns);
    for (int64_t j = 0; j < n; j += kSummands) {
      const int64_t steps = smaller(n - j, kSummands);
      const float* from = static_cast<const float*>(w) + j * k + first;
      if (family != nullptr) family->unpack(unpacked, w, n, k, j, j + steps, first, end);
      for (int64_t c = first; c < end; c += kBlockColumns) {
        const int64_t columns = smaller(end - c, kBlockColumns);
        bring_together(b, (family != nullptr ? unpacked : from) + c - first, family != nullptr ? end - first : k, steps,
                       columns);
        add_all_products({dx + row_begin * k + c, k, dy + row_begin * n + j, 1, n, b, columns, steps}, rows, columns);
      }
    }
  }
}
