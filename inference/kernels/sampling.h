/* A token for each of some rows of logits, and log-probabilities: what sampling/numpy_rows.py does, in one call. */
#pragma once
#include "draw.h"

#define LARGEST 1e30 /* a penalised logit stays finite */
#define LEAST (-9999.0) /* stands for the logarithm of zero */
enum { MAX_ALTERNATIVES = 20 };

/* Tokens, and what each of them is to lose or gain. */
typedef struct {
    const int64_t *tokens; /* [count]; those beyond the vocabulary are passed over */
    const double *values;  /* [count] */
    size_t count;
} Changes;

/* What a request asks for at one place, as sampling/compiled_rows.py has it, too. */
typedef struct {
    const float *logits;    /* [size]; the model's */
    const uint8_t *allowed; /* a bit for each token that may be drawn, as whole vectors; NULL: all may */
    Changes biases;         /* added */
    Changes losses;         /* subtracted, of tokens that the repetition penalty concerns */
    Changes repeats;        /* DRY's, subtracted; of several for one token the last counts */
    double repetition;
    Cuts cuts;
    int64_t greedy;
    int64_t alternatives; /* to report, at most size; below 0: no log-probability either */
} Row;

/* Of each row, in arrays of as many. */
typedef struct {
    int64_t *token; /* -1 where none can be drawn */
    double *logprob;
    int64_t *tokens;  /* [MAX_ALTERNATIVES] of each row */
    double *logprobs; /* the same */
} Results;

/* The logit of the i-th token, or NULL where it cannot be changed. */
static float *changing(const Work *work, const Changes *changes, size_t i) {
    uint64_t token = (uint64_t)changes->tokens[i];
    return token < work->size && work->logits[token] > -INFINITY ? work->logits + token : NULL;
}

static float bounded(double logit) { return (float)fmin(fmax(logit, -LARGEST), LARGEST); }

static void bias(const Work *work, const Changes *biases) {
    for (size_t i = 0; i < biases->count; i++) {
        float *logit = changing(work, biases, i);
        if (logit) *logit += (float)biases->values[i];
    }
}

static void penalise(const Work *work, const Changes *losses, const double repetition) {
    for (size_t i = 0; i < losses->count; i++) {
        float *logit = changing(work, losses, i);
        if (!logit) continue;
        double divided = *logit / repetition, multiplied = *logit * repetition;
        *logit = bounded((repetition > 1 ? fmin(divided, multiplied) : fmax(divided, multiplied)) - losses->values[i]);
    }
}

static void penalise_repeats(const Work *work, const Changes *repeats) {
    float *before = work->weights;
    for (size_t i = 0; i < repeats->count; i++) {
        float *logit = changing(work, repeats, i);
        if (logit) before[repeats->tokens[i]] = *logit;
    }
    for (size_t i = 0; i < repeats->count; i++) {
        float *logit = changing(work, repeats, i);
        if (logit) *logit = bounded(before[repeats->tokens[i]] - repeats->values[i]);
    }
}

/* A token, or -1 if all are forbidden. top: the largest logit; not a number if unknown. */
static int64_t likeliest(const Work *work, float top) {
    unsigned which;
    if (isnan(top)) top = largest_logit(work);
    if (top == -INFINITY) return -1;
    for (size_t i = 0;; i += LANES)
        if ((which = at_least(load(work->logits + i), all(top)))) return (int64_t)i + __builtin_ctz(which);
}

/* How many, and which, reach the bound of a search now that logits were changed; 0 if there is no room to tell. */
static size_t find_again(Work *work, const Row *row, Search before) {
    const Changes *all_changes[] = {&row->biases, &row->losses, &row->repeats};
    size_t count = 0, distinct = 0;
    for (size_t i = 0; i < before.count; i++) {
        size_t token = token_at(work, i);
        if (work->logits[token] >= before.bound) work->found[count++] = candidate(work->logits[token], token);
    }
    for (int kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < all_changes[kind]->count; i++) {
            const float *logit = changing(work, all_changes[kind], i);
            if (!logit || *logit < before.bound) continue;
            size_t token = (size_t)(logit - work->logits);
            if (row->logits[token] >= before.bound) continue; /* it was found before */
            if (count == work->padded) return 0;
            work->found[count++] = candidate(*logit, token);
        }
    sort(work, count, 0);
    for (size_t i = 0; i < count; i++) /* a token may have been changed twice */
        if (!distinct || work->found[distinct - 1] != work->found[i]) work->found[distinct++] = work->found[i];
    return distinct;
}

static void change(const Work *work, const Row *row) {
    bias(work, &row->biases);
    penalise(work, &row->losses, row->repetition);
    penalise_repeats(work, &row->repeats);
}

/* The likeliest tokens, enough for the report and top-k. */
static Search search(Work *work, const Row *row) {
    size_t wanted = row->alternatives > 0 ? (size_t)row->alternatives : 0, top_k = (size_t)row->cuts.top_k;
    if (!row->greedy && top_k < work->size && top_k > wanted) wanted = top_k;
    if (!wanted) return (Search){0, INFINITY};
    float bound = reached_by(work, wanted);
    /* Forbidden tokens may be reported, but not drawn. */
    if (row->alternatives <= 0 && bound < -FLT_MAX) bound = -FLT_MAX;
    return (Search){find(work, work->logits, bound), bound};
}

static void sample(Work *work, const Row *row, const Results *results, size_t place) {
    int reports = row->alternatives >= 0;
    float top = take(work, row->logits);
    double log_sum = 0;
    results->token[place] = -1;
    if (!isfinite(top)) return;
    if (row->allowed && !reports) forbid_others(work, row->allowed);
    if (reports) log_sum = top + log(weight_of_all(work, top, row->logits + work->size));
    Search known = search(work, row);
    for (size_t i = 0; (int64_t)i < row->alternatives; i++) {
        size_t token = token_at(work, i), to = place * MAX_ALTERNATIVES + i;
        results->tokens[to] = (int64_t)token;
        results->logprobs[to] = fmax(work->logits[token] - log_sum, LEAST);
    }
    int changed = row->allowed || row->biases.count || row->losses.count || row->repeats.count;
    if (changed) {
        if (row->allowed && reports) forbid_others(work, row->allowed);
        change(work, row);
        known.count = row->greedy ? 0 : find_again(work, row, known);
        top = NAN;
    }
    int64_t token = row->greedy ? likeliest(work, top) : draw(work, &row->cuts, top, known);
    results->token[place] = token;
    if (token >= 0) results->logprob[place] = fmax(row->logits[token] - log_sum, LEAST);
}

/* For a test that the other side has the same structures. */
const size_t answerd_sizes[] = {sizeof(Work), sizeof(Row), sizeof(Results)};

void answerd_sample(Work *work, const Row *const *rows, size_t count, const Results *results) {
    for (size_t i = 0; i < count; i++) sample(work, rows[i], results, i);
}
