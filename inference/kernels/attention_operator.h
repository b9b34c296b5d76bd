/* The operator answerd::CachedAttention for ONNX Runtime.

   Inputs: qkv float32 [sequences * tokens, (heads + 2 kv_heads) * head_size], past keys and values float32
   [sequences, kv_heads, room, head_size], seqlens_k int32 [sequences] (positions after this call, less one), cosines
   and sines float32 [positions, pairs of a head that turn]. Outputs: float32 [sequences * tokens, heads * head_size],
   and present keys and values like the past, which may be the same buffers. Attributes: num_heads, kv_num_heads,
   rotary_interleaved, scale.
*/
#pragma once
#include "attention.h"
#include "operator.h"

enum { QKV, PAST_KEYS, PAST_VALUES, SEQLENS, COSINES, SINES, ATTENTION_INPUTS };
enum { TOKENS_WORTH_SHARING = 16, MANY_TILES = 16, TOKEN_TASKS = 16 };

static Status *refuse(const char *message) { return create_status(INVALID_ARGUMENT, message); }

static Status *attention_create(const void *op, const void *unused, const Info *info, void **kernel) {
    (void)op, (void)unused;
    int64_t heads, kv_heads, interleaved;
    float scale;
    TRY(attribute_int(info, "num_heads", &heads));
    TRY(attribute_int(info, "kv_num_heads", &kv_heads));
    TRY(attribute_int(info, "rotary_interleaved", &interleaved));
    TRY(attribute_float(info, "scale", &scale));
    if (kv_heads < 1 || heads < 1 || heads > 1 << 16 || heads % kv_heads)
        return refuse("CachedAttention: num_heads must be a multiple of kv_num_heads");
    AttentionForm *form = malloc(sizeof *form);
    if (form == NULL) return create_status(OUT_OF_MEMORY, "CachedAttention: out of memory");
    *form = (AttentionForm){(int)heads, (int)kv_heads, interleaved != 0, scale};
    *kernel = form;
    return NULL;
}

static Status *read_shapes(Context *context, AttentionCall *call, Dimensions *cache) {
    const Value *inputs[ATTENTION_INPUTS];
    Dimensions of[ATTENTION_INPUTS] = {0}; /* compared as a whole */
    for (size_t i = 0; i < ATTENTION_INPUTS; i++) {
        TRY(get_input(context, i, &inputs[i]));
        TRY(read_dimensions(inputs[i], &of[i]));
    }
    const int64_t kv_heads = call->form.kv_heads, heads = call->form.heads;
    *cache = of[PAST_KEYS];
    if (cache->count != 4 || cache->of[1] != kv_heads || memcmp(cache, &of[PAST_VALUES], sizeof *cache) != 0)
        return refuse("CachedAttention: keys and values must be [sequences, kv_num_heads, room, head_size]");
    const int64_t sequences = cache->of[0], size = cache->of[3];
    if (size % DIMS || size < DIMS || size > MAX_HEAD)
        return refuse("CachedAttention: head_size must be 64, 128, 192 or 256");
    if (of[SEQLENS].count != 1 || of[SEQLENS].of[0] != sequences || sequences < 1)
        return refuse("CachedAttention: seqlens_k must have a number for each sequence");
    if (of[QKV].count != 2 || of[QKV].of[1] != (heads + 2 * kv_heads) * size || of[QKV].of[0] % sequences)
        return refuse("CachedAttention: qkv must be [sequences * tokens, (num_heads + 2 kv_num_heads) * head_size]");
    if (of[COSINES].count != 2 || memcmp(&of[COSINES], &of[SINES], sizeof of[SINES]) || 2 * of[COSINES].of[1] > size)
        return refuse("CachedAttention: cosines and sines must be [positions, at most half of head_size]");
    call->sequences = (size_t)sequences, call->room = (size_t)cache->of[2], call->head_size = (size_t)size;
    call->tokens = (size_t)(of[QKV].of[0] / sequences), call->turned = (size_t)of[COSINES].of[1];
    TRY(tensor_data((Value *)inputs[QKV], (void **)&call->qkv));
    TRY(tensor_data((Value *)inputs[SEQLENS], (void **)&call->last));
    TRY(tensor_data((Value *)inputs[COSINES], (void **)&call->cosines));
    TRY(tensor_data((Value *)inputs[SINES], (void **)&call->sines));
    for (size_t i = 0; i < call->sequences; i++)
        if (call->last[i] < 0 || (size_t)call->last[i] + 1 < call->tokens || (size_t)call->last[i] >= call->room ||
            call->last[i] >= of[COSINES].of[0])
            return refuse("CachedAttention: seqlens_k is beyond the cache, or before its sequence begins");
    return NULL;
}

