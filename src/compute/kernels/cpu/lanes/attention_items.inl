// How attention is cut in work items. Included inside the namespace of an instruction set.
//
// An item is up to kMaxItemHeads heads of one kv head, a run of queries of one sequence, and the whole context they see;
// or, where a sequence has few of those and a long context, one partial of it. The items of the same rows are a group:
// each leaves its partial in AttentionArgs::partials, and the one that comes last merges them all, ascending.
namespace {

constexpr int kMaxItemHeads = 16;
// Sequences that bring fewer items than this are split, as long as there is room for their partials.
constexpr int64_t kEnoughItems = 128;

STRATA_INLINE int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
// Floats of a row of AttentionArgs::partials.
STRATA_INLINE int64_t partial_row(int64_t v_pad) { return kLanes + v_pad; }

struct ItemSplit {
  int heads;    // of one kv head, per item
  int chunks;   // items per kv head and query run
  int queries;  // per item
  int rows;     // heads * queries rounded up to whole tiles
};

// Enough rows to serve each block of K and V many times from the nearest cache, few enough that their state stays
// there as well.
STRATA_INLINE ItemSplit item_split(const AttentionArgs& args) {
  const int group = args.n_heads / args.shape.n_kv_heads;
  const int target_rows = args.shape.k_dim + args.shape.v_dim > 512 ? 32 : 128;
  ItemSplit split;
  split.heads = group < kMaxItemHeads ? group : kMaxItemHeads;
  split.chunks = (group + split.heads - 1) / split.heads;
  split.queries = target_rows / split.heads;
  split.rows = (split.heads * split.queries + kMaxTileRows - 1) / kMaxTileRows * kMaxTileRows;
  return split;
}

struct Item {
  int sequence;
  int kv_head;
  int head_begin, n_heads;
  int64_t row_begin;  // first query, in q and out
  int n_queries;
  int first_position;
  const int32_t* blocks;
  float* kept = nullptr;  // where its group's partials meet; null: the item walks the whole context
  int part = 0, n_parts = 1;
  int part_begin = 0;  // absolute position of its partial
};

// The items of one sequence: groups times parts.
struct SequenceItems {
  int64_t per_run;   // groups of one run of queries
  int64_t runs;
  int first_part;    // number of the first partial that is seen
  int n_parts;       // 1: not split
  int64_t kept_rows;  // of one group
  int64_t items() const { return per_run * runs * n_parts; }
  int64_t all_kept_rows() const { return n_parts > 1 ? per_run * runs * n_parts * kept_rows : 0; }
};

// `rows_before`: rows of AttentionArgs::partials that the sequences before this one take.
STRATA_INLINE SequenceItems sequence_items(const AttentionArgs& args, const ItemSplit& split, int sequence,
                                           int64_t rows_before) {
  const int n_queries = args.query_begin[sequence + 1] - args.query_begin[sequence];
  SequenceItems found;
  found.per_run = static_cast<int64_t>(args.shape.n_kv_heads) * split.chunks;
  found.runs = (n_queries + split.queries - 1) / split.queries;
  found.first_part = 0;
  found.n_parts = 1;
  found.kept_rows = static_cast<int64_t>(split.heads) * (n_queries < split.queries ? n_queries : split.queries);
  if (args.partials == nullptr || found.per_run * found.runs * args.n_sequences >= kEnoughItems) return found;
  const int lowest = args.window > 0 ? args.context_len[sequence] - n_queries - args.window + 1 : 0;
  const int first = lowest > 0 ? lowest / kPartialTokens : 0;
  const int parts = (args.context_len[sequence] + kPartialTokens - 1) / kPartialTokens - first;
  if (found.per_run * found.runs * parts * found.kept_rows > kPartialRows - rows_before) return found;
  found.first_part = first;
  found.n_parts = parts > 1 ? parts : 1;
  return found;
}

// A sequence, the items of those before it and the partials they keep: looking for ascending items walks over the
// sequences once.
struct ItemCursor {
  int sequence = 0;
  int64_t items_before = 0;
  int64_t rows_before = 0;
};

// Later runs come first: they see more, and the largest items are better not the last.
STRATA_INLINE Item item_at(const AttentionArgs& args, const ItemSplit& split, int64_t index, ItemCursor& cursor) {
  SequenceItems found = sequence_items(args, split, cursor.sequence, cursor.rows_before);
  while (index - cursor.items_before >= found.items()) {
    cursor.items_before += found.items();
    cursor.rows_before += found.all_kept_rows();
    found = sequence_items(args, split, ++cursor.sequence, cursor.rows_before);
  }
  index -= cursor.items_before;
  const int sequence = cursor.sequence;
  const int n_queries = args.query_begin[sequence + 1] - args.query_begin[sequence];
  const int64_t group = index / found.n_parts, in_run = group % found.per_run;
  const int run = static_cast<int>(found.runs - 1 - group / found.per_run);
  const int chunk = static_cast<int>(in_run % split.chunks), skipped = run * split.queries;
  const int heads = args.n_heads / args.shape.n_kv_heads;
  Item item;
  item.sequence = sequence;
  item.kv_head = static_cast<int>(in_run) / split.chunks;
  item.head_begin = item.kv_head * heads + chunk * split.heads;
  item.n_heads = heads - chunk * split.heads < split.heads ? heads - chunk * split.heads : split.heads;
  item.row_begin = args.query_begin[sequence] + skipped;
  item.n_queries = n_queries - skipped < split.queries ? n_queries - skipped : split.queries;
  item.first_position = skipped;  // in a segment
  item.blocks = nullptr;
  if (args.block_table != nullptr) {
    item.first_position += args.context_len[sequence] - n_queries;
    item.blocks = args.block_table + sequence * args.block_table_stride;
  }
  if (found.n_parts == 1) return item;
  item.n_parts = found.n_parts;
  item.part = static_cast<int>(index % found.n_parts);
  item.part_begin = (found.first_part + item.part) * kPartialTokens;
  const int64_t rows = cursor.rows_before + group * found.n_parts * found.kept_rows;
  item.kept = args.partials + rows * partial_row(padded(args.shape.v_dim));
  return item;
}

}  // namespace

// Also forgets the arrivals of the call before.
int64_t attention_items(const AttentionArgs& args) {
  const ItemSplit split = item_split(args);
  int64_t items = 0, rows = 0;
  for (int s = 0; s < args.n_sequences; ++s) {
    const SequenceItems found = sequence_items(args, split, s, rows);
    for (int64_t group = 0; found.n_parts > 1 && group < found.per_run * found.runs; ++group) {
      const int64_t at = rows + group * found.n_parts * found.kept_rows;
      reinterpret_cast<int32_t*>(args.partials + at * partial_row(padded(args.shape.v_dim)))[2] = 0;
    }
    items += found.items();
    rows += found.all_kept_rows();
  }
  return items;
}
