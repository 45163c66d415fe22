// The gradients of a matmul. Included inside the namespace of an instruction set, after outer_products.inl. Sums run
// over all of their index in ascending order within one call; they wait in memory between register tiles, which changes
// no bit. What a block of outputs is made of is brought together first, so that it stays in the first-level cache while
// all rows of the block use it: rows far apart fall on each other there. That is done for some hundred columns at a time:
// of a row, neighbouring lines are read, as memory and what reads ahead of the program like it. The other factor passes
// through that cache, from the one behind, register tile after register tile.
//
// Factors say what the operands are and what is brought together of them: words of kSpan summands each.
namespace {

constexpr int64_t kSteps = 192;  // words between two visits of an output
constexpr int64_t kBlockColumns = kProductVectors * kLanes;
constexpr int64_t kDwRows = 132;  // of a block; whole register tiles of every instruction set
constexpr int64_t kDxRows = 264;
constexpr int64_t kGatheredColumns = 256;
constexpr int64_t kUnpackedColumns = 256;  // as unpack() wants them

STRATA_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Numbers, of fp32 or widened to it.
template <class T>
struct PlainFactors {
  using Number = T;
  using Products = NumberProducts;
  static constexpr int64_t kSpan = 1;
  // Summands are rows: for every `width` columns a matrix [rows, width] without gaps, one after the other.
  STRATA_INLINE void across(float* to, int64_t width, const T* from, int64_t stride, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; ++i, from += stride) {
      float* row = to + i * width;
      for (int64_t c = 0; c < columns; c += width, row += rows * width) {
        row_map(row, smaller(columns - c, width), [&](int64_t j, int64_t n) { return load_first(from + c + j, n); });
      }
    }
  }
  // Summands are columns: to [rows, columns] without gaps.
  STRATA_INLINE void along(float* to, const T* from, int64_t stride, int64_t rows, int64_t columns) {
    across(to, columns, from, stride, rows, columns);
  }
};

template <class F>
STRATA_INLINE void dw_of(float* dw, const typename F::Number* dy, const typename F::Number* x, int64_t rows, int64_t n,
                         int64_t k, int64_t n_begin, int64_t n_end, int64_t k_begin, int64_t k_end) {
  alignas(64) float a[kSteps * kDwRows];
  alignas(64) float b[kSteps * kGatheredColumns];
  for (int64_t j = n_begin; j < n_end; j += kDwRows) {
    const int64_t n_rows = smaller(n_end - j, kDwRows), tile = rows_of_tile(n_rows);
    for (int64_t i = 0; i < rows; i += kSteps * F::kSpan) {
      const int64_t summands = smaller(rows - i, kSteps * F::kSpan), steps = (summands + F::kSpan - 1) / F::kSpan;
      F::across(a, tile, dy + i * n + j, n, summands, n_rows);
      for (int64_t first = k_begin; first < k_end; first += kGatheredColumns) {
        const int64_t width = smaller(k_end - first, kGatheredColumns);
        F::across(b, kBlockColumns, x + i * k + first, k, summands, width);
        for (int64_t c = 0; c < width; c += kBlockColumns) {
          add_all_products<typename F::Products>(
              {dw + j * k + first + c, k, a, tile, 1, b + c * steps, kBlockColumns, steps, steps * tile}, n_rows,
              smaller(width - c, kBlockColumns));
        }
      }
    }
  }
}

// By rows of w.
template <class F>
STRATA_INLINE void dx_of(float* dx, const typename F::Number* dy, const typename F::Number* w, int64_t n, int64_t k,
                         int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end) {
  alignas(64) float a[kSteps * kDxRows];
  alignas(64) float b[kSteps * kGatheredColumns];
  for (int64_t i = row_begin; i < row_end; i += kDxRows) {
    const int64_t rows = smaller(row_end - i, kDxRows);
    for (int64_t row = i; row < i + rows; ++row) clear(dx + row * k + k_begin, k_end - k_begin);
    for (int64_t j = 0; j < n; j += kSteps * F::kSpan) {
      const int64_t summands = smaller(n - j, kSteps * F::kSpan), steps = (summands + F::kSpan - 1) / F::kSpan;
      F::along(a, dy + i * n + j, n, rows, summands);
      for (int64_t first = k_begin; first < k_end; first += kGatheredColumns) {
        const int64_t width = smaller(k_end - first, kGatheredColumns);
        F::across(b, kBlockColumns, w + j * k + first, k, summands, width);
        for (int64_t c = 0; c < width; c += kBlockColumns) {
          add_all_products<typename F::Products>(
              {dx + i * k + first + c, k, a, 1, steps, b + c * steps, kBlockColumns, steps}, rows,
              smaller(width - c, kBlockColumns));
        }
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
  alignas(64) float unpacked[kSteps * kUnpackedColumns];
  alignas(64) float b[kSteps * kBlockColumns];
  for (int64_t i = row_begin; i < row_end; ++i) clear(dx + i * k + k_begin, k_end - k_begin);
  for (int64_t first = k_begin; first < k_end; first += kUnpackedColumns) {
    const int64_t width = smaller(k_end - first, kUnpackedColumns);
    for (int64_t j = 0; j < n; j += kSteps) {
      const int64_t steps = smaller(n - j, kSteps);
      family->unpack(unpacked, w, n, k, j, j + steps, first, first + width);
      for (int64_t c = 0; c < width; c += kBlockColumns) {
        const int64_t columns = smaller(width - c, kBlockColumns);
        PlainFactors<float>::across(b, columns, unpacked + c, width, steps, columns);
        add_all_products({dx + row_begin * k + first + c, k, dy + row_begin * n + j, 1, n, b, columns, steps},
                         row_end - row_begin, columns);
      }
    }
  }
}
