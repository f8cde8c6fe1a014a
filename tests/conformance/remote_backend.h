// SPDX-License-Identifier: Apache-2.0
// A backend for tests only: instances of one process are each other's peers, and reading or writing
// a peer's memory is a memcpy. It exercises the peer half of the ABI before there is a network, and
// fails on demand: a peer can die, and work can be held back.
#pragma once

#include <nixl/backend.h>

extern "C" nixl_status nixl_backend_entry_remote(const nixl_host_v1* host, nixl_backend_v1* out);

namespace nixl::test {

/// What the tests ask of all instances. Threads: any thread.
struct RemoteWorld {
    /// Accepted elements stay where they are until this is taken back; cancel and disconnect still
    /// end them.
    static void hold(bool on);
    /// As if the process behind the instance that was opened last `back` opens ago had died.
    static void kill_latest(unsigned back = 0);
    /// Tells all peers of the instance that was opened last `back` opens ago that it is
    /// NIXL_PEER_UP or NIXL_PEER_SUSPECT.
    static void tell(int event, unsigned back = 0);
    /// Instances that are open, and registrations, own and imported, that are attached now.
    static uint64_t objects();
};

/// Elements that one queue takes, and notifications that one queue holds for peers that take none.
inline constexpr uint32_t REMOTE_DEPTH = 64;

} // namespace nixl::test
