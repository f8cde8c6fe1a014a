// SPDX-License-Identifier: Apache-2.0
// A backend whose work never comes back, not even when it is cancelled, and which goes on using the
// host's services all the same: what a device does that has stopped answering.
#pragma once

#include <nixl/backend.h>

namespace nixl::test {

/// Copies between host memory, faster than anything in its own opinion, so that the router takes
/// it.
[[nodiscard]] nixl_backend_v1 late_backend();

struct LateBackend {
    /// Calls wake(), log(), now_ns() and count() of the host that opened it last, as late work
    /// would.
    static void use_host();
    /// Opened and not closed.
    static unsigned open_instances();
};

} // namespace nixl::test
