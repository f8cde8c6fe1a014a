// SPDX-License-Identifier: Apache-2.0
// Captures: what they forbid, to whom, and what ends them.
#include "rig.h"

namespace nixl::test {
namespace {

TEST(SimulatedCapture, QueriesOfAnyStream_areForbiddenAndEndIt) {
    on_gpus([](Rig& rig) {
        const Stream captured = rig.stream(), other = rig.stream();
        const Event event = rig.event();
        void* graph = nullptr;
        EXPECT_EQ(rig.call.event_record(event, other), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.capture_begin(captured, 0), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_query(event), CuResult::CAPTURE_UNSUPPORTED);
        EXPECT_EQ(rig.call.stream_query(other), CuResult::CAPTURE_UNSUPPORTED);
        EXPECT_EQ(rig.call.capture_end(captured, &graph), CuResult::CAPTURE_INVALIDATED);
        EXPECT_EQ(rig.call.stream_synchronize(other), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.event_query(event), CuResult::SUCCESS);
    });
}

TEST(SimulatedCapture, RelaxedThreads_mayAskAndDisturbNothing) {
    on_gpus([](Rig& rig) {
        const Stream captured = rig.stream(), other = rig.stream();
        void* graph = nullptr;
        EXPECT_EQ(rig.call.capture_begin(captured, 0), CuResult::SUCCESS);
        int mode = CAPTURE_RELAXED, is_capturing = 0;
        EXPECT_EQ(rig.call.capture_mode(&mode), CuResult::SUCCESS);
        EXPECT_EQ(mode, 0) << "the mode of before";
        EXPECT_EQ(rig.call.stream_query(other), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_is_capturing(captured, &is_capturing), CuResult::SUCCESS);
        EXPECT_EQ(is_capturing, 1);
        EXPECT_EQ(rig.call.stream_is_capturing(other, &is_capturing), CuResult::SUCCESS);
        EXPECT_EQ(is_capturing, 0);
        EXPECT_EQ(rig.call.capture_end(captured, &graph), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.capture_end(captured, &graph), CuResult::INVALID_VALUE);
    });
}

} // namespace
} // namespace nixl::test
