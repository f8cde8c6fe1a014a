// SPDX-License-Identifier: Apache-2.0
#include "call.h"

namespace nixl::simcuda {
namespace {

std::atomic<long> calls_made{0};

} // namespace

void count_call() {
    calls_made.fetch_add(1, std::memory_order_relaxed); // a count: nothing is ordered by it
}

CuResult admit() {
    count_call();
    // The real driver forbids it, and may hang.
    if (runs_host_function())
        return CuResult::NOT_PERMITTED;
    return initialised();
}

CuResult enter_context(Call& call) {
    if (context_stack().empty())
        return CuResult::INVALID_CONTEXT;
    call.gpu = call.driver.contexts.find(context_stack().back()).get();
    return call.gpu == nullptr ? CuResult::CONTEXT_IS_DESTROYED : call.gpu->fault;
}

std::vector<Context>& context_stack() {
    thread_local std::vector<Context> stack;
    return stack;
}

bool& runs_host_function() {
    thread_local bool runs = false;
    return runs;
}

extern "C" long nixl_simcuda_calls(void) { return calls_made.load(std::memory_order_relaxed); }

} // namespace nixl::simcuda
