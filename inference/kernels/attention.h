/* Attention of new tokens to themselves and those before them, with a cache that is written in place. Knows no ONNX
   Runtime.

   Heads that share keys and values are computed together: a row is one head of one token. Keys are taken SPLIT at a
   time; what a row got from each split is put together in their order. The operations of a row depend on nothing but
   its own position, so it has the same result to the bit alone, among others, and however a prompt is cut
   (as long as all numbers are finite).
*/
#pragma once
#include "lanes.h"

#include <math.h>
#include <stddef.h>

enum { SPLIT = 128, TILE = 24, MAX_HEAD = 256 };
enum { DIMS = 64, VECTORS = DIMS / LANES };                      /* of a head, at once */
enum { TOGETHER = LANES == 16 ? 6 : 1, HALF = (TOGETHER + 1) / 2 }; /* rows whose sums stay in registers */

typedef struct {
    int heads, kv_heads, interleaved;
    float scale;
} AttentionForm;

typedef struct {
    AttentionForm form;
    size_t sequences, tokens; /* new ones, of each sequence */
    size_t room, head_size;   /* positions of the cache */
    size_t turned;            /* pairs of numbers of a head that turn with the position */
    const float *qkv;         /* [sequences, tokens, heads + 2 kv_heads, head_size] */
    const float *cosines, *sines; /* [positions, turned] */
    const int32_t *last;      /* the position of each sequence's last new token */
    float *keys, *values;     /* [sequences, kv_heads, room, head_size] */
    float *y;                 /* [sequences, tokens, heads, head_size] */
    float *queries;           /* [sequences, kv_heads, rows, head_size], turned and scaled */
    size_t rows, tiles, splits; /* of one kv head of one sequence; splits at most */
    float *partial;           /* [sequences, kv_heads, tiles, splits, partial_size], if splits are shared out */
    size_t tasks;
} AttentionCall;

/* Of TILE rows: sums [TILE, head_size], then the largest score and the sum of weights of each. */
INLINE size_t partial_size(const AttentionCall *call) { return TILE * (call->head_size + 2); }

/* ---- new tokens: queries turned and scaled, keys turned into the cache, values copied there ---- */

INLINE void turn(const AttentionCall *call, const float *from, float *to, size_t position, float scale) {
    const float *cosines = call->cosines + position * call->turned, *sines = call->sines + position * call->turned;
    size_t half = call->turned, step = call->form.interleaved ? 2 : 1, other = call->form.interleaved ? 1 : half;
    for (size_t i = 0; i < half; i++) {
        float a = from[i * step], b = from[i * step + other];
        to[i * step] = (a * cosines[i] - b * sines[i]) * scale;
        to[i * step + other] = (a * sines[i] + b * cosines[i]) * scale;
    }
    for (size_t i = 2 * half; i < call->head_size; i++) to[i] = from[i] * scale;
}

/* A share of the new tokens. */
static void take_tokens(void *data, size_t task) {
    const AttentionCall *call = data;
    const size_t size = call->head_size, kv = (size_t)call->form.kv_heads, heads = (size_t)call->form.heads;
    const size_t group = heads / kv, all_tokens = call->sequences * call->tokens;
    for (size_t at = all_tokens * task / call->tasks; at < all_tokens * (task + 1) / call->tasks; at++) {
        size_t sequence = at / call->tokens, token = at % call->tokens;
        size_t position = (size_t)call->last[sequence] + 1 - call->tokens + token;
        const float *from = call->qkv + at * (heads + 2 * kv) * size;
        for (size_t head = 0; head < heads; head++, from += size) {
            size_t row = (sequence * kv + head / group) * call->rows + token * group + head % group;
            turn(call, from, call->queries + row * size, position, call->form.scale);
        }
        for (size_t head = 0; head < kv; head++, from += size)
            turn(call, from, call->keys + ((sequence * kv + head) * call->room + position) * size, position, 1);
        for (size_t head = 0; head < kv; head++, from += size)
            memcpy(call->values + ((sequence * kv + head) * call->room + position) * size, from, size * sizeof *from);
    }
}

/* ---- one split ---- */

/* Scores of LANES keys. */
INLINE Floats scores_of(const float *query, const float *keys, size_t size) {
    Floats sum[LANES];
    UNROLL16 for (int key = 0; key < LANES; key++) sum[key] = zeros();
    for (size_t start = 0; start < size; start += DIMS) {
        Floats q[VECTORS];
        UNROLL for (int i = 0; i < VECTORS; i++) q[i] = load(query + start + i * LANES);
        UNROLL16 for (int key = 0; key < LANES; key++) {
            const float *k = keys + (size_t)key * size + start;
            UNROLL for (int i = 0; i < VECTORS; i++) sum[key] = times_plus(q[i], load(k + i * LANES), sum[key]);
        }
    }
    return sums(sum);
}

