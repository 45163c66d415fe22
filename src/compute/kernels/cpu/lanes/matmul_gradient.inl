// The gradients of a matmul. Included inside the namespace of an instruction set, which defines before
//   kTileRows, kColumns       of a register tile
//   OuterProducts             out[r, c] += sum_s a[s * a_step + r * a_row] * b[s * b_step + c] for n_steps summands s,
//                             ascending
//   add_products<rows>(p, columns)  the same for a register tile, its columns as far as they exist
// Sums run over all of their index in ascending order within one call; they wait in memory between register tiles,
// which changes no bit. What a block of outputs is made of is brought together first: rows far apart fall on each other
// in the first-level cache.
namespace {

constexpr int64_t kSummands = 64;       // between two visits of an output of dw
constexpr int64_t kGradientRows = 128;  // of dw whose factors are brought together
constexpr int64_t kGradientColumns = 128;
constexpr int64_t kUnpackedRows = 32;      // of w at a time: the summands between two visits of dx
constexpr int64_t kUnpackedColumns = 256;  // as unpack() wants them

// The register tiles of one row of them; out [n_rows <= kTileRows, columns].
STRATA_INLINE void add_row_of_products(const OuterProducts& p, int64_t n_rows, int64_t columns) {
  switch (n_rows) {
    case 1:
      return add_products<1>(p, columns);
    case 2:
      return add_products<2>(p, columns);
    case 3:
      return add_products<3>(p, columns);
    case 4:
      return add_products<4>(p, columns);
    case 5:
      return add_products<5>(p, columns);
    default:
      return add_products<kTileRows>(p, columns);
  }
}

// All register tiles of out [n_rows, columns].
void add_all_products(const OuterProducts& p, int64_t n_rows, int64_t columns) {
  static_assert(kTileRows == 6);
  for (int64_t r = 0; r < n_rows; r += kTileRows) {
    OuterProducts tile = p;
    tile.out = p.out + r * p.out_stride;
    tile.a = p.a + r * p.a_row;
    for (int64_t c = 0; c < columns; c += kColumns, tile.out += kColumns, tile.b += kColumns) {
      add_row_of_products(tile, n_rows - r < kTileRows ? n_rows - r : kTileRows, columns - c);
    }
  }
}

// to [rows, columns], without gaps.
STRATA_INLINE void bring_together(float* to, const float* from, int64_t stride, int64_t rows, int64_t columns) {
  for (int64_t i = 0; i < rows; ++i) {
    __builtin_memcpy(to + i * columns, from + i * stride, static_cast<size_t>(columns) * sizeof(float));
  }
}

STRATA_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

}  // namespace

void matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
               int64_t n_end) {
  alignas(64) float a[kSummands * kGradientRows];
  alignas(64) float b[kSummands * kGradientColumns];
  for (int64_t j = n_begin; j < n_end; j += kGradientRows) {
    const int64_t n_rows = smaller(n_end - j, kGradientRows);
    for (int64_t i = 0; i < rows; i += kSummands) {
      const int64_t steps = smaller(rows - i, kSummands);
      bring_together(a, dy + i * n + j, n, steps, n_rows);
      for (int64_t c = 0; c < k; c += kGradientColumns) {
        const int64_t columns = smaller(k - c, kGradientColumns);
        bring_together(b, x + i * k + c, k, steps, columns);
        add_all_products({dw + j * k + c, k, a, n_rows, 1, b, columns, steps}, n_rows, columns);
      }
    }
  }
}

void matmul_dx(float* dx, const float* dy, const MatmulFamily& family, const void* packed, int64_t n, int64_t k,
               int64_t row_begin, int64_t row_end) {
  alignas(64) float w[kUnpackedRows * kUnpackedColumns];
  __builtin_memset(dx + row_begin * k, 0, static_cast<size_t>((row_end - row_begin) * k) * sizeof(float));
  for (int64_t c = 0; c < k; c += kUnpackedColumns) {
    const int64_t columns = smaller(k - c, kUnpackedColumns);
    for (int64_t j = 0; j < n; j += kUnpackedRows) {
      const int64_t steps = smaller(n - j, kUnpackedRows);
      family.unpack(w, packed, n, k, j, j + steps, c, c + columns);
      add_all_products({dx + row_begin * k + c, k, dy + row_begin * n + j, 1, n, w, columns, steps},
                       row_end - row_begin, columns);
    }
  }
}
