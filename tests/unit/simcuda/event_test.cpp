// SPDX-License-Identifier: Apache-2.0
// Events: what they order, and which of their records is meant.
#include "rig.h"

namespace nixl::test {
namespace {

TEST(SimulatedEvent, WaitedFor_ordersTwoDevices) {
    on_gpus([](Rig& rig) {
        const Stream first = rig.stream();
        const Address source = rig.device_bytes(64);
        const Event event = rig.event();
        const Current other(rig, rig.contexts[1]);
        const Stream second = rig.stream();
        const Address target = rig.device_bytes(64);
        Gate gate(rig, first);
        EXPECT_EQ(rig.call.fill(source, 'e', 64, first), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_record(event, first), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_record(event, second), CuResult::INVALID_HANDLE);
        EXPECT_EQ(rig.call.stream_wait_event(second, event, 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.copy(target, source, 64, second), CuResult::SUCCESS);
        rig.let_run();
        EXPECT_EQ(rig.call.stream_query(second), CuResult::NOT_READY);
        gate.open();
        EXPECT_EQ(rig.call.stream_synchronize(second), CuResult::SUCCESS);
        EXPECT_EQ(rig.read(target, 64), std::string(64, 'e'));
    });
}

TEST(SimulatedEvent, WaitedFor_meansTheRecordOfThatMoment) {
    on_gpus([](Rig& rig) {
        const Stream first = rig.stream(), second = rig.stream();
        const Event event = rig.event();
        EXPECT_EQ(rig.call.stream_wait_event(second, event, 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_query(event), CuResult::SUCCESS); // never recorded
        EXPECT_EQ(rig.call.event_record(event, first), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_synchronize(event), CuResult::SUCCESS);
        Gate gate(rig, first);
        EXPECT_EQ(rig.call.stream_wait_event(second, event, 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_record(event, first), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(second), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_query(event), CuResult::NOT_READY);
        EXPECT_EQ(rig.call.event_destroy(event), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_query(event), CuResult::INVALID_HANDLE);
        gate.open();
    });
}

} // namespace
} // namespace nixl::test