/* Scores to weights, in place, of `count` keys, of which `seen` are before the row or its own. */
INLINE void weigh(float *scores, size_t count, size_t seen, float *most, float *total) {
    for (size_t key = seen; key < count; key++) scores[key] = -INFINITY;
    Floats top = all(-INFINITY), sum = zeros();
    for (size_t key = 0; key < count; key += LANES) top = larger(top, load(scores + key));
    *most = largest(top);
    for (size_t key = 0; key < count; key += LANES) {
        Floats weights = exponential(minus(load(scores + key), all(*most)));
        store(scores + key, weights);
    }
    for (size_t key = seen; key < count; key++) scores[key] = 0;
    for (size_t key = 0; key < count; key += LANES) sum = plus(sum, load(scores + key));
    *total = sum_of(sum);
}

/* DIMS numbers of `rows` rows: weights times values, summed key by key. `rows` is a constant. */
INLINE void add_values(const float *weights, const float *values, size_t count, size_t size, float *y, const int rows) {
    Floats sum[TOGETHER][VECTORS];
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int i = 0; i < VECTORS; i++) sum[row][i] = zeros();
    for (size_t key = 0; key < count; key++, values += size) {
        Floats v[VECTORS];
        UNROLL for (int i = 0; i < VECTORS; i++) v[i] = load(values + i * LANES);
        UNROLL for (int row = 0; row < rows; row++)
            UNROLL for (int i = 0; i < VECTORS; i++)
                sum[row][i] = times_plus(all(weights[row * SPLIT + (int)key]), v[i], sum[row][i]);
    }
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int i = 0; i < VECTORS; i++) store(y + (size_t)row * size + i * LANES, sum[row][i]);
}

/* The rows of one tile, and the keys of one split that the last of them sees. */
typedef struct {
    size_t row, rows, group; /* rows of a tile belong to rows / group tokens */
    size_t before;           /* the position of the sequence's first new token */
    size_t first, count;     /* keys */
} Part;

INLINE Part part_of(const AttentionCall *call, size_t head, size_t tile, size_t split) {
    const size_t kv = (size_t)call->form.kv_heads;
    Part part = {.row = tile * TILE, .group = (size_t)call->form.heads / kv, .first = split * SPLIT};
    part.rows = call->rows - part.row < TILE ? call->rows - part.row : TILE;
    part.before = (size_t)call->last[head / kv] + 1 - call->tokens;
    size_t end = part.before + (part.row + part.rows - 1) / part.group + 1;
    if (end > part.first) part.count = end - part.first < SPLIT ? end - part.first : SPLIT;
    return part;
}

/* Scores of all rows, [TILE, SPLIT], for keys up to the next multiple of LANES. */
INLINE void score(const AttentionCall *call, const Part *part, const float *query, const float *keys, float *scores) {
    const size_t size = call->head_size;
    float rest[LANES * MAX_HEAD];
    for (size_t key = 0; key < part->count; key += LANES) {
        const float *from = keys + key * size;
        size_t left = call->room - part->first - key;
        if (left < LANES) { /* positions beyond the cache are not read */
            memset(rest, 0, sizeof rest);
            memcpy(rest, from, left * size * sizeof *rest);
            from = rest;
        }
        for (size_t i = 0; i < part->rows; i++)
            store(scores + i * SPLIT + key, scores_of(query + i * size, from, size));
    }
}

/* Scores to weights: a row sees the keys up to its own. */
INLINE void weigh_rows(const Part *part, float *scores, float *most, float *total) {
    const size_t padded = (part->count + LANES - 1) / LANES * LANES;
    for (size_t i = 0; i < part->rows; i++, scores += SPLIT) {
        size_t end = part->before + (part->row + i) / part->group + 1;
        size_t seen = end <= part->first ? 0 : end - part->first < part->count ? end - part->first : part->count;
        if (seen > 0) {
            weigh(scores, padded, seen, &most[i], &total[i]);
        } else {
            most[i] = -INFINITY, total[i] = 0;
            memset(scores, 0, padded * sizeof *scores);
        }
    }
}

INLINE void add_rows(const Part *part, const float *scores, const float *values, size_t size, float *y) {
    size_t i = 0;
    for (; i + TOGETHER <= part->rows; i += TOGETHER)
        add_values(scores + i * SPLIT, values, part->count, size, y + i * size, TOGETHER);
    for (; HALF > 1 && i + HALF <= part->rows; i += HALF)
        add_values(scores + i * SPLIT, values, part->count, size, y + i * size, HALF);
    for (; i < part->rows; i++) add_values(scores + i * SPLIT, values, part->count, size, y + i * size, 1);
}

