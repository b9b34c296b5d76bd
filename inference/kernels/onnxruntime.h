/* What this library uses of ONNX Runtime's C interface, whose header the Python package does not bring.

   The interface is a table of functions, and a place in it never changes once a version has been released; the names
   are those of onnxruntime_c_api.h. Functions that return a status return NULL if all went well.
*/
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { API_VERSION = 17 }; /* the first one that has ParallelFor */
enum { FLOAT_TENSOR = 1, UINT8_TENSOR = 2, INT32_TENSOR = 6 };
enum { INVALID_ARGUMENT = 2, OUT_OF_MEMORY = 1 };

typedef struct Status Status;
typedef struct Value Value;
typedef struct Context Context;
typedef struct Info Info;
typedef struct TensorShape TensorShape;
typedef struct Domain Domain;

typedef struct {
    const void *const *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
} ApiBase;

static const void *const *api;

#define FUNCTION(result, place, ...) ((result(*)(__VA_ARGS__))api[place])
#define create_status FUNCTION(Status *, 0, int code, const char *message)
#define create_domain FUNCTION(Status *, 26, const char *name, Domain **)
#define domain_add FUNCTION(Status *, 27, Domain *, const void *operator_)
#define add_domain FUNCTION(Status *, 28, void *session_options, Domain *)
#define tensor_data FUNCTION(Status *, 51, Value *, void **)
#define dimensions_count FUNCTION(Status *, 61, const TensorShape *, size_t *)
#define dimensions FUNCTION(Status *, 62, const TensorShape *, int64_t *, size_t count)
#define tensor_shape FUNCTION(Status *, 65, const Value *, TensorShape **)
#define attribute_float FUNCTION(Status *, 85, const Info *, const char *name, float *)
#define attribute_int FUNCTION(Status *, 86, const Info *, const char *name, int64_t *)
#define get_input FUNCTION(Status *, 90, const Context *, size_t index, const Value **)
#define get_output FUNCTION(Status *, 91, Context *, size_t index, const int64_t *, size_t count, Value **)
#define release_shape FUNCTION(void, 99, TensorShape *)
#define constant_input FUNCTION(Status *, 249, const Info *, size_t index, int *is_constant, const Value **)
#define parallel_for FUNCTION(Status *, 274, const Context *, void (*)(void *, size_t), size_t total, size_t, void *)

/* OrtCustomOp of API_VERSION; a member that is called only if it is set may be NULL. */
typedef struct {
    uint32_t version;
    void *(*create)(const void *op, const void *api, const Info *);
    const char *(*name)(const void *op);
    const char *(*provider)(const void *op);
    int (*input_type)(const void *op, size_t index);
    size_t (*input_count)(const void *op);
    int (*output_type)(const void *op, size_t index);
    size_t (*output_count)(const void *op);
    void (*compute)(void *kernel, Context *);
    void (*destroy)(void *kernel);
    int (*input_kind)(const void *op, size_t index);
    int (*output_kind)(const void *op, size_t index);
    int (*input_memory)(const void *op, size_t index);
    int (*variadic[4])(const void *op);
    Status *(*create_v2)(const void *op, const void *api, const Info *, void **kernel);
    Status *(*compute_v2)(void *kernel, Context *);
    Status *(*infer_shape)(const void *op, void *context);
    int (*first_version)(const void *op);
    int (*last_version)(const void *op);
} Operator;
