// SPDX-License-Identifier: Apache-2.0
// The list of decorators.
#include "backends/decorators/decorator.h"

#include "backends/decorators/fault/fault_queue.h"
#include "backends/decorators/forward.h"
#include "backends/decorators/limit/limit.h"
#include "backends/decorators/trace/trace.h"

namespace nixl::core {
namespace {

constexpr Decorator DECORATORS[] = {
    forwarding_decorator<TraceQueue>(),
    forwarding_decorator<FaultQueue>(),
    forwarding_decorator<LimitQueue>(),
};

} // namespace

std::span<const Decorator> decorators() noexcept { return DECORATORS; }

} // namespace nixl::core
