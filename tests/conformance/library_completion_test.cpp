// SPDX-License-Identifier: Apache-2.0
// How an end is told: callbacks exactly once and before a wait returns, completion queues with
// their descriptors, many polled together.
#include <atomic>
#include <functional>
#include <thread>

#include <poll.h>
#include <unistd.h>

#include "tests/conformance/session.h"

namespace nixl::test {
namespace {

class LibraryCompletion : public ::testing::Test {
  protected:
    LibraryCompletion() {
        file_.write(content_);
        from_ = session_.file(file_.text());
    }

    const Bytes content_ = random_bytes(65536, 1);
    ScratchPath file_;
    Bytes memory_ = Bytes(65536);
    Session session_;
    nixl_buffer from_{};
    const nixl_buffer into_ = session_.wrap(memory_);

    static bool readable(int fd, int timeout_ms) {
        pollfd polled{fd, POLLIN, 0};
        return ::poll(&polled, 1, timeout_ms) == 1;
    }
    static void reset(int fd) {
        uint64_t count = 0;
        EXPECT_EQ(::read(fd, &count, sizeof count), static_cast<ssize_t>(sizeof count));
    }
    nixl_queue open_queue(uint32_t depth) {
        nixl_queue queue{};
        EXPECT_EQ(nixl_queue_open(session_.context(), depth, &queue), NIXL_OK);
        return queue;
    }
    uint32_t take(nixl_queue queue, nixl_event* out, uint32_t capacity) {
        uint32_t count = 0;
        EXPECT_EQ(nixl_queue_poll(session_.context(), queue, out, capacity, &count), NIXL_OK);
        return count;
    }
};

/// A callback as a closure, counted.
struct Watcher {
    std::atomic<int> called{0};
    std::atomic<nixl_status> status{NIXL_IN_PROGRESS};
    std::function<void(nixl_request)> act = [](nixl_request) {};

    [[nodiscard]] nixl_post_options options() {
        nixl_post_options out = NIXL_INIT(nixl_post_options);
        out.user = this;
        out.done = [](void* user, nixl_request request, nixl_status status) {
            auto& self = *static_cast<Watcher*>(user);
            self.status = status;
            self.act(request);
            ++self.called;
        };
        return out;
    }
};

// ---- Callbacks ----------------------------------------------------------------------------------

TEST_F(LibraryCompletion, Callback_runsOncePerPostAndBeforeTheWaitReturns) {
    const Transfer transfer = session_.request(from_, into_);
    Watcher watcher;
    const auto options = watcher.options();
    for (int round = 1; round <= 100; ++round) {
        ASSERT_EQ(transfer.post(&options), NIXL_OK);
        ASSERT_EQ(transfer.wait(), NIXL_OK);
        ASSERT_EQ(watcher.called, round);
        ASSERT_EQ(watcher.status, NIXL_OK);
    }
    EXPECT_TRUE(memory_ == content_);
}

TEST_F(LibraryCompletion, CallbackWhileNobodyWaits_runsByItself) {
    const Transfer transfer = session_.request(from_, into_);
    Watcher watcher;
    const auto options = watcher.options();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return watcher.called == 1; }));
    EXPECT_TRUE(memory_ == content_);
}

TEST_F(LibraryCompletion, CallbackOfAMemoryCopy_runsByItself) {
    Session workers(Settings{{"inline_copy_bytes", "0"}});
    Bytes source = random_bytes(1 << 20, 4), target(1 << 20);
    const Transfer transfer = workers.request(workers.wrap(source), workers.wrap(target));
    Watcher watcher;
    const auto options = watcher.options();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return watcher.called == 1; }));
    EXPECT_TRUE(source == target);
}

TEST_F(LibraryCompletion, CallbackOfAFailure_isGivenItsStatus) {
    const nixl_buffer longer = session_.file(file_.text(), 70000); // the file has 65536
    Bytes target(70000);
    const Transfer transfer = session_.request(longer, session_.wrap(target));
    Watcher watcher;
    const auto options = watcher.options();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_SHORT_TRANSFER);
    EXPECT_EQ(watcher.called, 1);
    EXPECT_EQ(watcher.status, NIXL_SHORT_TRANSFER);
}

TEST_F(LibraryCompletion, CallbackThatPostsAgain_makesAChain) {
    constexpr int LINKS = 200;
    const Transfer transfer = session_.request(from_, into_);
    Watcher watcher;
    const auto options = watcher.options();
    std::atomic<int> posted{1};
    watcher.act = [&](nixl_request request) {
        if (posted < LINKS) {
            ++posted;
            EXPECT_EQ(nixl_request_post(session_.context(), request, &options), NIXL_OK)
                << last_error().message;
        }
    };
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return watcher.called == LINKS; })) << watcher.called;
    EXPECT_EQ(transfer.wait(), NIXL_OK);
}

