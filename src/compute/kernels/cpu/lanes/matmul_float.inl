// Matmuls whose weights are numbers: rows of x times panels of packed weights, K in steps. Included inside the
// anonymous namespace of an instruction set, which defines before
//   Sums               the 32 outputs of a row in a panel
//   kMaxRows           the most rows of a tile of work
//   add_structs<W, kLines>(weights, count, x, offset, n_rows, y, ahead)
//                      y[t] += the panel's first `count` structs times x, at most W::kTileRows rows; x[t] + offset is
//                      row t, a word of which belongs to each struct. Asks for kLines lines of memory from `ahead` on
//                      for each struct.
//   add_half_struct<W>(weights, x, offset, n_rows, y)
//                      the same for one struct whose second number does not exist
//   store_columns(to, sums, left)  the first `left` outputs
// and W for each type of weights: Packed, kActivation, kTileRows, kOneStepRows, kDirectRows, kProductsPerNs, and
// decode(weights, i, out), which gives struct i of a panel as kSpan structs of fp32 numbers.
//
// Few rows (kOneStepRows) take K in one go, from memory. More rows take it in steps, so that a step's weights stay in
// the first-level cache while all rows of the tile of work use them; the sums wait in memory between the steps, which
// changes no bit. Above kDirectRows a step is decoded to fp32 once, for all rows.
//
// The weights come from memory: a step asks for the next one's while it computes, a line or two for each struct. All of
// them at once would wait for each other.

constexpr int kStepStructs = 128;
constexpr uintptr_t kAheadBytes = 12288;  // in one go: what memory gives while it answers, and some more

template <class Packed>
STRATA_INLINE PackedPanel<Packed> from_struct(const PackedPanel<Packed>& weights, int64_t i) {
  return {weights.first + i * weights.width, weights.width};
}

// y += the first `count` structs times x, in register tiles of nearly equal size. `ahead`: `lines` lines for each
// struct, shared by the first tiles.
template <class W>
void add_step(const PackedPanel<typename W::Packed>& weights, int64_t count, const uint8_t* const* x, int64_t offset,
              int64_t n_rows, Sums* y, uintptr_t ahead, int lines) {
  const int64_t tiles = (n_rows + W::kTileRows - 1) / W::kTileRows;
  for (int64_t tile = 0; tile < tiles; ++tile) {
    const int64_t begin = tile * n_rows / tiles, rows = (tile + 1) * n_rows / tiles - begin;
    if (tiles < lines) {
      add_structs<W, 2>(weights, count, x + begin, offset, rows, y + begin, ahead);
    } else if (tile < lines) {
      add_structs<W, 1>(weights, count, x + begin, offset, rows, y + begin,
                        ahead + 64 * static_cast<uintptr_t>(tile * count));
    } else {
      add_structs<W, 0>(weights, count, x + begin, offset, rows, y + begin, ahead);
    }
  }
}

// Lines of a panel for each number of K.
template <class W>
constexpr int kLinesOf = (2 * sizeof(typename W::Packed) + 64 * W::Packed::kSpan - 1) / (64 * W::Packed::kSpan);

template <class W>
void decoded_panel(const PackedPanel<typename W::Packed>& weights, int64_t k, const uint8_t* const* x, int64_t n_rows,
                   Sums* y) {
  constexpr int64_t kStep = kStepStructs / W::Packed::kSpan;
  PackedF32 floats[kStepStructs][2];
  const int64_t structs = k / W::Packed::kSpan;
  for (int64_t i = 0; i < structs; i += kStep) {
    const int64_t end = i + kStep < structs ? i + kStep : structs;
    for (int64_t j = i; j < end; ++j) W::decode(weights, j, floats + (j - i) * W::Packed::kSpan);
    const PackedPanel<PackedF32> step{floats[0], 2};
    add_step<WeightsF32>(step, (end - i) * W::Packed::kSpan, x, i * W::Packed::kSpan * 4, n_rows, y,
                         reinterpret_cast<uintptr_t>(from_struct(weights, end).first), kLinesOf<W>);
  }
}