/* What the rows of a tile get from one split of keys, into `partial`. */
static void attend(const AttentionCall *call, size_t head, size_t tile, size_t split, float *partial) {
    const size_t size = call->head_size, start = (head * call->room + split * SPLIT) * size;
    const Part part = part_of(call, head, tile, split);
    float scores[TILE * SPLIT] __attribute__((aligned(64)));
    score(call, &part, call->queries + (head * call->rows + part.row) * size, call->keys + start, scores);
    weigh_rows(&part, scores, partial + TILE * size, partial + TILE * size + TILE);
    for (size_t at = 0; at < size; at += DIMS) add_rows(&part, scores, call->values + start + at, size, partial + at);
}

/* ---- splits together ---- */

INLINE void merge(const AttentionCall *call, size_t rows, float *into, const float *partial) {
    const size_t size = call->head_size;
    float *most = into + TILE * size, *total = most + TILE;
    const float *other_most = partial + TILE * size, *other_total = other_most + TILE;
    for (size_t i = 0; i < rows; i++) {
        if (other_most[i] == -INFINITY) continue;
        float top = most[i] > other_most[i] ? most[i] : other_most[i];
        float of[LANES];
        store(of, exponential(all(most[i] - top)));
        float mine = most[i] == -INFINITY ? 0 : of[0];
        store(of, exponential(all(other_most[i] - top)));
        float its = of[0];
        most[i] = top;
        total[i] = total[i] * mine + other_total[i] * its;
        for (size_t at = i * size; at < (i + 1) * size; at += LANES)
            store(into + at, times_plus(load(into + at), all(mine), times(load(partial + at), all(its))));
    }
}

static void finish(const AttentionCall *call, size_t head, size_t tile, const float *state) {
    const size_t size = call->head_size, kv = (size_t)call->form.kv_heads, group = (size_t)call->form.heads / kv;
    const size_t row = tile * TILE, rows = call->rows - row < TILE ? call->rows - row : TILE;
    for (size_t i = 0; i < rows; i++) {
        size_t token = (head / kv) * call->tokens + (row + i) / group;
        float *y = call->y + (token * (size_t)call->form.heads + (head % kv) * group + (row + i) % group) * size;
        Floats share = all(1 / state[TILE * size + TILE + i]);
        for (size_t at = 0; at < size; at += LANES) store(y + at, times(load(state + i * size + at), share));
    }
}

static void begin(const AttentionCall *call, float *state) {
    memset(state, 0, partial_size(call) * sizeof *state);
    for (size_t i = 0; i < TILE; i++) state[TILE * call->head_size + i] = -INFINITY;
}

INLINE size_t splits_of(const AttentionCall *call, size_t head) {
    return (size_t)call->last[head / (size_t)call->form.kv_heads] / SPLIT + 1;
}

/* The `task`th tile: all of its splits, one after the other. */
static void attend_tile(void *data, size_t task) {
    const AttentionCall *call = data;
    size_t head = task / call->tiles, tile = task % call->tiles, row = tile * TILE;
    size_t rows = call->rows - row < TILE ? call->rows - row : TILE;
    float state[TILE * (MAX_HEAD + 2)] __attribute__((aligned(64)));
    float partial[TILE * (MAX_HEAD + 2)] __attribute__((aligned(64)));
    begin(call, state);
    for (size_t split = 0; split < splits_of(call, head); split++) {
        attend(call, head, tile, split, partial);
        merge(call, rows, state, partial);
    }
    finish(call, head, tile, state);
}

/* The `task`th split of all tiles, for calls with few tiles. */
static void attend_split(void *data, size_t task) {
    const AttentionCall *call = data;
    size_t split = task % call->splits, tile = task / call->splits % call->tiles;
    size_t head = task / call->splits / call->tiles;
    if (split < splits_of(call, head))
        attend(call, head, tile, split, call->partial + task * partial_size(call));
}

static void merge_splits(const AttentionCall *call) {
    size_t heads = call->sequences * (size_t)call->form.kv_heads;
    float state[TILE * (MAX_HEAD + 2)] __attribute__((aligned(64)));
    for (size_t head = 0; head < heads; head++)
        for (size_t tile = 0; tile < call->tiles; tile++) {
            size_t row = tile * TILE, rows = call->rows - row < TILE ? call->rows - row : TILE;
            begin(call, state);
            const float *partial = call->partial + (head * call->tiles + tile) * call->splits * partial_size(call);
            for (size_t split = 0; split < splits_of(call, head); split++)
                merge(call, rows, state, partial + split * partial_size(call));
            finish(call, head, tile, state);
        }
}
