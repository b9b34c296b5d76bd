/* The library: both operators, in the domain answerd, and sampling. */
#include "attention_operator.h"
#include "block_matmul_operator.h"
#include "sampling.h"

/* Called by SessionOptions.register_custom_ops_library. */
Status *RegisterCustomOps(void *session_options, const ApiBase *base) {
    Domain *domain;
    api = base->get_api(API_VERSION);
    if (api == NULL) { /* older than 1.17: the first version can at least say so */
        api = base->get_api(1);
        return create_status(INVALID_ARGUMENT, "ONNX Runtime is too old for answerd's kernels");
    }
    TRY(create_domain("answerd", &domain));
    TRY(domain_add(domain, &block_matmul));
    TRY(domain_add(domain, &attention));
    return add_domain(session_options, domain);
}
