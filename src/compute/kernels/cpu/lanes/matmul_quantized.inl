// Quantized matmuls: tiles of work, panels, structs and rows. Included inside the namespace of an instruction set,
// which defines before
//   Sums                             the 32 outputs of a row in a panel; Sums{} is zero
//   store_columns(to, sums, left)    the first `left` outputs
//   DecodedPanel<Form>               a struct of both groups, decoded: what many rows are multiplied with
//   decode_panel<W>(weights, i, panel)
//   FromStructs<W, kLines>{first, second, ahead}, FromPanel<Form, kLines>{panel, ahead}   where add_struct takes its
//                                    operands from; beside each group of products it asks for kLines lines of memory
//   add_struct<Source, kRows>(source, i, x, parts, y)   y[t] += struct i times the row at x[t]
// and W for each type of weights (quantized_weights.h).
//
// Up to W::kDirectRows rows decode the packed numbers in registers, for each register tile of Form::kTileRows rows
// again; more rows decode a struct once, into the first-level cache. Both sum the same whole numbers, so they give the
// same bits. All rows of a tile of work use a struct before the next one is touched; their sums wait in memory.

constexpr int kMaxRows = 132;  // of a tile of work

template <class W>
STRATA_INLINE const typename W::Packed& at(const PackedPanel<typename W::Packed>& panel, int64_t i, int c) {
  return panel.first[i * panel.width + c * (panel.width - 1)];
}

// Memory is asked for this far ahead of its use. Places are numbers: at the end of the weights there is no memory
// ahead, which a prefetch, unlike a pointer, may ignore.
//
// Weights that few rows use go to the first-level cache alone. A second-level cache that holds all that the first does
// would let them drive out the code and constants of this loop, which, always found further up, look unused there: that
// cost a fifth of the time of 16 rows, or nothing, by where the system had put the program in memory.
//
// The lines are asked for one by one beside the products of the tiles that share a struct. All of a tile's lines at once
// fill the buffers of outstanding reads, and the products wait for them: a quarter of the time of 8 rows, a tenth of 16.
constexpr int64_t kAheadBytes = 6144;       // of one tile, whose products take least
constexpr int64_t kTilesAheadBytes = 8192;  // of more
constexpr int64_t kPassingTiles = 16;  // up to here their operands leave room for weights in the first-level cache
constexpr int kPassing = 0, kSecondLevel = 2;  // of __builtin_prefetch
template <int kLocality>
STRATA_INLINE void prefetch_lines(uintptr_t begin, int64_t lines) {
  for (int64_t line = 0; line < lines; ++line) {
    __builtin_prefetch(reinterpret_cast<const void*>(begin + 64 * static_cast<uintptr_t>(line)), 0, kLocality);
  }
}
// The part of group g.
template <int kLines>
STRATA_INLINE void prefetch_beside(uintptr_t begin, int g) {
  if constexpr (kLines > 0) prefetch_lines<kPassing>(begin + static_cast<uintptr_t>(64 * kLines * g), kLines);
}
// Lines beside each group where so many tiles share a struct.
template <class W>
constexpr int lines_beside(int tiles) {
  const int bytes = 2 * static_cast<int>(sizeof(typename W::Packed)), groups = W::Form::kGroups * tiles;
  return (bytes + 64 * groups - 1) / (64 * groups);
}

template <class Source, int kRows>
STRATA_INLINE void add_tile(const Source& source, int64_t i, const int8_t* const* x, const ActivationParts& parts,
                            Sums* y) {
  add_struct<Source, kRows>(source, i, x, parts, y);
}
template <class Source>
STRATA_INLINE void add_tile(const Source& source, int64_t i, const int8_t* const* x, const ActivationParts& parts,
                            int64_t n_rows, Sums* y) {
  static_assert(Source::Form::kTileRows <= 6);
  if (n_rows == 1) return add_tile<Source, 1>(source, i, x, parts, y);
  if (n_rows == 2) return add_tile<Source, 2>(source, i, x, parts, y);
  if (n_rows == 3) return add_tile<Source, 3>(source, i, x, parts, y);
  if constexpr (Source::Form::kTileRows > 4) {
    if (n_rows == 5) return add_tile<Source, 5>(source, i, x, parts, y);
    if (n_rows == 6) return add_tile<Source, 6>(source, i, x, parts, y);
  }
  add_tile<Source, 4>(source, i, x, parts, y);
}

