// SPDX-License-Identifier: Apache-2.0
// What all decorators share, and the two that inject nothing: trace and limit.
#include <cstring>

#include <gtest/gtest.h>

#include "backends/builtin.h"
#include "backends/decorators/decorator.h"
#include "tests/unit/backends/wrapped_backend.h"

namespace nixl::test::host_queues {
namespace {

TEST(Decorators, Names_areFoundAndPrefixed) {
    FakeHost host(1);
    for (const char* name : {"trace", "fault", "limit"}) {
        WrappedBackend wrapped(name, load(nixl_backend_entry_memcpy, host));
        EXPECT_EQ(std::string(wrapped.table().name), std::string(name) + ":memcpy");
    }
    EXPECT_EQ(core::decorators().size(), 3u);
}

TEST(Decorators, WhatTheInnerBackendHasNot_staysNull) {
    FakeHost host(1);
    const nixl_backend_v1 inner = load(nixl_backend_entry_null, host);
    for (const core::Decorator& decorator : core::decorators()) {
        WrappedBackend wrapped(decorator.name, inner);
        const nixl_backend_v1& outer = wrapped.table();
        EXPECT_EQ(outer.attach, nullptr);
        EXPECT_EQ(outer.flush, nullptr);
        EXPECT_EQ(outer.prepare, nullptr);
        EXPECT_EQ(outer.connect, nullptr);
        EXPECT_EQ(outer.assist, nullptr);
        EXPECT_EQ(outer.queue_fd, nullptr);
        EXPECT_NE(outer.cancel, nullptr);
        EXPECT_NE(outer.arm, nullptr);
    }
}

TEST(Decorators, MoveNow_isNotOfferedSinceItPassesSubmitBy) {
    FakeHost host(1);
    const nixl_backend_v1 inner = load(nixl_backend_entry_memcpy, host);
    ASSERT_NE(inner.move_now, nullptr);
    for (const core::Decorator& decorator : core::decorators())
        EXPECT_EQ(WrappedBackend(decorator.name, inner).table().move_now, nullptr);
}

TEST(Decorators, IncompleteTables_areRefused) {
    FakeHost host(1);
    nixl_backend_v1 inner = load(nixl_backend_entry_memcpy, host);
    for (const core::Decorator& decorator : core::decorators()) {
        nixl_backend_v1 out{};
        out.struct_size = sizeof out;
        EXPECT_EQ(decorator.wrap(nullptr, &out), NIXL_INVALID_ARGUMENT);
        EXPECT_EQ(decorator.wrap(&inner, nullptr), NIXL_INVALID_ARGUMENT);
        nixl_backend_v1 broken = inner;
        broken.submit = nullptr;
        EXPECT_EQ(decorator.wrap(&broken, &out), NIXL_INVALID_ARGUMENT);
        broken = inner;
        broken.struct_size = offsetof(nixl_backend_v1, poll); // what lies behind was never written
        EXPECT_EQ(decorator.wrap(&broken, &out), NIXL_INVALID_ARGUMENT);
    }
}

TEST(Decorators, RefusedProbe_passesTheReasonOn) {
    FakeHost host(0);
    for (const core::Decorator& decorator : core::decorators()) {
        WrappedBackend wrapped(decorator.name, load(nixl_backend_entry_null, host));
        const nixl_backend_v1& table = wrapped.table();
        char text[256] = "";
        nixl_error_text error{text, sizeof text, 0, 0};
        nixl_caps caps{};
        caps.struct_size = sizeof caps;
        void* instance = nullptr;
        EXPECT_EQ(table.probe(table.self, host.table(), &caps, &error), NIXL_UNSUPPORTED);
        EXPECT_NE(std::strstr(text, "null.enable"), nullptr);
        EXPECT_EQ(table.open(table.self, host.table(), &instance, &error), NIXL_UNSUPPORTED);
    }
}

/// An inner backend that writes down which control calls reach it, with its own instance.
struct Recorder {
    int number = 7; // what its functions must be given back
    std::string calls;

    static Recorder& of(void* instance) { return *static_cast<Recorder*>(instance); }