/* The buffer of present keys or values, with the past in it. */
static Status *present(Context *context, size_t index, const AttentionCall *call, const Dimensions *cache,
                       float **buffer) {
    Value *output;
    const Value *past;
    const float *from;
    TRY(get_output(context, index, cache->of, cache->count, &output));
    TRY(tensor_data(output, (void **)buffer));
    TRY(get_input(context, index, &past));
    TRY(tensor_data((Value *)past, (void **)&from));
    if (from == *buffer) return NULL;
    const size_t kv = (size_t)call->form.kv_heads, size = call->room * call->head_size;
    for (size_t head = 0; head < call->sequences * kv; head++) {
        size_t before = ((size_t)call->last[head / kv] + 1 - call->tokens) * call->head_size;
        memcpy(*buffer + head * size, from + head * size, before * sizeof *from);
        memset(*buffer + head * size + before, 0, (size - before) * sizeof *from);
    }
    return NULL;
}

static Status *attention_run(Context *context, AttentionCall *call) {
    const size_t heads = call->sequences * (size_t)call->form.kv_heads, tokens = call->sequences * call->tokens;
    call->tasks = tokens < TOKENS_WORTH_SHARING ? 1 : TOKEN_TASKS;
    if (call->tasks == 1)
        take_tokens(call, 0);
    else
        TRY(parallel_for(context, take_tokens, call->tasks, 0, call));
    if (call->partial == NULL) return parallel_for(context, attend_tile, heads * call->tiles, 0, call);
    TRY(parallel_for(context, attend_split, heads * call->tiles * call->splits, 0, call));
    merge_splits(call);
    return NULL;
}

static Status *attention_compute(void *kernel, Context *context) {
    AttentionCall call = {.form = *(const AttentionForm *)kernel};
    Dimensions cache;
    TRY(read_shapes(context, &call, &cache));
    const int64_t width = (int64_t)((size_t)call.form.heads * call.head_size);
    const int64_t shape[] = {(int64_t)(call.sequences * call.tokens), width};
    Value *y;
    TRY(get_output(context, 0, shape, 2, &y));
    TRY(tensor_data(y, (void **)&call.y));
    TRY(present(context, 1, &call, &cache, &call.keys));
    TRY(present(context, 2, &call, &cache, &call.values));
    if (call.tokens == 0) return NULL;
    const size_t heads = call.sequences * (size_t)call.form.kv_heads;
    call.rows = call.tokens * (size_t)(call.form.heads / call.form.kv_heads);
    call.tiles = (call.rows + TILE - 1) / TILE;
    for (size_t i = 0; i < call.sequences; i++) {
        size_t splits = (size_t)call.last[i] / SPLIT + 1;
        call.splits = splits > call.splits ? splits : call.splits;
    }
    const int share = heads * call.tiles < MANY_TILES && call.splits > 1;
    const size_t queries = heads * call.rows * call.head_size;
    const size_t partial = share ? heads * call.tiles * call.splits * partial_size(&call) : 0;
    float *room = malloc((queries + partial) * sizeof *room);
    if (room == NULL) return create_status(OUT_OF_MEMORY, "CachedAttention: out of memory");
    call.queries = room;
    call.partial = share ? room + queries : NULL;
    Status *status = attention_run(context, &call);
    free(room);
    return status;
}

static const char *attention_name(const void *op) { return (void)op, "CachedAttention"; }
static int attention_input_type(const void *op, size_t index) {
    return (void)op, index == SEQLENS ? INT32_TENSOR : FLOAT_TENSOR;
}
static size_t attention_inputs(const void *op) { return (void)op, ATTENTION_INPUTS; }
static size_t attention_outputs(const void *op) { return (void)op, 3; }

static const Operator attention = {
    ANY_OPERATOR,
    .name = attention_name,
    .input_type = attention_input_type,
    .input_count = attention_inputs,
    .output_count = attention_outputs,
    .create_v2 = attention_create,
    .compute_v2 = attention_compute,
    .destroy = free,
};
