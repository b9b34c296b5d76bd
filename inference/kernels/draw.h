/* The draw: temperature, top-k, top-p, min-p and one uniform number. Knows no ONNX Runtime and keeps no state.

   It inverts the cumulative distribution. Each of the cuts leaves some of the likeliest tokens, so along their falling
   weights all cuts are lengths. Only candidates are sorted; the sum over a vocabulary runs over blocks, then inside
   one. (sampling/draw.py is the same in numpy.)
*/
#pragma once
#include "candidates.h"

#include <stdint.h>

enum { BLOCK = 256 };
#define LIKELY 1e-4  /* tokens of at least this share of the mass are tried as the nucleus first */

typedef struct {
    double temperature, top_p, min_p;
    double uniform; /* in [0, 1) */
    int64_t top_k;  /* 0: all */
} Cuts;

INLINE Floats weights_of(Floats logits, Floats top, Floats inverse) {
    Floats x = times(minus(logits, top), inverse);
    return where_at_least(x, all(-87.0f), exponential(x));
}

/* Probabilities up to a factor: a logit of `top` weighs 1. */
static void weigh_logits(const float *logits, float *weights, size_t count, float top, double temperature) {
    const Floats inverse = all((float)(1 / temperature));
    for (size_t i = 0; i < count; i += LANES) store(weights + i, weights_of(load(logits + i), all(top), inverse));
}

/* next: what is probably read afterwards, the next row in memory; it is asked for here, where arithmetic takes the
   time. To ask for what is not there does no harm. */
static double weight_of_all(const Work *work, float top, const float *next) {
    double total = 0;
    for (size_t start = 0; start < work->padded; start += BLOCK) {
        size_t end = start + BLOCK < work->padded ? start + BLOCK : work->padded;
        Floats sum = zeros();
        for (size_t i = start; i < end; i += LANES) {
            sum = plus(sum, weights_of(load(work->logits + i), all(top), all(1)));
            __builtin_prefetch(next + i);
        }
        total += sum_of(sum);
    }
    return total;
}

static double sum_of_block(const Work *work, size_t start) {
    size_t end = start + BLOCK < work->padded ? start + BLOCK : work->padded;
    Floats sum = zeros();
    for (size_t i = start; i < end; i += LANES) sum = plus(sum, load(work->weights + i));
    return sum_of(sum);
}

static double sum_of_all(const Work *work) {
    double sum = 0;
    for (size_t start = 0; start < work->padded; start += BLOCK) sum += sum_of_block(work, start);
    return sum;
}

static double sum_of_first(const float *weights, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += weights[i];
    return sum;
}

/* The first index whose cumulative weight exceeds the target; where rounding lets none, the last of any weight. */
static size_t pick(const float *weights, size_t count, double target) {
    size_t last = 0;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] > 0) last = i;
        sum += weights[i];
        if (sum > target) return i;
    }
    return last;
}

static int64_t pick_of_all(const Work *work, double target) {
    size_t chosen = 0;
    double before = 0, rest = target;
    for (size_t start = 0; start < work->padded; start += BLOCK) {
        double sum = sum_of_block(work, start);
        if (sum > 0) {
            chosen = start;
            rest = target - before;
        }
        before += sum;
        if (before > target) break;
    }
    size_t count = work->padded - chosen < BLOCK ? work->padded - chosen : BLOCK;
    return (int64_t)(chosen + pick(work->weights + chosen, count, rest));
}

/* One of the `count` tokens that were found. rest: what others weigh that top-p counts. */
static int64_t draw_found(Work *work, size_t count, const Cuts *cuts, double rest) {
    float *weights = work->weights;
    if (cuts->top_k && (size_t)cuts->top_k < count) count = (size_t)cuts->top_k;
    if (!count) return -1;
    for (size_t i = 0; i < count; i++) weights[i] = work->logits[token_at(work, i)];
    for (size_t i = count; i % LANES; i++) weights[i] = -INFINITY;
    weigh_logits(weights, weights, count, weights[0], cuts->temperature);
    if (cuts->top_p < 1) {
        double sum = 0, share = cuts->top_p * (sum_of_first(weights, count) + rest);
        for (size_t i = 0; i < count; i++) {
            sum += weights[i];
            if (sum >= share) count = i + 1;
        }
    }
    while (count > 1 && weights[count - 1] < (float)cuts->min_p) count--;
    return (int64_t)token_at(work, pick(weights, count, cuts->uniform * sum_of_first(weights, count)));
}

/* The tokens that make up the share top_p, the likeliest among them. */
static int64_t draw_nucleus(Work *work, const Cuts *cuts) {
    double total = sum_of_all(work), mass = 0;
    size_t count = find(work, work->weights, (float)(total * LIKELY));
    for (size_t i = 0; i < count; i++) mass += work->weights[token_at(work, i)];
    if (mass >= cuts->top_p * total) return draw_found(work, count, cuts, total - mass);
    return draw_found(work, find(work, work->weights, FLT_MIN), cuts, 0);
}

/* A token, or -1 if all are forbidden: all logits are -inf. top: the largest of them; not a number if unknown.
   known: what is found already, which may be too little. */
static int64_t draw(Work *work, const Cuts *cuts, float top, Search known) {
    if (cuts->top_k > 0 && (size_t)cuts->top_k < work->size) {
        /* From a bound of -FLT_MAX on, all that can be drawn are known. */
        if (known.bound < -FLT_MAX || (known.bound > -FLT_MAX && known.count < (size_t)cuts->top_k)) {
            float bound = reached_by(work, (size_t)cuts->top_k);
            known.count = find(work, work->logits, bound < -FLT_MAX ? -FLT_MAX : bound);
        }
        return draw_found(work, known.count, cuts, 0);
    }
    if (isnan(top)) top = largest_logit(work);
    if (top == -INFINITY) return -1;
    if (cuts->top_p == 1 && cuts->min_p > 0) {
        /* A candidate too many is no harm: its weight decides. */
        double least = top + cuts->temperature * (log(cuts->min_p) - 1);
        return draw_found(work, find(work, work->logits, (float)fmax(least, -FLT_MAX)), cuts, 0);
    }
    weigh_logits(work->logits, work->weights, work->padded, top, cuts->temperature);
    if (cuts->top_p < 1) return draw_nucleus(work, cuts);
    return pick_of_all(work, cuts->uniform * sum_of_all(work));
}