// Rows of x, and where their results go: columns from first_column on, of which args.n - first_column exist.
struct PanelRows {
  const MatmulArgs& args;
  int64_t first_row, count, first_column;
  const int8_t* const* x;
  ActivationParts parts;
};

STRATA_INLINE float* output_of(const PanelRows& rows, int64_t t) {
  const int64_t i = rows.first_row + t;
  const int64_t row = rows.args.y_rows != nullptr ? rows.args.y_rows[i] : i;
  return rows.args.y + row * rows.args.y_stride + rows.first_column;
}
void store_rows(const PanelRows& rows, int64_t begin, int64_t end, const Sums* y) {
  for (int64_t t = begin; t < end; ++t) store_columns(output_of(rows, t), y[t], rows.args.n - rows.first_column);
}
// Results are stored at the end of the panel, to lines that the processor would read first: asked for before that.
STRATA_INLINE void prefetch_outputs(const PanelRows& rows, int64_t begin, int64_t end) {
  for (int64_t t = begin; t < end; ++t) {
    const auto to = reinterpret_cast<uintptr_t>(output_of(rows, t));
    __builtin_prefetch(reinterpret_cast<const void*>(to), 1);
    __builtin_prefetch(reinterpret_cast<const void*>(to + 64), 1);
  }
}

// One row only waits for memory: its sums stay in registers through the whole panel.
template <class W>
__attribute__((noinline)) void multiply_row(const PackedPanel<typename W::Packed>& weights, int64_t structs,
                                            const PanelRows& rows) {
  Sums y[1] = {};
  for (int64_t i = 0; i < structs; ++i) {
    const typename W::Packed &first = at<W>(weights, i, 0), &second = at<W>(weights, i, 1);
    const uintptr_t ahead = reinterpret_cast<uintptr_t>(&first) + kAheadBytes;
    add_struct<FromStructs<W, lines_beside<W>(1)>, 1>({&first, &second, ahead}, i, rows.x, rows.parts, y);
  }
  store_rows(rows, 0, 1, y);
}

// Tiles are of nearly equal size. No division stands between them: the addresses of a tile's rows would wait for it.
// kLines: see lines_beside; 0: so many tiles that the next struct has time, a part of it before each.
template <class W, int kLines>
void multiply_tiles(const PackedPanel<typename W::Packed>& weights, int64_t structs, const PanelRows& rows) {
  using Form = typename W::Form;
  const bool direct = rows.count <= W::kDirectRows;
  const int64_t tiles = (rows.count + Form::kTileRows - 1) / Form::kTileRows;
  const int64_t least = rows.count / tiles, larger = rows.count % tiles;
  const int64_t part = (2 * static_cast<int64_t>(sizeof(typename W::Packed)) / 64 + tiles - 1) / tiles;
  Sums y[kMaxRows];
  DecodedPanel<Form> panel;
  for (int64_t t = 0; t < rows.count; ++t) y[t] = Sums{};
  for (int64_t i = 0; i < structs; ++i) {
    if (!direct) decode_panel<W>(weights, i, panel);
    const typename W::Packed &first = at<W>(weights, i, 0), &second = at<W>(weights, i, 1);
    // Of structs that may be the next panel's.
    uintptr_t ahead = kLines > 0 ? reinterpret_cast<uintptr_t>(&first) + (tiles > 1 ? kTilesAheadBytes : kAheadBytes)
                                 : reinterpret_cast<uintptr_t>(weights.first + (i + 1) * weights.width);
    int64_t begin = 0;
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t end = begin + least + (tile < larger ? 1 : 0);
      if (kLines == 0) prefetch_lines<kSecondLevel>(ahead, part);
      if (i + 2 == structs) prefetch_outputs(rows, begin, end);
      if (!direct) {
        add_tile(FromPanel<Form, kLines>{&panel, ahead}, i, rows.x + begin, rows.parts, end - begin, y + begin);
      } else {
        add_tile(FromStructs<W, kLines>{&first, &second, ahead}, i, rows.x + begin, rows.parts, end - begin, y + begin);
      }
      ahead += static_cast<uintptr_t>(64 * (kLines > 0 ? kLines * Form::kGroups : part));
      if (i + 1 == structs) store_rows(rows, begin, end, y);  // while the processor computes the next tile
      begin = end;
    }
  }
}

