/* Activations times weights in blocks of small integers. Knows no ONNX Runtime.

   A weight is scale * q + offset, with a scale and an offset in half precision for each block of 16 or 32 inputs of an
   output, and q from 0 to 15 or to 255. Activations are rounded to 8 bits, each block of a row with a scale of its own
   (its largest magnitude is 127), so that a block's share of an output is
       scale * x_scale * sum(q * x_q) + offset * x_scale * sum(x_q)
   with sums of integers, which are exact. The order of the other operations does not depend on how many rows there are:
   a row has the same result to the bit in any company.

   Weights lie as they are read: for 16 outputs at once, block after block, and in a block entries of four inputs, then
   16 scales, then 16 offsets. With 4 bits a byte holds two inputs, the second one from the second half of the block.
*/
#pragma once
#include "lanes.h"

enum { OUTPUTS = 16, HALVES = OUTPUTS / LANES };
/* A full tile of rows computes so long that weights must be asked for so many bytes ahead, a smaller one is faster
   without; rows are taken TILE_ROWS at a time, so that they stay in the second cache. */
enum { AHEAD = 2560, LINE = 64, TILE_ROWS = 64 };

#define SMALLEST 1e-36f /* a block of smaller numbers counts as zeros: 127 divided by it is infinite */

typedef struct {
    int bits, block;
    size_t groups, blocks; /* of 16 outputs; of inputs */
} Form;

typedef struct {
    Form form;
    const uint8_t *weights; /* [groups, blocks, block_bytes] */
    const float *x;         /* [rows, blocks * block] */
    float *y;               /* [rows, groups * 16] */
    size_t rows, tasks;
    int8_t *q;             /* [rows, blocks * block] */
    float *scales, *sums;  /* [rows, blocks]: x_scale, and x_scale times the sum of x_q */
} Product;

INLINE size_t block_bytes(const int bits, const int block) {
    return (size_t)(OUTPUTS * block * bits / 8 + 4 * OUTPUTS);
}

INLINE void round_block(const Product *product, size_t index, const int block) {
    const float *x = product->x + index * (size_t)block;
    int8_t *q = product->q + index * (size_t)block;
    Floats most = zeros(), nothing = zeros();
    UNROLL for (int i = 0; i < block; i += LANES) {
        most = larger_magnitudes(most, load(x + i));
        nothing = plus(nothing, minus(load(x + i), load(x + i))); /* not a number where one of the block is none */
    }
    float top = largest(most);
    Floats inverse = all(top > SMALLEST ? 127 / top : 0);
    unsigned sum = 0;
    UNROLL for (int i = 0; i < block; i += LANES) sum += store_rounded(q + i, times(load(x + i), inverse));
    product->scales[index] = top / 127 + sum_of(nothing);
    product->sums[index] = product->scales[index] * (float)(int)sum;
}

/* A share of the rows, the `task`th of all. */
static void round_rows(void *data, size_t task) {
    const Product *product = data;
    const Form form = product->form;
    size_t first = product->rows * task / product->tasks, end = product->rows * (task + 1) / product->tasks;
    for (size_t index = first * form.blocks; index < end * form.blocks; index++) {
        if (form.block == 32)
            round_block(product, index, 32);
        else
            round_block(product, index, 16);
    }
}

INLINE void load_weights(Entry *entries, const uint8_t *from, const int bits, const int count) {
    const int stored = count * bits / 8;
    UNROLL for (int i = 0; i < stored; i++) {
        Entry bytes = load_entry(from + i * 4 * OUTPUTS);
        entries[i] = bits == 4 ? low_halves(bytes) : bytes;
        if (bits == 4) entries[stored + i] = high_halves(bytes);
    }
}

/* `rows` rows of LANES outputs; `half` says which of the group's. All but the first four arguments are constants. */
INLINE void tile(const Product *product, size_t group, size_t row, int half, const int rows, const int bits,
                 const int block) {
    const size_t bytes = block_bytes(bits, block), blocks = product->form.blocks;
    const size_t numbers = (size_t)(OUTPUTS * block * bits / 8);
    const uint8_t *w = product->weights + group * blocks * bytes;
    Floats y[ROWS];
    UNROLL for (int i = 0; i < rows; i++) y[i] = zeros();
    for (size_t b = 0; b < blocks; b++, w += bytes) {
        for (size_t line = 0; rows == ROWS && line < bytes; line += LINE)
            _mm_prefetch((const char *)w + AHEAD + line, _MM_HINT_T0);
        Entry entries[ENTRIES];
        load_weights(entries, w + 4 * LANES * half, bits, block / 4);
        Floats scales = load_halves(w + numbers + 2 * LANES * half);
        Floats offsets = load_halves(w + numbers + 2 * OUTPUTS + 2 * LANES * half);
        UNROLL for (int i = 0; i < rows; i++) {
            size_t at = (row + (size_t)i) * blocks + b;
            Floats sum = dot(entries, product->q + at * (size_t)block, bits, block / 4);
            y[i] = times_plus(sum, times(scales, all(product->scales[at])), y[i]);
            y[i] = times_plus(offsets, all(product->sums[at]), y[i]);
        }
    }
    float *y_at = product->y + row * product->form.groups * OUTPUTS + group * OUTPUTS + (size_t)(LANES * half);
    UNROLL for (int i = 0; i < rows; i++) store(y_at + (size_t)i * product->form.groups * OUTPUTS, y[i]);
}

/* Rows from `row` to `end` of one group. */
INLINE void rows_of_group(const Product *product, size_t group, size_t row, size_t end, const int bits,
                          const int block) {
    for (int half = 0; half < HALVES; half++) {
        size_t at = row;
        for (; at + ROWS <= end; at += ROWS) tile(product, group, at, half, ROWS, bits, block);
        if (ROWS > 4 && at + 4 <= end) tile(product, group, at, half, 4, bits, block), at += 4;
        if (at + 2 <= end) tile(product, group, at, half, 2, bits, block), at += 2;
        if (at < end) tile(product, group, at, half, 1, bits, block);
    }
}

/* A share of the outputs, the `task`th of all, for all rows, which `round_rows` has seen. */
static void multiply(void *data, size_t task) {
    const Product *product = data;
    const Form form = product->form;
    size_t first = form.groups * task / product->tasks, end = form.groups * (task + 1) / product->tasks;
    for (size_t row = 0; row < product->rows; row += TILE_ROWS) {
        size_t last = row + TILE_ROWS < product->rows ? row + TILE_ROWS : product->rows;
        for (size_t group = first; group < end; group++) {
            if (form.bits == 4 && form.block == 32) rows_of_group(product, group, row, last, 4, 32);
            if (form.bits == 4 && form.block == 16) rows_of_group(product, group, row, last, 4, 16);
            if (form.bits == 8 && form.block == 32) rows_of_group(product, group, row, last, 8, 32);
            if (form.bits == 8 && form.block == 16) rows_of_group(product, group, row, last, 8, 16);
        }
    }
}