TEST_F(LibraryCompletion, CallbackThatPostsAgainOnAMemoryCopy_makesAChain) {
    constexpr int LINKS = 100000;
    Bytes other(100);
    const Transfer transfer = session_.range(into_, 0, session_.wrap(other), 0, 100);
    Watcher watcher;
    const auto options = watcher.options();
    std::atomic<int> posted{1};
    watcher.act = [&](nixl_request request) {
        if (posted < LINKS) {
            ++posted;
            EXPECT_EQ(nixl_request_post(session_.context(), request, &options), NIXL_OK);
        }
    };
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return watcher.called == LINKS; })) << watcher.called;
}

TEST_F(LibraryCompletion, CallbackThatReleasesItsRequest_isFine) {
    Transfer transfer = session_.request(from_, into_);
    const nixl_request handle = transfer.handle();
    Watcher watcher;
    std::atomic<nixl_status> released{NIXL_IN_PROGRESS};
    watcher.act = [&](nixl_request request) {
        released = nixl_request_release(session_.context(), request);
    };
    const auto options = watcher.options();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return watcher.called == 1; }));
    EXPECT_EQ(released, NIXL_OK);
    EXPECT_EQ(nixl_request_poll(session_.context(), handle), NIXL_STALE);
}

TEST_F(LibraryCompletion, WaitForARequestThatItsCallbackReleases_ends) {
    for (int round = 0; round < 50; ++round) {
        Transfer transfer = session_.request(from_, into_);
        Watcher watcher;
        watcher.act = [&](nixl_request request) {
            (void)nixl_request_release(session_.context(), request);
        };
        const auto options = watcher.options();
        ASSERT_EQ(transfer.post(&options), NIXL_OK);
        const nixl_status waited = transfer.wait();
        EXPECT_TRUE(waited == NIXL_OK || waited == NIXL_STALE) << waited;
        EXPECT_TRUE(eventually([&] { return watcher.called == 1; }));
    }
}

TEST_F(LibraryCompletion, CallbackThatWaitsForItsOwnRequest_isToldTheStatus) {
    const Transfer transfer = session_.request(from_, into_);
    Watcher watcher;
    std::atomic<nixl_status> waited{NIXL_INTERNAL}, polled{NIXL_INTERNAL};
    watcher.act = [&](nixl_request request) {
        waited = nixl_request_wait(session_.context(), request, PATIENCE_NS);
        polled = nixl_request_poll(session_.context(), request);
    };
    const auto options = watcher.options();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(waited, NIXL_OK);
    EXPECT_EQ(polled, NIXL_OK);
}

TEST_F(LibraryCompletion, CallbackThatFreesTheBuffers_isFine) {
    Bytes source = random_bytes(100, 5), target(100);
    const nixl_buffer from = session_.wrap(source), into = session_.wrap(target);
    const Transfer transfer = session_.request(from, into);
    Watcher watcher;
    std::atomic<nixl_status> freed{NIXL_INTERNAL};
    watcher.act = [&](nixl_request) {
        freed = nixl_buffer_free(session_.context(), from, 0);
        if (freed == NIXL_OK)
            freed = nixl_buffer_free(session_.context(), into, 0);
    };
    const auto options = watcher.options();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return watcher.called == 1; }));
    EXPECT_EQ(freed, NIXL_OK) << "when it is told that it ended, its buffers are not in use";
    EXPECT_EQ(transfer.post(), NIXL_STALE);
}

TEST_F(LibraryCompletion, CallbackThatClosesItsContext_isRefused) {
    const Transfer transfer = session_.request(from_, into_);
    Watcher watcher;
    std::atomic<nixl_status> closed{NIXL_OK};
    watcher.act = [&](nixl_request) { closed = nixl_context_close(session_.context()); };
    const auto options = watcher.options();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return watcher.called == 1; }));
    EXPECT_EQ(closed, NIXL_BUSY);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
}

TEST_F(LibraryCompletion, ManyCallbacksOfOneTurn_allRun) {
    constexpr size_t COUNT = 500;
    std::vector<Transfer> transfers;
    std::vector<std::unique_ptr<Watcher>> watchers;
    for (size_t i = 0; i < COUNT; ++i) {
        transfers.push_back(session_.range(from_, i * 100, into_, i * 100, 100));
        watchers.push_back(std::make_unique<Watcher>());
        const auto options = watchers.back()->options();
        ASSERT_EQ(transfers.back().post(&options), NIXL_OK);
    }
    for (const auto& watcher : watchers)
        EXPECT_TRUE(eventually([&] { return watcher->called == 1; }));
    for (const Transfer& transfer : transfers)
        EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_TRUE(std::equal(memory_.begin(), memory_.begin() + COUNT * 100, content_.begin()));
}

