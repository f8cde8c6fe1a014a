// SPDX-License-Identifier: Apache-2.0
// What one queue starts, and what it leaves to others, without a file.
#include <array>
#include <cerrno>
#include <vector>

#include <gtest/gtest.h>

#include "backends/posix/flow.h"
#include "tests/support/fake_host.h"

namespace nixl::core::posix {
namespace {

using Way = WritePhase::Way;

/// Elements of 16 bytes of one file, each an operation of its own.
class Elements {
  public:
    enum class Kind : uint8_t { READ, DIRECT_WRITE, UNALIGNED_WRITE };

    Elements(ThreadPool::Group& device, uint64_t count, Kind kind = Kind::READ) {
        file.threads.outer = &device;
        storage.is_storage = true;
        storage.file = &file;
        storage.writes_in_turn = true;
        storage.direct_fd = kind == Kind::READ ? -1 : 0;
        storage.direct_offset_align_bytes = 16;
        storage.direct_memory_align_bytes = 1;
        const nixl_region in_file{&storage, nullptr}, in_memory{nullptr, memory_.data()};
        pair_ = kind == Kind::READ ? nixl_region_pair{in_file, in_memory}
                                   : nixl_region_pair{in_memory, in_file};
        const uint64_t offset = kind == Kind::UNALIGNED_WRITE ? 8 : 0;
        run_ = {offset, offset, 16, 32, 32, count, 0, 0};
        batch.struct_size = sizeof batch;
        batch.pair_count = batch.run_count = 1;
        batch.pairs = &pair_;
        batch.runs = &run_;
        batch.element_count = count;
    }

    File file;
    Region storage;
    nixl_batch batch{};

  private:
    std::array<unsigned char, 4096> memory_{};
    nixl_region_pair pair_{};
    nixl_run run_{};
};

class FlowTest : public ::testing::Test {
  protected:
    static uint32_t start_all(Flow& flow) {
        uint32_t started = 0;
        while (flow.next() != nullptr)
            ++started;
        return started;
    }

    test::FakeHost fake{0};
    sdk::Host host{fake.table()};
    WaitingQueues waiting{host};
    ThreadPool::Group device, other_device;
};

// A result is no completion where the operation goes on: whoever polls must not sleep on it, since
// the others in flight may hang.
TEST_F(FlowTest, OperationThatGoesOn_isWorkWhateverElseIsInFlight) {
    Elements reads(device, 2);
    Flow flow(4, 0, waiting, 0);
    ASSERT_EQ(flow.accept(reads.batch), 2u);
    Operation* const first = flow.next();
    Operation* const second = flow.next();
    ASSERT_NE(first, nullptr);
    ASSERT_NE(second, nullptr);
    EXPECT_FALSE(flow.has_work());
    nixl_completion out[4];
    Sink sink(out, 4);

    flow.finish(*first, -EAGAIN, sink);

    EXPECT_EQ(sink.used(), 0u);
    EXPECT_TRUE(flow.has_work());
    EXPECT_EQ(flow.next(), first);
    EXPECT_FALSE(flow.has_work());
    flow.finish(*second, 16, sink);
    flow.finish(*first, 16, sink);
    ASSERT_EQ(sink.used(), 1u);
    EXPECT_EQ(out[0].element_count, 2u);
}

TEST_F(FlowTest, OneDevice_hasTheDepthAndLeavesAnotherSome) {
    Elements hanging(device, 32), other(other_device, 1);
    Flow flow(8, 0, waiting, 0);
    ASSERT_EQ(flow.accept(hanging.batch), 32u);
    EXPECT_EQ(start_all(flow), 8u);
    EXPECT_FALSE(flow.has_work()) << "the rest has to wait";

    ASSERT_EQ(flow.accept(other.batch), 1u);
    EXPECT_TRUE(flow.has_work());
    Operation* const operation = flow.next();
    ASSERT_NE(operation, nullptr);
    EXPECT_EQ(operation->storage, &other.storage);
}

// What may not start is passed over in one look; each span behind it still gets its own answer.
TEST_F(FlowTest, SpansBehindAFullDevice_areStartedWhereverTheyLie) {
    Elements first(device, 8), second(device, 8), other(other_device, 1);
    Flow flow(4, 0, waiting, 0);
    for (Elements* elements : {&first, &second, &first, &other, &second})
        ASSERT_EQ(flow.accept(elements->batch), elements->batch.element_count);

    uint32_t elsewhere = 0, started = 0;
    while (Operation* const operation = flow.next()) {
        elsewhere += operation->storage == &other.storage ? 1 : 0;
        ++started;
    }

    EXPECT_EQ(started, 5u);
    EXPECT_EQ(elsewhere, 1u);
}

// Another queue's write through the page cache makes the aligned ones go there, too.
TEST_F(FlowTest, AlignedWritesThatGoThroughTheCache_haveHalfOfTheDepthAsWell) {
    Elements writes(device, 32, Elements::Kind::DIRECT_WRITE);
    ASSERT_EQ(writes.file.writes.start(false, false), Way::CACHED);
    Flow flow(8, 0, waiting, 0);
    ASSERT_EQ(flow.accept(writes.batch), 32u);

    EXPECT_EQ(start_all(flow), 4u);
}

// Turns that wait hold back the writes of their file alone.
TEST_F(FlowTest, ReadsBehindWritesThatHaveToWait_areStarted) {
    Elements writes(device, 8, Elements::Kind::UNALIGNED_WRITE), reads(device, 1);
    reads.storage.file = &writes.file;
    Flow flow(8, 0, waiting, 0);
    ASSERT_EQ(flow.accept(writes.batch), 8u);
    ASSERT_EQ(start_all(flow), 4u);

    ASSERT_EQ(flow.accept(reads.batch), 1u);

    EXPECT_TRUE(flow.has_work());
    Operation* const operation = flow.next();
    ASSERT_NE(operation, nullptr);
    EXPECT_EQ(operation->storage, &reads.storage);
    EXPECT_FALSE(flow.has_work());
}

TEST_F(FlowTest, WritesThatWaitForAnotherQueue_leaveAnotherDeviceItsPart) {
    constexpr uint32_t FILES = 8;
    std::vector<std::unique_ptr<Elements>> writes;
    Elements other(other_device, 1);
    Flow flow(4, 0, waiting, waiting.add(nullptr));
    for (uint32_t i = 0; i < FILES; ++i) {
        writes.push_back(std::make_unique<Elements>(device, 1, Elements::Kind::UNALIGNED_WRITE));
        ASSERT_EQ(writes.back()->file.writes.start(true, false), Way::DIRECT); // it hangs
        ASSERT_EQ(flow.accept(writes.back()->batch), 1u);
    }
    EXPECT_EQ(start_all(flow), 0u);
    EXPECT_FALSE(flow.has_work());

    ASSERT_EQ(flow.accept(other.batch), 1u);

    EXPECT_EQ(start_all(flow), 1u);
}

} // namespace
} // namespace nixl::core::posix
