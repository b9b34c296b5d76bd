/* What the operators share: shapes, and the answers to what ONNX Runtime asks about an operator. */
#pragma once
#include "onnxruntime.h"

#include <stdlib.h>

enum { MAX_DIMENSIONS = 8 };

#define TRY(call)                          \
    do {                                   \
        Status *status_ = (call);          \
        if (status_ != NULL) return status_; \
    } while (0)

typedef struct {
    size_t count;
    int64_t of[MAX_DIMENSIONS];
} Dimensions;

static Status *read_dimensions(const Value *value, Dimensions *result) {
    TensorShape *shape;
    TRY(tensor_shape(value, &shape));
    Status *status = dimensions_count(shape, &result->count);
    if (status == NULL && result->count > MAX_DIMENSIONS)
        status = create_status(INVALID_ARGUMENT, "too many dimensions");
    if (status == NULL) status = dimensions(shape, result->of, result->count);
    release_shape(shape);
    return status;
}

static int zero_at(const void *op, size_t index) { return (void)op, (void)index, 0; } /* required; default memory */
static int one(const void *op) { return (void)op, 1; }
static int last_version(const void *op) { return (void)op, INT32_MAX; }
static const char *cpu(const void *op) { return (void)op, "CPUExecutionProvider"; }
static int float_at(const void *op, size_t index) { return (void)op, (void)index, FLOAT_TENSOR; }

/* Members that do not differ. */
#define ANY_OPERATOR                                                                                            \
    .version = API_VERSION, .provider = cpu, .output_type = float_at, .input_kind = zero_at, .output_kind = zero_at, \
    .input_memory = zero_at, .variadic = {one, one, one, one}, .first_version = one, .last_version = last_version
