// SPDX-License-Identifier: Apache-2.0
// What a backend moves within the post (move_now): asked when it may be, told like any other
// transfer, and left to submit() where the backend does not want it.
#include <atomic>
#include <cstring>
#include <vector>

#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/op_cursor.hpp>
#include <nixl/sdk/table.hpp>

#include "tests/conformance/session.h"

namespace nixl::test {
namespace {

/// Copies between host memory, faster than anything in its own opinion, so that the router takes
/// it. At once what has few elements.
class Mover {
  public:
    static constexpr const char* NAME = "testmover";
    static constexpr uint64_t MOST_ELEMENTS = 4;

    struct Calls {
        std::atomic<uint32_t> asked{0}, submitted{0};
        std::atomic<bool> refuses{false};
    };
    static Calls& calls() {
        static Calls all;
        return all;
    }

    class Queue {
      public:
        Queue(Mover&, uint32_t, void*) {}
        bool move_now(const nixl_batch& batch) noexcept {
            ++calls().asked;
            if (calls().refuses)
                return false;
            copy(batch);
            return true;
        }
        uint64_t submit(const nixl_batch& batch) noexcept {
            ++calls().submitted;
            copy(batch);
            uint64_t bytes = 0;
            for (sdk::OpCursor at(batch); !at.done(); at.next())
                bytes += at.bytes();
            ring_.add_whole(sdk::whole(batch.tag, batch.first_element, batch.element_count, bytes));
            return batch.element_count;
        }
        uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept {
            return ring_.take(out, capacity);
        }
        void cancel(uint64_t) noexcept {}
        bool arm() noexcept { return ring_.empty(); }

      private:
        static void copy(const nixl_batch& batch) noexcept {
            for (sdk::OpCursor at(batch); !at.done(); at.next())
                std::memcpy(at.target(), at.source(), at.bytes());
        }
        sdk::CompletionRing ring_{64};
    };

    static nixl_status probe(const sdk::Host&, nixl_caps* out, nixl_error_text*) {
        static constexpr nixl_kind_pair PAIRS[] = {{NIXL_KIND_HOST, NIXL_KIND_HOST, 0, 0.1, 1e9}};
        out->flags = NIXL_CAP_SELF_DRIVEN;
        out->max_batch_elements = MOST_ELEMENTS;
        out->pairs = PAIRS;
        out->pair_count = 1;
        return NIXL_OK;
    }
    explicit Mover(const sdk::Host&) {}
};

class LibraryMove : public ::testing::Test {
  protected:
    LibraryMove() {
        nixl_backend_v1 table{};
        table.struct_size = sizeof table;
        EXPECT_EQ(sdk::fill_table<Mover>(nullptr, &table), NIXL_OK);
        EXPECT_EQ(nixl_backend_add(session_.context(), &table), NIXL_OK);
        // The first post of a lane opens its queues, and goes the usual way.
        EXPECT_EQ(session_.range(source_, 0, target_, 0, 64).run(), NIXL_OK);
        std::fill(memory_.begin(), memory_.end(), static_cast<unsigned char>(0));
        Mover::calls().asked = Mover::calls().submitted = 0;
        Mover::calls().refuses = false;
    }
    /// Elements of 16 bytes, every other 16.
    Transfer strided(uint64_t count) {
        return session_.runs(source_, target_, {{0, 0, 16, 32, 32, count, 0, 0}});
    }
    [[nodiscard]] bool arrived(uint64_t count) const {
        for (uint64_t i = 0; i < count; ++i)
            if (std::memcmp(&memory_[i * 32], &content_[i * 32], 16) != 0)
                return false;
        return true;
    }
    static uint32_t asked() { return Mover::calls().asked; }
    static uint32_t submitted() { return Mover::calls().submitted; }

    Bytes content_ = random_bytes(4096, 3), memory_ = Bytes(4096);
    Session session_{Settings{{"lanes", "1"}, {"enable_telemetry", "true"}}};
    const nixl_buffer source_ = session_.wrap(content_), target_ = session_.wrap(memory_);
};

TEST_F(LibraryMove, ShortTransfer_isOverWithThePostAndCounted) {
    const Transfer transfer = strided(3);
    const nixl_metrics before = session_.metrics();

    ASSERT_EQ(transfer.post(), NIXL_OK);

    EXPECT_EQ(asked(), 1u);
    EXPECT_TRUE(arrived(3));
    EXPECT_EQ(transfer.poll(), NIXL_OK);
    EXPECT_EQ(submitted(), 0u);
    EXPECT_EQ(transfer.describe().bytes_done, 48u);
    EXPECT_EQ(transfer.describe().elements_done, 3u);
    EXPECT_EQ(session_.metrics().transfers - before.transfers, 1u);
    EXPECT_EQ(session_.metrics().bytes - before.bytes, 48u);
    EXPECT_EQ(session_.users(target_), 0u);
}

TEST_F(LibraryMove, Refused_goesTheUsualWay) {
    Mover::calls().refuses = true;
    const Transfer transfer = strided(3);
    for (uint32_t round = 1; round <= 3; ++round) {
        EXPECT_EQ(transfer.run(), NIXL_OK);
        EXPECT_EQ(asked(), round);
        EXPECT_EQ(submitted(), round);
    }
    EXPECT_TRUE(arrived(3));
}

TEST_F(LibraryMove, MoreElementsThanABatchMayHave_areNotOffered) {
    const Transfer transfer = strided(Mover::MOST_ELEMENTS + 1);
    EXPECT_EQ(transfer.run(), NIXL_OK);
    EXPECT_EQ(asked(), 0u);
    EXPECT_EQ(submitted(), 2u);
    EXPECT_TRUE(arrived(Mover::MOST_ELEMENTS + 1));
}

TEST_F(LibraryMove, FreedBuffer_isNotTouched) {
    const Transfer transfer = strided(3);
    ASSERT_EQ(nixl_buffer_free(session_.context(), target_, PATIENCE_NS), NIXL_OK);
    EXPECT_EQ(transfer.post(), NIXL_STALE);
    EXPECT_EQ(asked() + submitted(), 0u);
}

TEST_F(LibraryMove, CallbackAndEvent_tellOfIt) {
    struct Told {
        int calls = 0;
        nixl_status status = NIXL_IN_PROGRESS;
    } told;
    nixl_queue queue{};
    ASSERT_EQ(nixl_queue_open(session_.context(), 4, &queue), NIXL_OK);
    const Transfer transfer = strided(3);
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.user = &told;
    options.queue = queue;
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    nixl_event event{};
    uint32_t count = 0;
    ASSERT_EQ(nixl_queue_poll(session_.context(), queue, &event, 1, &count), NIXL_OK);
    ASSERT_EQ(count, 1u);
    EXPECT_EQ(event.status, NIXL_OK);
    EXPECT_EQ(event.bytes, 48u);

    options.queue = {};
    options.done = [](void* user, nixl_request, nixl_status status) {
        *static_cast<Told*>(user) = {static_cast<Told*>(user)->calls + 1, status};
    };
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(told.calls, 1);
    EXPECT_EQ(told.status, NIXL_OK);
    EXPECT_EQ(asked(), 2u);
    EXPECT_EQ(submitted(), 0u);
}

} // namespace
} // namespace nixl::test
