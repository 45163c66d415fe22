// Declarations of the ops of one table (contracts: cpu_kernels.h). Included inside the namespace of each table, so that
// the list exists once.
void from_activation(float* to, const void* from, int64_t n);
void rms_norm(float* y, const float* x, const float* w, int64_t rows, int64_t dim, float eps, float w_offset);
void layer_norm(float* y, const float* x, const float* w, const float* b, int64_t rows, int64_t dim, float eps,
                float w_offset);
void add(float* y, const float* a, const float* b, int64_t n);
void mul(float* y, const float* a, const float* b, int64_t n);
void scale(float* y, const float* x, float factor, int64_t n);
void clamp(float* y, const float* x, float limit, int64_t n);
void add_bias(float* y, const float* x, const float* b, int64_t rows, int64_t dim);
void activate(Activation, float* y, const float* x, int64_t n);
void gated(Activation, float* y, const float* gate, const float* up, int64_t n);
void clamped_gated(float* y, const float* gate, const float* up, float alpha, float limit, int64_t n);
void clamped_gated_grad(float* dgate, float* dup, const float* dy, const float* gate, const float* up, float alpha,
                        float limit, int64_t n);
void softmax(float* y, const float* x, int64_t rows, int64_t dim);
void rope(const RopeArgs& args, int64_t row_begin, int64_t row_end);
void route(const RouteArgs& args, int64_t row_begin, int64_t row_end);
void combine(float* out, const float* y, const float* weights, int64_t dim, int n_used, int64_t row_begin,
             int64_t row_end);
void combine_grad(float* dy, float* dweights, const float* dout, const float* y, const float* weights, int64_t dim,
                  int n_used, int64_t row_begin, int64_t row_end);
void route_grad(float* dlogits, const float* dweights, const RouteArgs& args, int64_t row_begin, int64_t row_end);
void head_matmul(float* y, const float* x, const float* w, int n_heads, int64_t n, int64_t k, int64_t row_begin,
                 int64_t row_end);

void cache_write(const CacheWriteArgs& args, int64_t token_begin, int64_t token_end);
int64_t attention_items(const AttentionArgs& args);
size_t attention_workspace(const AttentionArgs& args);
void attention(const AttentionArgs& args, int64_t item_begin, int64_t item_end, void* workspace);

void rms_norm_dx(float* dx, const float* dy, const float* x, const float* w, int64_t rows, int64_t dim, float eps,
                 float w_offset);
void rms_norm_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t dim, float eps, int64_t dim_begin,
                 int64_t dim_end);
void activate_grad(Activation, float* dx, const float* dy, const float* x, int64_t n);
void gated_grad(Activation, float* dgate, float* dup, const float* dy, const float* gate, const float* up, int64_t n);
void add_bias_grad(float* db, const float* dy, int64_t rows, int64_t dim, int64_t dim_begin, int64_t dim_end);
int64_t segment_attention_items(const SegmentAttentionArgs& args);
size_t segment_attention_workspace(const SegmentAttentionArgs& args);
void segment_attention(const SegmentAttentionArgs& args, int64_t item_begin, int64_t item_end, void* workspace);
int64_t segment_attention_grad_items(const SegmentAttentionArgs& args);
void segment_attention_grad(const SegmentAttentionGradArgs& args, int64_t item_begin, int64_t item_end,
                            void* workspace);
void cross_entropy(const CrossEntropyArgs& args, int64_t row_begin, int64_t row_end);
void cross_entropy_columns(const CrossEntropyColumnsArgs& args, int64_t row_begin, int64_t row_end);
void top_probabilities(const TopProbabilitiesArgs& args, int64_t row_begin, int64_t row_end);
void distill(const DistillArgs& args, int64_t row_begin, int64_t row_end);
void distill_columns(const DistillColumnsArgs& args, int64_t row_begin, int64_t row_end);
void embed_grad(float* dw, const float* dy, const int32_t* ids, int64_t tokens, int64_t dim, int32_t id_begin,
                int32_t id_end);
void layer_norm_dx(float* dx, const float* dy, const float* x, const float* w, int64_t rows, int64_t dim, float eps,
                   float w_offset);
void layer_norm_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t row_stride, int64_t dim, float eps,
                   int64_t dim_begin, int64_t dim_end);
void softmax_grad(float* dx, const float* dy, const float* y, int64_t rows, int64_t dim);
void clamp_grad(float* dx, const float* dy, const float* x, float limit, int64_t n);
void head_matmul_dx(float* dx, const float* dy, const float* w, int n_heads, int64_t n, int64_t k, int64_t row_begin,
                    int64_t row_end);
void head_matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int n_heads, int64_t n, int64_t k,
                    int64_t begin, int64_t end);
void sinks_grad(float* dsinks, const SinksGradArgs& args, int head_begin, int head_end);
void adamw(const OptimizerArgs& args);
void sgd(const OptimizerArgs& args);
void lion(const OptimizerArgs& args);
void lora_down(float* low, int64_t low_stride, const float* x, int64_t rows, const AdapterFactor& a, float scale,
               int64_t begin, int64_t end);
void lora_up(float* y, const float* low, int64_t low_stride, int64_t rows, const AdapterFactor& b, int64_t begin,
             int64_t end);
