#include <algorithm>
#include <cmath>
#include <vector>

#include "compute/kernels/reference/ops.h"

namespace strata::reference {
namespace {

// One (segment, kv head): the tokens [begin, end) and the heads [head_begin, head_end) that read this kv head.
struct Piece {
  int begin, end, kv_head, head_begin, head_end;
};

Piece piece_of(const SegmentAttentionArgs& args, int64_t item) {
  const int segment = static_cast<int>(item / args.n_kv_heads), kv_head = static_cast<int>(item % args.n_kv_heads);
  const int group = args.n_heads / args.n_kv_heads;
  return {args.segment_begin[segment], args.segment_begin[segment + 1], kv_head, kv_head * group,
          (kv_head + 1) * group};
}

int first_visible(const SegmentAttentionArgs& args, const Piece& piece, int query) {
  if (args.window == 0) return piece.begin;
  return std::max(piece.begin, args.causal ? query - args.window + 1 : query - args.window / 2);
}

int last_visible(const SegmentAttentionArgs& args, const Piece& piece, int query) {
  if (args.causal) return query;
  return args.window == 0 ? piece.end - 1 : std::min(piece.end - 1, query + args.window / 2);
}

const float* row(const float* x, int64_t token, int n_heads, int head, int dim) {
  return x + (token * n_heads + head) * dim;
}
float* row(float* x, int64_t token, int n_heads, int head, int dim) { return x + (token * n_heads + head) * dim; }

double dot(const float* a, const float* b, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

double score_of(const SegmentAttentionArgs& args, const Piece& piece, int query, int head, int key) {
  const double product = dot(row(args.q, query, args.n_heads, head, args.k_dim),
                             row(args.k, key, args.n_kv_heads, piece.kv_head, args.k_dim), args.k_dim);
  const double raw = args.scale * (product + alibi_bias(args.alibi, head, key - piece.begin));
  return args.softcap > 0 ? args.softcap * std::tanh(raw / args.softcap) : raw;
}

void attend(const SegmentAttentionArgs& args, const Piece& piece, int query, int head) {
  const int first = first_visible(args, piece, query), last = last_visible(args, piece, query);
  std::vector<double> weights;
  for (int key = first; key <= last; ++key) weights.push_back(score_of(args, piece, query, head, key));
  double largest = *std::max_element(weights.begin(), weights.end());
  if (args.sinks != nullptr) largest = std::max(largest, static_cast<double>(args.sinks[head]));
  double sum = args.sinks != nullptr ? std::exp(args.sinks[head] - largest) : 0;
  for (double& w : weights) sum += w = std::exp(w - largest);
  float* out = row(args.out, query, args.n_heads, head, args.v_dim);
  for (int d = 0; d < args.v_dim; ++d) {
    double value = 0;
    for (int key = first; key <= last; ++key) {
      value += weights[key - first] * row(args.v, key, args.n_kv_heads, piece.kv_head, args.v_dim)[d];
    }
    out[d] = static_cast<float>(value / sum);
  }
  args.log_sum_exp[static_cast<int64_t>(query) * args.n_heads + head] = static_cast<float>(largest + std::log(sum));
}

// Adds what one query of one head gives to dk and dv (double sums of the piece), and writes its dq.
//   p = exp(s - lse), dp = dout . v, ds = p * (dp - dout . out), and through the softcap ds *= 1 - (s / cap)^2.
void attend_grad(const SegmentAttentionGradArgs& args, const Piece& piece, int query, int head, std::vector<double>& dk,
                 std::vector<double>& dv) {
  const SegmentAttentionArgs& f = args.forward;
  const float* dout = row(args.dout, query, f.n_heads, head, f.v_dim);
  const float* q = row(f.q, query, f.n_heads, head, f.k_dim);
  const double lse = f.log_sum_exp[static_cast<int64_t>(query) * f.n_heads + head];
  const double along_out = dot(dout, row(static_cast<const float*>(f.out), query, f.n_heads, head, f.v_dim), f.v_dim);
  std::vector<double> dq(f.k_dim);
  const int last = last_visible(f, piece, query);
  for (int key = first_visible(f, piece, query); key <= last; ++key) {
    const double score = score_of(f, piece, query, head, key);
    const double p = std::exp(score - lse);
    double ds = p * (dot(dout, row(f.v, key, f.n_kv_heads, piece.kv_head, f.v_dim), f.v_dim) - along_out);
    if (f.softcap > 0) ds *= 1.0 - (score / f.softcap) * (score / f.softcap);
    ds *= f.scale;
    const float* k = row(f.k, key, f.n_kv_heads, piece.kv_head, f.k_dim);
    const int64_t local = key - piece.begin;
    for (int d = 0; d < f.k_dim; ++d) {
      dq[d] += ds * k[d];
      dk[local * f.k_dim + d] += ds * q[d];
    }
    for (int d = 0; d < f.v_dim; ++d) dv[local * f.v_dim + d] += p * dout[d];
  }
  std::copy(dq.begin(), dq.end(), row(args.dq, query, f.n_heads, head, f.k_dim));
}

}  // namespace

int64_t segment_attention_items(const SegmentAttentionArgs& args) {
  return static_cast<int64_t>(args.n_segments) * args.n_kv_heads;
}

size_t segment_attention_workspace(const SegmentAttentionArgs&) { return 0; }

int64_t segment_attention_grad_items(const SegmentAttentionArgs& args) { return segment_attention_items(args); }

void segment_attention(const SegmentAttentionArgs& args, int64_t item_begin, int64_t item_end, void*) {
  for (int64_t item = item_begin; item < item_end; ++item) {
    const Piece piece = piece_of(args, item);
    for (int query = piece.begin; query < piece.end; ++query) {
      for (int head = piece.head_begin; head < piece.head_end; ++head) attend(args, piece, query, head);
    }
  }
}

void segment_attention_grad(const SegmentAttentionGradArgs& args, int64_t item_begin, int64_t item_end, void*) {
  const SegmentAttentionArgs& f = args.forward;
  for (int64_t item = item_begin; item < item_end; ++item) {
    const Piece piece = piece_of(f, item);
    const int64_t tokens = piece.end - piece.begin;
    std::vector<double> dk(tokens * f.k_dim), dv(tokens * f.v_dim);
    for (int query = piece.begin; query < piece.end; ++query) {
      for (int head = piece.head_begin; head < piece.head_end; ++head) attend_grad(args, piece, query, head, dk, dv);
    }
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t token = piece.begin + t;
      std::copy_n(dk.begin() + t * f.k_dim, f.k_dim, row(args.dk, token, f.n_kv_heads, piece.kv_head, f.k_dim));
      std::copy_n(dv.begin() + t * f.v_dim, f.v_dim, row(args.dv, token, f.n_kv_heads, piece.kv_head, f.v_dim));
    }
  }
}

}  // namespace strata::reference