TEST_F(LibraryCompletion, ReleasedInFlight_theCallbackIsToldCancelledOnce) {
    Session held(Settings{{"decorators", "fault:posix"}, {"fault.hold_rate", "1"}});
    Transfer transfer = held.request(held.file(file_.text()), held.wrap(memory_));
    Watcher watcher;
    const auto options = watcher.options();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    ASSERT_EQ(transfer.release(), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return watcher.called == 1; }));
    EXPECT_EQ(held.close(), NIXL_OK);
    EXPECT_EQ(watcher.called, 1);
    EXPECT_EQ(watcher.status, NIXL_CANCELLED);
}

// ---- Completion queues --------------------------------------------------------------------------

TEST_F(LibraryCompletion, QueueDepthOutOfRange_isRefused) {
    nixl_queue queue{};
    for (const uint32_t depth : {0u, 65537u, UINT32_MAX})
        EXPECT_EQ(nixl_queue_open(session_.context(), depth, &queue), NIXL_INVALID_ARGUMENT);
    for (const uint32_t depth : {1u, 65536u}) {
        ASSERT_EQ(nixl_queue_open(session_.context(), depth, &queue), NIXL_OK);
        EXPECT_EQ(nixl_queue_close(session_.context(), queue), NIXL_OK);
    }
}

TEST_F(LibraryCompletion, Events_carryWhatThePostGaveAndHowItEnded) {
    const nixl_queue queue = open_queue(8);
    const Transfer good = session_.request(from_, into_);
    int user = 0;
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.queue = queue;
    options.user = &user;
    ASSERT_EQ(good.post(&options), NIXL_OK);

    nixl_event event{};
    EXPECT_TRUE(eventually([&] { return take(queue, &event, 1) == 1; }));

    EXPECT_EQ(event.user, &user);
    EXPECT_EQ(event.status, NIXL_OK);
    EXPECT_EQ(event.bytes, 65536u);
    EXPECT_EQ(event.first_bad_element, UINT64_MAX);
    EXPECT_EQ(event.request.index, good.handle().index);
    EXPECT_EQ(event.request.generation, good.handle().generation);
    EXPECT_EQ(good.poll(), NIXL_OK);
}

TEST_F(LibraryCompletion, FullQueue_refusesPostsUntilEventsAreTaken) {
    const nixl_queue queue = open_queue(2);
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.queue = queue;
    std::vector<Transfer> transfers;
    for (int i = 0; i < 3; ++i)
        transfers.push_back(session_.range(from_, 0, into_, 0, 100));
    ASSERT_EQ(transfers[0].post(&options), NIXL_OK);
    ASSERT_EQ(transfers[1].post(&options), NIXL_OK);

    EXPECT_EQ(transfers[2].post(&options), NIXL_AGAIN);
    EXPECT_NE(std::string(last_error().message).find("completion queue"), std::string::npos);
    EXPECT_EQ(transfers[0].wait(), NIXL_OK);
    EXPECT_EQ(transfers[2].post(&options), NIXL_AGAIN)
        << "an event that nobody took needs its place";

    nixl_event events[2];
    uint32_t taken = 0;
    EXPECT_TRUE(eventually([&] { return (taken += take(queue, events, 2 - taken)) == 2; }));
    EXPECT_EQ(transfers[2].post(&options), NIXL_OK);
    EXPECT_EQ(transfers[2].wait(), NIXL_OK);
    EXPECT_EQ(take(queue, events, 2), 1u);
    EXPECT_EQ(nixl_queue_close(session_.context(), queue), NIXL_OK);
}

