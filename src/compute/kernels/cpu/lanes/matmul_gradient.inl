// The gradients of a matmul. Included inside the namespace of an instruction set, after outer_products.inl. Sums run
// over all of their index in ascending order within one call; they wait in memory between register tiles, which changes
// no bit. What a block of outputs is made of is brought together first, so that it stays in the first-level cache while
// all rows of the block use it: rows far apart fall on each other there.
//
// Factors say what the operands are and what is brought together of them: words of kSpan summands each.
namespace {

constexpr int64_t kSummands = 128;  // between two visits of an output
constexpr int64_t kBlockRows = 128;
constexpr int64_t kBlockColumns = 64;
constexpr int64_t kUnpackedColumns = 256;  // as unpack() wants them

STRATA_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Numbers, of fp32 or widened to it.
template <class T>
struct PlainFactors {
  using Number = T;
  using Products = NumberProducts;
  static constexpr int64_t kSpan = 1;
  // to [rows, columns], without gaps: summands are rows (across) or columns (along).
  STRATA_INLINE void across(float* to, const T* from, int64_t stride, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; ++i) {
      row_map(to + i * columns, columns, [&](int64_t j, int64_t n) { return load_first(from + i * stride + j, n); });
    }
  }
  STRATA_INLINE void along(float* to, const T* from, int64_t stride, int64_t rows, int64_t columns) {
    across(to, from, stride, rows, columns);
  }
};

template <class F>
STRATA_INLINE void dw_of(float* dw, const typename F::Number* dy, const typename F::Number* x, int64_t rows, int64_t n,
                         int64_t k, int64_t n_begin, int64_t n_end, int64_t k_begin, int64_t k_end) {
  alignas(64) float a[kSummands / F::kSpan * kBlockRows];
  alignas(64) float b[kSummands / F::kSpan * kBlockColumns];
  for (int64_t j = n_begin; j < n_end; j += kBlockRows) {
    const int64_t n_rows = smaller(n_end - j, kBlockRows);
    for (int64_t i = 0; i < rows; i += kSummands) {
      const int64_t summands = smaller(rows - i, kSummands), steps = (summands + F::kSpan - 1) / F::kSpan;
      F::across(a, dy + i * n + j, n, summands, n_rows);
      for (int64_t c = k_begin; c < k_end; c += kBlockColumns) {
        const int64_t columns = smaller(k_end - c, kBlockColumns);
        F::across(b, x + i * k + c, k, summands, columns);
        add_all_products<typename F::Products>({dw + j * k + c, k, a, n_rows, 1, b, columns, steps}, n_rows, columns);
      }
    }
  }
}

// By rows of w.
template <class F>
STRATA_INLINE void dx_of(float* dx, const typename F::Number* dy, const typename F::Number* w, int64_t n, int64_t k,
                         int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end) {
  alignas(64) float a[kSummands / F::kSpan * kBlockRows];
  alignas(64) float b[kSummands / F::kSpan * kBlockColumns];
  for (int64_t i = row_begin; i < row_end; i += kBlockRows) {
    const int64_t rows = smaller(row_end - i, kBlockRows);
    for (int64_t row = i; row < i + rows; ++row) clear(dx + row * k + k_begin, k_end - k_begin);
    for (int64_t j = 0; j < n; j += kSummands) {
      const int64_t summands = smaller(n - j, kSummands), steps = (summands + F::kSpan - 1) / F::kSpan;
      F::along(a, dy + i * n + j, n, rows, summands);
      for (int64_t c = k_begin; c < k_end; c += kBlockColumns) {
        const int64_t columns = smaller(k_end - c, kBlockColumns);
        F::across(b, w + j * k + c, k, summands, columns);
        add_all_products<typename F::Products>({dx + i * k + c, k, a, 1, steps, b, columns, steps}, rows, columns);
      }
    }
  }
}

}  // namespace

void matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
               int64_t n_end, int64_t k_begin, int64_t k_end) {
  dw_of<PlainFactors<float>>(dw, dy, x, rows, n, k, n_begin, n_end, k_begin, k_end);
}

void matmul_dx(float* dx, const float* dy, const MatmulFamily* family, const void* w, int64_t n, int64_t k,
               int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end) {
  if (family == nullptr) {
    return dx_of<PlainFactors<float>>(dx, dy, static_cast<const float*>(w), n, k, row_begin, row_end, k_begin, k_end);
  }
  alignas(64) float unpacked[kSummands * kUnpackedColumns];
  alignas(64) float b[kSummands * kBlockColumns];
  for (int64_t i = row_begin; i < row_end; ++i) clear(dx + i * k + k_begin, k_end - k_begin);
  for (int64_t first = k_begin; first < k_end; first += kUnpackedColumns) {
    const int64_t width = smaller(k_end - first, kUnpackedColumns);
    for (int64_t j = 0; j < n; j += kSummands) {
      const int64_t steps = smaller(n - j, kSummands);
      family->unpack(unpacked, w, n, k, j, j + steps, first, first + width);
      for (int64_t c = 0; c < width; c += kBlockColumns) {
        const int64_t columns = smaller(width - c, kBlockColumns);
        PlainFactors<float>::across(b, unpacked + c, width, steps, columns);
        add_all_products({dx + row_begin * k + first + c, k, dy + row_begin * n + j, 1, n, b, columns, steps},
                         row_end - row_begin, columns);
      }
    }
  }
}