template <class W>
void multiply_panel(const PackedPanel<typename W::Packed>& weights, int64_t structs, const PanelRows& rows) {
  constexpr int64_t kTile = W::Form::kTileRows;
  if (rows.count == 1) return multiply_row<W>(weights, structs, rows);
  if (rows.count <= kTile) return multiply_tiles<W, lines_beside<W>(1)>(weights, structs, rows);
  if (rows.count <= 2 * kTile) return multiply_tiles<W, lines_beside<W>(2)>(weights, structs, rows);
  if (rows.count <= 4 * kTile) return multiply_tiles<W, lines_beside<W>(3)>(weights, structs, rows);
  if (rows.count <= 8 * kTile) return multiply_tiles<W, lines_beside<W>(6)>(weights, structs, rows);
  if (rows.count <= kPassingTiles * kTile) return multiply_tiles<W, lines_beside<W>(10)>(weights, structs, rows);
  multiply_tiles<W, 0>(weights, structs, rows);
}

template <class W>
MatmulSplit split_quantized(const MatmulArgs& a) {
  constexpr double kWeightBytes = sizeof(typename W::Packed) / (16.0 * W::Packed::kSpan);
  return split_matmul({kWeightBytes, 20.0, kProductsPerNs, kMaxRows, W::Form::kTileRows, a.k}, a.rows, a.n, a.k);
}

template <class W>
int64_t quantized_tiles(const MatmulArgs& a) {
  const MatmulSplit split = split_quantized<W>(a);
  return split.row_tiles * split.column_tiles;
}

template <class W, DType kActivation>
void run_quantized(const MatmulArgs& a, int64_t tile_begin, int64_t tile_end) {
  const MatmulSplit split = split_quantized<W>(a);
  const auto stride = static_cast<int64_t>(row_bytes(kActivation, a.k));
  const int64_t structs = group_structs<typename W::Packed>(a.k);
  const ActivationParts parts = activation_parts(a.k, W::Packed::kSpan);
  const int8_t* x[kMaxRows];
  for (int64_t tile = tile_begin; tile < tile_end; ++tile) {
    // Neighbouring tiles share rows of x.
    const int64_t first_row = tile / split.column_tiles * split.rows;
    const int64_t n_rows = first_row + split.rows < a.rows ? split.rows : a.rows - first_row;
    for (int64_t t = 0; t < n_rows; ++t) {
      const int64_t i = first_row + t;
      x[t] = static_cast<const int8_t*>(a.x) + (a.x_rows != nullptr ? a.x_rows[i] : i) * stride;
    }
    const int64_t begin = tile % split.column_tiles * split.columns;
    const int64_t end = begin + split.columns < a.n ? begin + split.columns : a.n;
    const auto first = packed_panel<typename W::Packed>(a.packed, begin / kPanelColumns, a.n, a.k);
    prefetch_lines<kSecondLevel>(reinterpret_cast<uintptr_t>(first.first), kAheadBytes / 64);  // nobody has asked for it yet
    for (int64_t column = begin; column < end; column += kPanelColumns) {
      // A last group without neighbour is computed twice and stored once.
      const auto weights = packed_panel<typename W::Packed>(a.packed, column / kPanelColumns, a.n, a.k);
      multiply_panel<W>(weights, structs, {a, first_row, n_rows, column, x, parts});
    }
  }
}

template <class W, DType kActivation>
constexpr MatmulFamily quantized_family(std::string_view arithmetic, const MatmulFamily* other_k = nullptr) {
  using P = typename W::Packed;
  return {P::kWeight,
          kActivation,
          P::kName,
          arithmetic,
          packed_weight_bytes<P>,
          pack_weights<P>,
          unpack_weights<P>,
          quantized_tiles<W>,
          run_quantized<W, kActivation>,
          other_k};
}
