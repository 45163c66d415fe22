// How a matmul is cut into tiles: ranges of output columns by ranges of rows of x. A tile takes some tens of
// microseconds, long beside the cost of handing it out and short beside the whole: at its end threads wait for the one
// that took the last tile. Tiles that compute are shorter than those that read, which begin by waiting for memory.
// Results do not depend on it.
//
// Everything is `static`: units of different instruction sets include this.
#pragma once

#include <cstdint>

namespace strata {

inline constexpr int64_t kPanelColumns = 32;  // tiles are whole panels: two groups of packed rows

struct MatmulRates {
  double weight_bytes;     // packed, per weight
  double bytes_per_ns;     // of weights, read from memory by one core
  double products_per_ns;  // of one core
  int64_t max_rows;        // rows of x in a tile
  int64_t tile_rows;       // rows of a register tile: ranges of rows are a multiple of it
  int64_t row_bytes;       // of one row of x
};

struct MatmulSplit {
  int64_t rows;      // of a tile; the last has less
  int64_t columns;
  int64_t row_tiles;
  int64_t column_tiles;
};

static inline MatmulSplit split_matmul(const MatmulRates& rates, int64_t rows, int64_t n, int64_t k) {
  constexpr double kReadingTileNs = 40e3, kComputingTileNs = 12e3;
  constexpr int64_t kCacheBytes = 400 << 10;  // of the cache beside a core, for the rows of x that a tile uses
  if (rows <= 0) return {1, kPanelColumns, 0, 0};
  int64_t most = kCacheBytes / rates.row_bytes;
  if (most > rates.max_rows) most = rates.max_rows;
  if (most < 2 * rates.tile_rows) most = 2 * rates.tile_rows;
  const int64_t least_tiles = (rows + most - 1) / most;
  int64_t tile = (rows + least_tiles - 1) / least_tiles;
  tile = (tile + rates.tile_rows - 1) / rates.tile_rows * rates.tile_rows;
  const double weights = static_cast<double>(kPanelColumns * k);
  const double reading = weights * rates.weight_bytes / rates.bytes_per_ns;
  const double computing = weights * static_cast<double>(tile < rows ? tile : rows) / rates.products_per_ns;
  const double panel_ns = reading > computing ? reading : computing;
  const double tile_ns = reading > computing ? kReadingTileNs : kComputingTileNs;
  const int64_t panels = panel_ns < tile_ns ? static_cast<int64_t>(tile_ns / panel_ns) : 1;
  // Of nearly equal size: a short one would leave a thread without its half.
  const int64_t all_panels = (n + kPanelColumns - 1) / kPanelColumns, column_tiles = (all_panels + panels - 1) / panels;
  const int64_t columns = (all_panels + column_tiles - 1) / column_tiles * kPanelColumns;
  return {tile, columns, (rows + tile - 1) / tile, (n + columns - 1) / columns};
}

}  // namespace strata