    [[nodiscard]] nixl_backend_v1 table(const FakeHost& host) {
        nixl_backend_v1 t = load(nixl_backend_entry_memcpy, host);
        t.name = "recorder";
        t.self = this;
        t.open = [](void* self, const nixl_host_v1*, void** instance, nixl_error_text*) {
            *instance = self;
            return nixl_status{NIXL_OK};
        };
        t.close = [](void* instance) { of(instance).calls += "close "; };
        t.attach = [](void* instance, const nixl_region_desc*, void** registration,
                      nixl_error_text*) {
            *registration = &of(instance).number;
            of(instance).calls += "attach ";
            return nixl_status{NIXL_OK};
        };
        t.detach = [](void* instance, void* registration) {
            of(instance).calls += registration == &of(instance).number ? "detach " : "wrong ";
        };
        t.flush = [](void* instance, void*, nixl_error_text*) {
            of(instance).calls += "flush ";
            return nixl_status{NIXL_NO_SPACE};
        };
        t.disconnect = [](void* instance, nixl_peer_id peer) {
            of(instance).calls += "disconnect" + std::to_string(peer) + " ";
        };
        t.unprepare = [](void* instance, void*) { of(instance).calls += "unprepare "; };
        return t;
    }
};

TEST(Decorators, ControlCalls_reachTheInnerInstance) {
    FakeHost host(0);
    for (const core::Decorator& decorator : core::decorators()) {
        Recorder recorder;
        WrappedBackend wrapped(decorator.name, recorder.table(host));
        const nixl_backend_v1& table = wrapped.table();
        void* instance = nullptr;
        void* registration = nullptr;
        const nixl_region_desc region{};
        ASSERT_EQ(table.open(table.self, host.table(), &instance, nullptr), NIXL_OK);
        EXPECT_EQ(table.attach(instance, &region, &registration, nullptr), NIXL_OK);
        EXPECT_EQ(table.flush(instance, registration, nullptr), NIXL_NO_SPACE);
        table.unprepare(instance, nullptr);
        table.disconnect(instance, 3);
        table.detach(instance, registration);
        table.close(instance);
        EXPECT_EQ(recorder.calls, "attach flush unprepare disconnect3 detach close ");
    }
}

TEST(Decorators, Stacked_stillCopy) {
    FakeHost host(2);
    const Bytes source = random_bytes(100000, 1);
    Bytes target(100000);
    WrappedBackend inner("limit", load(nixl_backend_entry_memcpy, host));
    WrappedBackend outer("trace", inner.table());
    EXPECT_STREQ(outer.table().name, "trace:limit:memcpy");
    QueueRig rig(host, outer.table());
    Transfer work(const_cast<unsigned char*>(source.data()), target.data(),
                  {strided(0, 0, 1000, 1000, 1000, 100)}, 1);
    ASSERT_TRUE(rig.finish(work));
    EXPECT_TRUE(target == source);
}

TEST(Trace, EachCall_isLoggedAndCounted) {
    FakeHost host(0);
    Bytes memory(100);
    WrappedBackend wrapped("trace", load(nixl_backend_entry_memcpy, host));
    QueueRig rig(host, wrapped.table());
    Transfer work(memory.data(), memory.data() + 50, {strided(0, 0, 5, 5, 5, 10)}, 41);

    ASSERT_TRUE(rig.finish(work));
    rig.cancel(41);

    EXPECT_TRUE(
        host.logged("memcpy queue 0: submit tag 41 elements 0+10 runs flags 0, accepted 10"));
    EXPECT_TRUE(host.logged("completed tag 41 elements 0+10 bytes 50 status 0 detail 0"));
    EXPECT_TRUE(host.logged("cancel tag 41"));
    EXPECT_EQ(host.log_lines().front().level, NIXL_LOG_TRACE);
    EXPECT_EQ(host.counted("trace.memcpy.submits"), 1u);
    EXPECT_EQ(host.counted("trace.memcpy.elements"), 10u);
    EXPECT_EQ(host.counted("trace.memcpy.completed"), 10u);
    EXPECT_EQ(host.counted("trace.memcpy.failed"), 0u);
    EXPECT_EQ(host.counted("trace.memcpy.bytes"), 50u);
    EXPECT_EQ(host.counted("trace.memcpy.cancels"), 1u);
}

TEST(Limit, Depth_isNeverExceeded) {
    FakeHost host(0);
    host.set("limit.depth", "3").set("null.enable", "true");
    WrappedBackend wrapped("limit", load(nixl_backend_entry_null, host));
    nixl_caps caps{};
    caps.struct_size = sizeof caps;
    ASSERT_EQ(wrapped.table().probe(wrapped.table().self, host.table(), &caps, nullptr), NIXL_OK);
    EXPECT_EQ(caps.max_depth, 3u);

    QueueRig rig(host, wrapped.table());
    Transfer work(nullptr, nullptr, {strided(0, 0, 8, 8, 8, 10)}, 1);
    EXPECT_EQ(rig.submit(work), 3u);
    EXPECT_EQ(rig.submit(work), 0u);
    rig.poll();
    EXPECT_EQ(rig.submit(work), 3u);
    EXPECT_TRUE(rig.finish(work));
    EXPECT_EQ(work.bytes, 80u);
}

TEST(Limit, Rate_givesWhatTimeHasEarned) {
    FakeHost host(0);
    host.set("limit.bytes_per_second", "1000000000").set("null.enable", "true");
    host.set_clock_ns(1000000);
    WrappedBackend wrapped("limit", load(nixl_backend_entry_null, host));
    QueueRig rig(host, wrapped.table());
    // The first 10 ms are granted: 10,000,000 bytes, and one element may overdraw.
    Transfer work(nullptr, nullptr, {strided(0, 0, 3000000, 0, 0, 100)}, 1);
    EXPECT_EQ(rig.submit(work), 4u);
    rig.poll();

    EXPECT_EQ(rig.submit(work), 0u);
    EXPECT_EQ(host.wakes(&rig), 1u) << "the core must know that it may offer again";
    EXPECT_FALSE(rig.arm()) << "nobody would wake a driver that sleeps now";

    host.advance_clock_ns(2000000); // pays the 2,000,000 bytes owed, no more
    EXPECT_EQ(rig.submit(work), 0u);
    host.advance_clock_ns(1);
    EXPECT_EQ(rig.submit(work), 1u);
    rig.poll();
    EXPECT_FALSE(rig.arm() && work.submitted == work.count());
}

} // namespace
} // namespace nixl::test::host_queues