template <class W>
void direct_panel(const PackedPanel<typename W::Packed>& weights, int64_t k, const uint8_t* const* x, int64_t n_rows,
                  Sums* y) {
  constexpr int kLines = kLinesOf<W> * W::Packed::kSpan;
  const int64_t structs = k / W::Packed::kSpan, step = n_rows > W::kOneStepRows ? kStepStructs : structs;
  for (int64_t i = 0; i < structs; i += step) {
    const int64_t end = i + step < structs ? i + step : structs;
    const auto next = reinterpret_cast<uintptr_t>(from_struct(weights, step < structs ? end : 0).first);
    add_step<W>(from_struct(weights, i), end - i, x, 4 * i, n_rows, y, step < structs ? next : next + kAheadBytes,
                kLines);
  }
  if (W::Packed::kSpan == 2 && k % 2 != 0) add_half_struct<W>(from_struct(weights, structs), x, 4 * structs, n_rows, y);
}

template <class W>
void panel(const PackedPanel<typename W::Packed>& weights, int64_t k, const uint8_t* const* x, int64_t n_rows,
           Sums* y) {
  for (int64_t t = 0; t < n_rows; ++t) y[t] = {};
  if constexpr (W::kDirectRows > 0) {
    if (n_rows <= W::kDirectRows) return direct_panel<W>(weights, k, x, n_rows, y);
  }
  if constexpr (W::kDirectRows < kMaxRows) decoded_panel<W>(weights, k, x, n_rows, y);
}

template <class W>
MatmulSplit split_of(const MatmulArgs& a) {
  constexpr double kWeightBytes = sizeof(typename W::Packed) / (16.0 * W::Packed::kSpan);
  constexpr int64_t kRowBytes = kStepStructs * 4;  // of x, used in one step
  static_assert(kMaxRows % W::kTileRows == 0, "tiles of work are rounded up to register tiles");
  return split_matmul({kWeightBytes, 20.0, W::kProductsPerNs, kMaxRows, W::kTileRows, kRowBytes}, a.rows, a.n, a.k);
}

template <class W>
int64_t tiles(const MatmulArgs& a) {
  const MatmulSplit split = split_of<W>(a);
  return split.row_tiles * split.column_tiles;
}

template <class W>
void run(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end) {
  const MatmulSplit split = split_of<W>(a);
  const auto stride = static_cast<int64_t>(row_bytes(W::kActivation, a.k));
  const uint8_t* x[kMaxRows];
  Sums y[kMaxRows];
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    // Neighbouring tiles share rows of x.
    const int64_t first_row = tile / split.column_tiles * split.rows;
    const int64_t n_rows = first_row + split.rows < a.rows ? split.rows : a.rows - first_row;
    for (int64_t t = 0; t < n_rows; ++t) {
      const int64_t i = first_row + t;
      x[t] = static_cast<const uint8_t*>(a.x) + (a.x_rows != nullptr ? a.x_rows[i] : i) * stride;
    }
    const int64_t begin = tile % split.column_tiles * split.columns;
    const int64_t end = begin + split.columns < a.n ? begin + split.columns : a.n;
    for (int64_t column = begin; column < end; column += kPanelColumns) {
      // A last group without neighbour is computed twice and stored once.
      panel<W>(packed_panel<typename W::Packed>(a.packed, column / kPanelColumns, a.n, a.k), a.k, x, n_rows, y);
      for (int64_t t = 0; t < n_rows; ++t) {
        const int64_t i = first_row + t;
        store_columns(a.y + (a.y_rows != nullptr ? a.y_rows[i] : i) * a.y_stride + column, y[t], a.n - column);
      }
    }
  }
}

template <class W>
constexpr MatmulFamily family(std::string_view arithmetic) {
  using P = typename W::Packed;
  return {P::kWeight,      W::kActivation,    P::kName, arithmetic, packed_weight_bytes<P>,
          pack_weights<P>, unpack_weights<P>, tiles<W>, run<W>};
}
