/* One row of logits, and the search for its likeliest tokens. Knows no ONNX Runtime and no request. */
#pragma once
#include "lanes.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

/* GROUPS: so many for each token that is looked for, and FEWEST more; then few others are as likely. NEAR: so many
   numbers may lie between two bounds. */
enum { GROUPS = 4, FEWEST = 64, NEAR = 64, DIGITS = 8, LOGIT = 4, VALUES = 256 };

/* Work space for one vocabulary, which sampling/compiled_rows.py allocates. */
typedef struct {
    size_t size, padded;     /* of the vocabulary; as whole vectors */
    float *logits;           /* [padded]; -inf beyond the vocabulary */
    float *weights;          /* [padded] */
    uint64_t *found, *spare; /* [padded]; 32 bits that are smaller the likelier a token is, and as many of token */
} Work;

/* Copies a row, and gives its largest logit; not a number where one of them is none, or +inf. */
static float take(Work *work, const float *row) {
    Floats most = all(-INFINITY);
    unsigned finite = ~0u;
    size_t whole = work->size / LANES * LANES;
    memcpy(work->logits + whole, row + whole, (work->size - whole) * sizeof *row);
    for (size_t i = 0; i < work->padded; i += LANES) {
        Floats logits = load(i < whole ? row + i : work->logits + i);
        store(work->logits + i, logits);
        most = larger(most, logits);
        finite &= at_least(all(FLT_MAX), logits);
    }
    return finite == at_least(zeros(), zeros()) ? largest(most) : NAN;
}

/* allowed: a bit for each token from the lowest of each byte, as whole vectors. */
static void forbid_others(const Work *work, const uint8_t *allowed) {
    for (size_t i = 0; i < work->padded; i += LANES)
        store(work->logits + i, where_set(allowed + i / 8, load(work->logits + i), all(-INFINITY)));
}

static float largest_logit(const Work *work) {
    Floats most = all(-INFINITY);
    for (size_t i = 0; i < work->padded; i += LANES) most = larger(most, load(work->logits + i));
    return largest(most);
}

/* The larger the number, the larger its rank; below 2^32. */
INLINE uint32_t rank_of(float number) {
    uint32_t bits;
    number += 0.0f; /* makes one zero of two */
    memcpy(&bits, &number, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

INLINE float of_rank(int64_t rank) {
    uint32_t bits = (uint32_t)rank;
    float number;
    bits = bits >> 31 ? bits & 0x7fffffff : ~bits;
    memcpy(&number, &bits, sizeof number);
    return number;
}

INLINE uint64_t candidate(float logit, size_t token) { return (uint64_t)~rank_of(logit) << 32 | token; }

INLINE size_t digit_of(uint64_t candidate, int digit) { return candidate >> 8 * digit & 255; }

/* Likeliest first, of equal ones the lower token; by digits, so that the time grows with the count alone. first: the
   digit to begin with, LOGIT if the candidates are in the order of their tokens already. */
static void sort(Work *work, size_t count, int first) {
    size_t places[DIGITS][VALUES] = {0};
    for (size_t i = 0; i < count; i++)
        for (int digit = first; digit < DIGITS; digit++) places[digit][digit_of(work->found[i], digit)]++;
    for (int digit = first; digit < DIGITS; digit++) {
        size_t *place = places[digit], before = 0;
        if (count && place[digit_of(work->found[0], digit)] == count) continue; /* they share this digit */
        for (int value = 0; value < VALUES; value++) {
            size_t here = place[value];
            place[value] = before;
            before += here;
        }
        for (size_t i = 0; i < count; i++) work->spare[place[digit_of(work->found[i], digit)]++] = work->found[i];
        uint64_t *sorted = work->spare;
        work->spare = work->found;
        work->found = sorted;
    }
}

/* The count-th largest of some numbers, as whole vectors, or a little less: half of the numbers that there are between
   two bounds is left each time. */
static float reached_in(const float *numbers, size_t size, size_t count) {
    int64_t low = rank_of(-INFINITY), high = rank_of(INFINITY); /* as many reach the first one, but not the second */
    while (high - low > NEAR) {
        int64_t middle = (low + high) / 2;
        size_t reach = 0;
        for (size_t i = 0; i < size; i += LANES)
            reach += (size_t)__builtin_popcount(at_least(load(numbers + i), all(of_rank(middle))));
        if (reach >= count) low = middle;
        else high = middle;
    }
    return of_rank(low);
}

/* What the `count` likeliest and a few others reach: the count-th largest of the maxima of groups of logits is no
   larger than the count-th largest logit. Members of a group lie far apart, since the likely tokens of a vocabulary lie
   together. */
static float reached_by(Work *work, size_t count) {
    size_t width = (GROUPS * count + FEWEST) / LANES * LANES, depth = work->padded / width;
    float *maxima = work->weights;
    if (depth <= 1) {
        depth = 1;
        width = work->padded;
    }
    if (count > width) return -INFINITY;
    for (size_t i = 0; i < width; i += LANES) {
        Floats most = load(work->logits + i);
        for (size_t j = 1; j < depth; j++) most = larger(most, load(work->logits + j * width + i));
        store(maxima + i, most);
    }
    return reached_in(maxima, width, count);
}

/* Finds the tokens whose numbers reach the bound, and sorts them by their logits. Gives how many they are; with a bound
   of -inf also what is beyond the vocabulary, behind all others. */
static size_t find(Work *work, const float *numbers, float bound) {
    size_t count = 0;
    for (size_t i = 0; i < work->padded; i += LANES)
        for (unsigned which = at_least(load(numbers + i), all(bound)); which; which &= which - 1) {
            size_t token = i + (size_t)__builtin_ctz(which);
            work->found[count++] = candidate(work->logits[token], token);
        }
    sort(work, count, LOGIT);
    return count;
}

/* What a search found: all tokens whose logits reach the bound, in the order of `sort`. */
typedef struct {
    size_t count;
    float bound;
} Search;

INLINE size_t token_at(const Work *work, size_t place) { return (uint32_t)work->found[place]; }