TEST_F(LibraryCompletion, ArmedBefore_theDescriptorBecomesReadableByItself) {
    const nixl_queue queue = open_queue(8);
    int fd = -1;
    ASSERT_EQ(nixl_queue_fd(session_.context(), queue, &fd), NIXL_OK);
    EXPECT_FALSE(readable(fd, 0));
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.queue = queue;
    const Transfer transfer = session_.request(from_, into_);
    for (int round = 0; round < 20; ++round) {
        ASSERT_EQ(nixl_queue_arm(session_.context(), queue), NIXL_OK);
        ASSERT_EQ(transfer.post(&options), NIXL_OK);
        ASSERT_TRUE(readable(fd, 60'000)) << "round " << round;
        reset(fd);
        nixl_event event{};
        ASSERT_EQ(take(queue, &event, 1), 1u);
        ASSERT_FALSE(readable(fd, 0)) << "one signal per arming";
    }
}

TEST_F(LibraryCompletion, ArmedAfterThePost_theDescriptorBecomesReadable) {
    const nixl_queue queue = open_queue(8);
    int fd = -1;
    ASSERT_EQ(nixl_queue_fd(session_.context(), queue, &fd), NIXL_OK);
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.queue = queue;
    const Transfer transfer = session_.request(from_, into_);
    for (int round = 0; round < 20; ++round) {
        ASSERT_EQ(transfer.post(&options), NIXL_OK);
        ASSERT_EQ(nixl_queue_arm(session_.context(), queue), NIXL_OK);
        ASSERT_TRUE(readable(fd, 60'000)) << "round " << round;
        reset(fd);
        nixl_event event{};
        ASSERT_EQ(take(queue, &event, 1), 1u);
    }
}

/// memcpy is self-driven, so the library only has to look once it is armed.
TEST_F(LibraryCompletion, ArmedForAMemoryCopy_theDescriptorBecomesReadable) {
    Session workers(Settings{{"inline_copy_bytes", "0"}});
    Bytes source = random_bytes(4 << 20, 4), target(4 << 20);
    nixl_queue queue{};
    ASSERT_EQ(nixl_queue_open(workers.context(), 8, &queue), NIXL_OK);
    int fd = -1;
    ASSERT_EQ(nixl_queue_fd(workers.context(), queue, &fd), NIXL_OK);
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.queue = queue;
    const Transfer transfer = workers.request(workers.wrap(source), workers.wrap(target));
    for (const bool before : {true, false, true, false}) {
        ASSERT_TRUE(!before || nixl_queue_arm(workers.context(), queue) == NIXL_OK);
        ASSERT_EQ(transfer.post(&options), NIXL_OK);
        ASSERT_TRUE(before || nixl_queue_arm(workers.context(), queue) == NIXL_OK);
        ASSERT_TRUE(readable(fd, 60'000)) << (before ? "armed before" : "armed after");
        reset(fd);
        nixl_event event{};
        uint32_t count = 0;
        ASSERT_EQ(nixl_queue_poll(workers.context(), queue, &event, 1, &count), NIXL_OK);
        ASSERT_EQ(count, 1u);
    }
}

TEST_F(LibraryCompletion, NotArmed_theDescriptorStaysSilent) {
    const nixl_queue queue = open_queue(8);
    int fd = -1;
    ASSERT_EQ(nixl_queue_fd(session_.context(), queue, &fd), NIXL_OK);
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.queue = queue;
    const Transfer transfer = session_.request(from_, into_);
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    ASSERT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_FALSE(readable(fd, 0));
    ASSERT_EQ(nixl_queue_arm(session_.context(), queue), NIXL_OK);
    EXPECT_TRUE(readable(fd, 0)) << "an event is there already";
}

TEST_F(LibraryCompletion, QueueInUse_cannotBeClosed) {
    Session held(Settings{{"decorators", "fault:posix"}, {"fault.hold_rate", "1"}});
    nixl_queue queue{};
    ASSERT_EQ(nixl_queue_open(held.context(), 4, &queue), NIXL_OK);
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.queue = queue;
    const Transfer transfer = held.request(held.file(file_.text()), held.wrap(memory_));
    ASSERT_EQ(transfer.post(&options), NIXL_OK);

    EXPECT_EQ(nixl_queue_close(held.context(), queue), NIXL_BUSY);
    EXPECT_EQ(transfer.cancel(), NIXL_OK);
    EXPECT_NE(transfer.wait(), NIXL_IN_PROGRESS);
    EXPECT_EQ(nixl_queue_close(held.context(), queue), NIXL_OK);
    EXPECT_EQ(nixl_queue_close(held.context(), queue), NIXL_STALE);
    EXPECT_EQ(nixl_queue_arm(held.context(), queue), NIXL_STALE);
    EXPECT_EQ(transfer.post(&options), NIXL_STALE);
    EXPECT_NE(transfer.poll(), NIXL_IN_PROGRESS);
}

TEST_F(LibraryCompletion, PostsThatAreRefused_leaveNoEventOwed) {
    const nixl_queue queue = open_queue(1);
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.queue = queue;
    Bytes gone(10);
    const nixl_buffer buffer = session_.wrap(gone);
    const Transfer transfer = session_.request(buffer, into_);
    ASSERT_EQ(nixl_buffer_free(session_.context(), buffer, 0), NIXL_OK);
    for (int i = 0; i < 5; ++i)
        EXPECT_EQ(transfer.post(&options), NIXL_STALE);
    EXPECT_EQ(nixl_queue_close(session_.context(), queue), NIXL_OK);
}

TEST_F(LibraryCompletion, ReadersOfOneQueue_takeEachEventOnce) {
    constexpr uint32_t EVENTS = 2000;
    const nixl_queue queue = open_queue(64);
    Bytes other(100);
    const nixl_buffer small = session_.wrap(other);
    std::atomic<uint32_t> taken{0};
    std::vector<std::atomic<int>> seen(EVENTS);
    std::vector<std::thread> readers;
    for (int i = 0; i < 3; ++i)
        readers.emplace_back([&] {
            nixl_event events[7];
            while (taken < EVENTS) {
                uint32_t count = 0;
                if (nixl_queue_poll(session_.context(), queue, events, 7, &count) != NIXL_OK)
                    return;
                for (uint32_t k = 0; k < count; ++k)
                    ++seen[reinterpret_cast<uintptr_t>(events[k].user)];
                taken += count;
            }
        });
    std::vector<Transfer> transfers;
    for (int i = 0; i < 16; ++i)
        transfers.push_back(session_.range(into_, 0, small, 0, 100));
    for (uint32_t posted = 0; posted < EVENTS;) {
        nixl_post_options options = NIXL_INIT(nixl_post_options);
        options.queue = queue;
        options.user = reinterpret_cast<void*>(uintptr_t{posted});
        const nixl_status status = transfers[posted % 16].post(&options);
        posted += status == NIXL_OK ? 1 : 0;
        ASSERT_TRUE(status == NIXL_OK || status == NIXL_AGAIN || status == NIXL_BUSY);
    }
    for (std::thread& reader : readers)
        reader.join();
    for (uint32_t i = 0; i < EVENTS; ++i)
        ASSERT_EQ(seen[i], 1) << "event " << i;
}

// ---- Many at once -------------------------------------------------------------------------------

TEST_F(LibraryCompletion, PollMany_tellsEachAndCountsTheTerminal) {
    Session held(Settings{{"decorators", "fault:posix"}, {"fault.hold_rate", "1"}});
    Bytes other(100);
    const nixl_buffer memory = held.wrap(memory_), small = held.wrap(other);
    const Transfer never = held.range(memory, 0, small, 0, 100);
    const Transfer done = held.range(memory, 0, small, 0, 100);
    const Transfer stuck = held.request(held.file(file_.text()), memory);
    Transfer released = held.range(memory, 0, small, 0, 100);
    const nixl_request gone = released.handle();
    ASSERT_EQ(released.release(), NIXL_OK);
    ASSERT_EQ(done.run(), NIXL_OK);
    ASSERT_EQ(stuck.post(), NIXL_OK);
    const nixl_request handles[] = {never.handle(), done.handle(), stuck.handle(), gone};
    nixl_status statuses[4];

    EXPECT_EQ(nixl_request_poll_many(held.context(), handles, 4, statuses), 3u);

    EXPECT_EQ(statuses[0], NIXL_OK);
    EXPECT_EQ(statuses[1], NIXL_OK);
    EXPECT_EQ(statuses[2], NIXL_IN_PROGRESS);
    EXPECT_EQ(statuses[3], NIXL_STALE);
    EXPECT_EQ(nixl_request_poll_many(held.context(), nullptr, 0, nullptr), 0u);
    EXPECT_EQ(stuck.cancel(), NIXL_OK);
    EXPECT_NE(stuck.wait(), NIXL_IN_PROGRESS);
}

TEST_F(LibraryCompletion, ManyInFlight_allEndByPolling) {
    constexpr size_t COUNT = 1000;
    std::vector<Transfer> transfers;
    std::vector<nixl_request> handles;
    for (size_t i = 0; i < COUNT; ++i) {
        transfers.push_back(session_.range(from_, i * 64, into_, i * 64, 64));
        handles.push_back(transfers.back().handle());
        ASSERT_EQ(transfers.back().post(), NIXL_OK);
    }
    std::vector<nixl_status> statuses(COUNT);
    EXPECT_TRUE(eventually([&] {
        return nixl_request_poll_many(session_.context(), handles.data(), COUNT, statuses.data()) ==
               COUNT;
    }));
    EXPECT_TRUE(std::equal(memory_.begin(), memory_.begin() + COUNT * 64, content_.begin()));
}

} // namespace
} // namespace nixl::test
