// The register tile of products whose operands are rows of numbers: gradients of matmuls and of attention. Included
// inside the namespace of an instruction set, after its lanes.h, which says how many rows and vectors it has.
namespace {

// How a word of a and a vector of words of b join a sum: here both are numbers.
struct NumberProducts {
  STRATA_INLINE Lanes add(Lanes a, Lanes b, Lanes sum) { return multiply_add(a, b, sum); }
};

// Rows of a register tile where there are n_rows of them: nearly equal tiles, as few rows leave products waiting for
// each other.
STRATA_INLINE int64_t rows_of_tile(int64_t n_rows) {
  const int64_t tiles = (n_rows + kProductRows - 1) / kProductRows;
  return (n_rows + tiles - 1) / tiles;
}

// out[r, c] += sum_s a[s * a_step + r * a_row] * b[s * b_step + c] for n_steps summands s, ascending.
struct OuterProducts {
  float* out;
  int64_t out_stride;
  const float* a;
  int64_t a_step, a_row;
  const float* b;
  int64_t b_step;
  int64_t n_steps;
  int64_t a_tile = 0;  // from a register tile's first row to the next one's; 0: as their rows lie
};

// kRows rows and kVectors vectors of columns, of whose last one `last` columns exist.
template <class Products, int kRows, int kVectors, bool kWhole>
void add_products(const OuterProducts& p, int64_t last) {
  const auto load_vector = [&](const float* from, int v) {
    return kWhole || v + 1 < kVectors ? load(from + v * kLanes) : load_first(from + v * kLanes, last);
  };
  Lanes sum[kRows][kVectors];
  STRATA_UNROLL
  for (int r = 0; r < kRows; ++r) {
    STRATA_UNROLL
    for (int v = 0; v < kVectors; ++v) sum[r][v] = load_vector(p.out + r * p.out_stride, v);
  }
  for (int64_t s = 0; s < p.n_steps; ++s) {
    Lanes b[kVectors];
    STRATA_UNROLL
    for (int v = 0; v < kVectors; ++v) b[v] = load_vector(p.b + s * p.b_step, v);
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const Lanes a = broadcast(p.a[s * p.a_step + r * p.a_row]);
      STRATA_UNROLL
      for (int v = 0; v < kVectors; ++v) sum[r][v] = Products::add(a, b[v], sum[r][v]);
    }
  }
  STRATA_UNROLL
  for (int r = 0; r < kRows; ++r) {
    float* to = p.out + r * p.out_stride;
    STRATA_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      if (kWhole || v + 1 < kVectors) {
        store(to + v * kLanes, sum[r][v]);
      } else {
        store_first(to + v * kLanes, sum[r][v], last);
      }
    }
  }
}

template <class Products, int kVectors, bool kWhole, int kRows = kProductRows>
STRATA_INLINE void add_rows(const OuterProducts& p, int64_t rows, int64_t last) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return add_rows<Products, kVectors, kWhole, kRows - 1>(p, rows, last);
  }
  add_products<Products, kRows, kVectors, kWhole>(p, last);
}

// All register tiles of kVectors vectors of columns, down the rows.
template <class Products, int kVectors, bool kWhole>
void add_column(const OuterProducts& p, int64_t n_rows, int64_t last) {
  const int64_t rows = rows_of_tile(n_rows), a_tile = p.a_tile > 0 ? p.a_tile : rows * p.a_row;
  OuterProducts tile = p;
  for (int64_t r = 0; r < n_rows; r += rows, tile.out += rows * p.out_stride, tile.a += a_tile)
    add_rows<Products, kVectors, kWhole>(tile, n_rows - r < rows ? n_rows - r : rows, last);
}

// The columns that are left, fewer than a tile has.
template <class Products, int kVectors = 1>
STRATA_INLINE void add_last_column(const OuterProducts& p, int64_t n_rows, int64_t columns) {
  if constexpr (kVectors < kProductVectors) {
    if (columns > kVectors * kLanes) return add_last_column<Products, kVectors + 1>(p, n_rows, columns);
  }
  if (columns == kVectors * kLanes) return add_column<Products, kVectors, true>(p, n_rows, 0);
  add_column<Products, kVectors, false>(p, n_rows, columns - (kVectors - 1) * kLanes);
}

// out [n_rows, columns].
template <class Products = NumberProducts>
void add_all_products(const OuterProducts& p, int64_t n_rows, int64_t columns) {
  constexpr int64_t kColumns = kProductVectors * kLanes;
  OuterProducts rest = p;
  for (; columns >= kColumns; columns -= kColumns, rest.out += kColumns, rest.b += kColumns) {
    add_column<Products, kProductVectors, true>(rest, n_rows, 0);
  }
  if (columns > 0) add_last_column<Products>(rest, n_rows, columns);
}

}  // namespace
