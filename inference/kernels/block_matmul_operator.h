/* The operator answerd::BlockMatMul for ONNX Runtime.

   Inputs: x float32 [..., inputs], weights uint8 [outputs/16, inputs/block_size, bytes of a block], which must be
   constant. Output: float32 [..., outputs]. Attributes: bits (4 or 8), block_size (16 or 32). block_matmul.h has the
   numbers' meaning and the layout.
*/
#pragma once
#include "block_matmul.h"
#include "operator.h"

enum { TASKS = 32, ROWS_WORTH_SHARING = 16, MOST = 1 << 26 /* groups or blocks: numbers of them do not overflow */ };

static Status *matmul_create(const void *op, const void *unused, const Info *info, void **kernel) {
    (void)op, (void)unused;
    int64_t bits, block;
    TRY(attribute_int(info, "bits", &bits));
    TRY(attribute_int(info, "block_size", &block));
    if ((bits != 4 && bits != 8) || (block != 16 && block != 32))
        return create_status(INVALID_ARGUMENT, "BlockMatMul: bits must be 4 or 8 and block_size 16 or 32");
    int is_constant;
    const Value *weights;
    TRY(constant_input(info, 1, &is_constant, &weights));
    if (!is_constant) return create_status(INVALID_ARGUMENT, "BlockMatMul: the weights must be constant");
    Dimensions shape;
    TRY(read_dimensions(weights, &shape));
    if (shape.count != 3 || shape.of[2] != (int64_t)block_bytes((int)bits, (int)block))
        return create_status(INVALID_ARGUMENT, "BlockMatMul: the weights' shape does not fit bits and block_size");
    if (shape.of[0] < 1 || shape.of[1] < 1 || shape.of[0] > MOST || shape.of[1] > MOST)
        return create_status(INVALID_ARGUMENT, "BlockMatMul: there are no weights, or too many");
    Form *form = malloc(sizeof *form);
    if (form == NULL) return create_status(OUT_OF_MEMORY, "BlockMatMul: out of memory");
    *form = (Form){(int)bits, (int)block, (size_t)shape.of[0], (size_t)shape.of[1]};
    *kernel = form;
    return NULL;
}

static Status *matmul_run(const Context *context, Product *product) {
    product->tasks = product->rows < ROWS_WORTH_SHARING ? 1 : product->rows < TASKS ? product->rows : TASKS;
    if (product->tasks == 1)
        round_rows(product, 0);
    else
        TRY(parallel_for(context, round_rows, product->tasks, 0, product));
    product->tasks = product->form.groups < TASKS ? product->form.groups : TASKS;
    return parallel_for(context, multiply, product->tasks, 0, product);
}

/* Room for the rounded activations; `free` it. NULL if there is none. */
static void *matmul_room(Product *product) {
    size_t scales = product->rows * product->form.blocks, numbers = scales * (size_t)product->form.block;
    int8_t *room = malloc(numbers + 2 * scales * sizeof(float));
    if (room == NULL) return NULL;
    product->q = room;
    product->scales = (float *)(void *)(room + numbers);
    product->sums = product->scales + scales;
    return room;
}

static Status *matmul_compute(void *kernel, Context *context) {
    Product product = {.form = *(const Form *)kernel};
    const Value *x, *weights;
    Value *y;
    TRY(get_input(context, 0, &x));
    TRY(get_input(context, 1, &weights));
    Dimensions shape;
    TRY(read_dimensions(x, &shape));
    if (shape.count == 0 || shape.of[shape.count - 1] != (int64_t)(product.form.blocks * (size_t)product.form.block))
        return create_status(INVALID_ARGUMENT, "BlockMatMul: x has not as many inputs as the weights");
    product.rows = 1;
    for (size_t i = 0; i + 1 < shape.count; i++) product.rows *= (size_t)shape.of[i];
    shape.of[shape.count - 1] = (int64_t)(product.form.groups * OUTPUTS);
    TRY(get_output(context, 0, shape.of, shape.count, &y));
    TRY(tensor_data((Value *)x, (void **)&product.x));
    TRY(tensor_data((Value *)weights, (void **)&product.weights));
    TRY(tensor_data(y, (void **)&product.y));
    if (product.rows == 0) return NULL;
    void *room = matmul_room(&product);
    if (room == NULL) return create_status(OUT_OF_MEMORY, "BlockMatMul: out of memory");
    Status *status = matmul_run(context, &product);
    free(room);
    return status;
}

static const char *matmul_name(const void *op) { return (void)op, "BlockMatMul"; }
static int matmul_input_type(const void *op, size_t index) {
    return (void)op, index == 0 ? FLOAT_TENSOR : UINT8_TENSOR;
}
static size_t matmul_inputs(const void *op) { return (void)op, 2; }
static size_t matmul_outputs(const void *op) { return (void)op, 1; }

static const Operator block_matmul = {
    ANY_OPERATOR,
    .name = matmul_name,
    .input_type = matmul_input_type,
    .input_count = matmul_inputs,
    .output_count = matmul_outputs,
    .create_v2 = matmul_create,
    .compute_v2 = matmul_compute,
    .destroy = free,
};
