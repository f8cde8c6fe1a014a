// SPDX-License-Identifier: Apache-2.0
// The states of requests and handles: again and again, twice, in the wrong order, of something
// else.
#include <atomic>
#include <csignal>
#include <thread>

#include <pthread.h>

#include "tests/conformance/peer_pair.h"
#include "tests/support/thread_state.h"

namespace nixl::test {
namespace {

/// A slow path: posix inside `limit`, so that something is in flight for a while.
Settings slow_posix(const char* bytes_per_second = "4MB") {
    return {{"decorators", "limit:posix"},
            {"limit.bytes_per_second", bytes_per_second},
            {"lanes", "1"},
            {"posix.merge_bytes", "0"}};
}

/// Everything of posix is held until it is cancelled.
Settings held_posix() { return {{"decorators", "fault:posix"}, {"fault.hold_rate", "1"}}; }

class LibraryStates : public ::testing::Test {
  protected:
    Bytes source_ = random_bytes(100000, 1);
    Bytes target_ = Bytes(100000);
};

// Proves: S-088
TEST_F(LibraryStates, NeverPosted_answersOk) {
    Session session;
    const Transfer transfer = session.request(session.wrap(source_), session.wrap(target_));

    EXPECT_EQ(transfer.poll(), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(transfer.cancel(), NIXL_OK);
    EXPECT_EQ(transfer.describe().bytes_wanted, 100000u);
    EXPECT_EQ(transfer.describe().bytes_done, 0u);
}

// Proves: S-086 C-02
TEST_F(LibraryStates, PostedAgainAndAgain_movesTheBytesOfItsTime) {
    Session session;
    const Transfer transfer = session.request(session.wrap(source_), session.wrap(target_));
    for (uint32_t round = 0; round < 100; ++round) {
        source_[round] = static_cast<unsigned char>(round);
        ASSERT_EQ(transfer.post(), NIXL_OK);
        ASSERT_EQ(transfer.wait(), NIXL_OK);
        ASSERT_EQ(transfer.wait(), NIXL_OK); // idempotent
        ASSERT_TRUE(source_ == target_) << round;
        EXPECT_EQ(transfer.describe().bytes_done, 100000u);
        EXPECT_EQ(transfer.describe().elements_done, transfer.describe().elements);
    }
}

TEST_F(LibraryStates, DescribedInFlight_tellsHowFarItIs) {
    Session session(slow_posix());
    ScratchPath file;
    const Transfer transfer =
        session.request(session.wrap(source_), session.file(file.text(), source_.size()));
    ASSERT_EQ(transfer.post(), NIXL_OK);

    uint64_t before = 0;
    for (auto now = transfer.describe(); now.status == NIXL_IN_PROGRESS;
         now = transfer.describe()) {
        EXPECT_EQ(now.bytes_wanted, source_.size());
        EXPECT_LE(before, now.bytes_done);
        EXPECT_LE(now.bytes_done, source_.size());
        before = now.bytes_done;
    }

    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(transfer.describe().bytes_done, source_.size());
}

TEST_F(LibraryStates, PostWhilePosted_isBusy) {
    HeldTransfer held;

    ASSERT_EQ(held.transfer.post(), NIXL_OK);
    EXPECT_EQ(held.transfer.post(), NIXL_BUSY);
    EXPECT_EQ(last_error().code, NIXL_BUSY);

    held.let_go();
    EXPECT_EQ(held.transfer.wait(), NIXL_OK);
    EXPECT_TRUE(held.moved());
    EXPECT_EQ(held.transfer.post(), NIXL_OK);
    EXPECT_EQ(held.transfer.wait(), NIXL_OK);
}

TEST_F(LibraryStates, Released_isStaleInEveryCall) {
    Session session;
    Transfer transfer = session.request(session.wrap(source_), session.wrap(target_));
    const nixl_request handle = transfer.handle();
    ASSERT_EQ(transfer.release(), NIXL_OK);
    const nixl_context context = session.context();
    nixl_request_description description = NIXL_INIT(nixl_request_description);
    nixl_error error = NIXL_INIT(nixl_error);
    size_t needed = 0;

    EXPECT_EQ(nixl_request_release(context, handle), NIXL_STALE);
    EXPECT_EQ(nixl_request_post(context, handle, nullptr), NIXL_STALE);
    EXPECT_EQ(nixl_request_poll(context, handle), NIXL_STALE);
    EXPECT_EQ(nixl_request_wait(context, handle, 0), NIXL_STALE);
    EXPECT_EQ(nixl_request_cancel(context, handle), NIXL_STALE);
    EXPECT_EQ(nixl_request_describe(context, handle, &description), NIXL_STALE);
    EXPECT_EQ(nixl_request_error(context, handle, &error), NIXL_STALE);
    EXPECT_EQ(nixl_request_path(context, handle, nullptr, 0, &needed), NIXL_STALE);
    EXPECT_EQ(nixl_request_post_indexed(context, handle, nullptr, nullptr, 0, nullptr), NIXL_STALE);
}

TEST_F(LibraryStates, HandlesMadeUp_areStale) {
    Session session;
    const Transfer transfer = session.request(session.wrap(source_), session.wrap(target_));
    for (const nixl_request handle :
         {nixl_request{0, 0}, nixl_request{UINT32_MAX, 1}, nixl_request{7, UINT32_MAX},
          nixl_request{transfer.handle().index, transfer.handle().generation + 1},
          nixl_request{transfer.handle().index + 1, transfer.handle().generation}}) {
        EXPECT_EQ(nixl_request_poll(session.context(), handle), NIXL_STALE);
        EXPECT_EQ(nixl_request_post(session.context(), handle, nullptr), NIXL_STALE);
        EXPECT_EQ(nixl_request_release(session.context(), handle), NIXL_STALE);
    }
    for (const nixl_buffer handle : {nixl_buffer{0, 0}, nixl_buffer{UINT32_MAX, 1}}) {
        EXPECT_EQ(nixl_buffer_free(session.context(), handle, 0), NIXL_STALE);
        EXPECT_EQ(nixl_buffer_flush(session.context(), handle), NIXL_STALE);
    }
    nixl_queue queue{};
    nixl_event event{};
    uint32_t count = 0;
    ASSERT_EQ(nixl_queue_open(session.context(), 4, &queue), NIXL_OK);
    const nixl_queue neighbour{queue.index + 1, queue.generation};
    EXPECT_EQ(nixl_queue_close(session.context(), neighbour), NIXL_STALE);
    ASSERT_EQ(nixl_queue_close(session.context(), queue), NIXL_OK);
    const nixl_queue next{queue.index, queue.generation + 1};
    EXPECT_EQ(nixl_queue_poll(session.context(), queue, &event, 1, &count), NIXL_STALE);
    EXPECT_EQ(nixl_queue_close(session.context(), next), NIXL_STALE);
    EXPECT_EQ(nixl_list_release(session.context(), {0, 0}), NIXL_STALE);
    EXPECT_EQ(nixl_queue_close(session.context(), {0, 0}), NIXL_STALE);
    EXPECT_EQ(nixl_peer_disconnect(session.context(), {0, 0}), NIXL_STALE);
}

// Proves: S-081 C-43
TEST_F(LibraryStates, HandlesOfAClosedContext_areStale) {
    auto session = std::make_unique<Session>();
    const nixl_context context = session->context();
    const nixl_buffer buffer = session->wrap(source_);
    Transfer transfer = session->request(buffer, session->wrap(target_));
    const nixl_request request = transfer.handle();
    ASSERT_EQ(session->close(), NIXL_OK);

    EXPECT_EQ(nixl_request_post(context, request, nullptr), NIXL_STALE);
    EXPECT_EQ(nixl_request_release(context, request), NIXL_STALE);
    EXPECT_EQ(nixl_buffer_free(context, buffer, 0), NIXL_STALE);
    EXPECT_EQ(nixl_context_close(context), NIXL_STALE);
    EXPECT_EQ(nixl_context_close({0, 0}), NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_context_close({UINT32_MAX, 1}), NIXL_INVALID_ARGUMENT);

    Session next; // most likely in the same slot: the old handles stay stale
    const nixl_buffer namesake = next.wrap(source_);
    const Transfer again = next.request(namesake, next.wrap(target_));
    EXPECT_EQ(nixl_request_poll(context, request), NIXL_STALE);
    EXPECT_EQ(nixl_request_poll(next.context(), request), NIXL_STALE);
    EXPECT_EQ(namesake.index, buffer.index);
    EXPECT_EQ(nixl_buffer_free(next.context(), buffer, 0), NIXL_STALE);
}

TEST_F(LibraryStates, BufferOfAnotherContext_isNotTakenForItsNamesake) {
    Session one, other;
    const nixl_buffer foreign = one.wrap(source_);
    const nixl_buffer own = other.wrap(target_);
    nixl_request request{};

    ASSERT_EQ(foreign.index, own.index);
    EXPECT_EQ(nixl_request_create(other.context(), foreign, own, &request), NIXL_STALE);
}

TEST_F(LibraryStates, ReleasedInFlight_isReportedAtOnceAndEndsByItself) {
    Session session(held_posix());
    ScratchPath file;
    file.write(Bytes(4096, 3));
    Bytes target(4096);
    const nixl_buffer source = session.file(file.text()), into = session.wrap(target);
    Transfer transfer = session.request(source, into);
    const nixl_request handle = transfer.handle();
    ASSERT_EQ(transfer.post(), NIXL_OK);
    EXPECT_EQ(transfer.poll(), NIXL_IN_PROGRESS);

    EXPECT_EQ(transfer.release(), NIXL_OK);

    EXPECT_EQ(nixl_request_poll(session.context(), handle), NIXL_STALE);
    EXPECT_EQ(nixl_buffer_free(session.context(), into, PATIENCE_NS), NIXL_OK);
    EXPECT_EQ(nixl_buffer_free(session.context(), source, PATIENCE_NS), NIXL_OK);
    EXPECT_EQ(session.metrics().abandoned, 0u);
}

/// Nobody polls, waits or frees with a timeout: what was released must come back all the same.
TEST_F(LibraryStates, ReleasedInFlight_endsWhileNobodyDrives) {
    Session session(slow_posix("1MB"));
    ScratchPath file;
    file.write(Bytes(1 << 20, 3));
    Bytes target(1 << 20);
    const nixl_buffer into = session.wrap(target);
    Transfer transfer =
        session.runs(session.file(file.text()), into, {{0, 0, 4096, 4096, 4096, 256, 0, 0}});
    ASSERT_EQ(transfer.post(), NIXL_OK);

    EXPECT_EQ(transfer.release(), NIXL_OK);

    EXPECT_TRUE(
        eventually([&] { return nixl_buffer_free(session.context(), into, 0) == NIXL_OK; }));
}

/// The same for a deadline that nobody waits for.
TEST_F(LibraryStates, PostedWithoutAWaiter_endsByItself) {
    Session session; // posix needs driving by the library
    ScratchPath file;
    file.write(Bytes(1 << 20, 3));
    Bytes target(1 << 20);
    const nixl_buffer into = session.wrap(target);
    Transfer transfer = session.request(session.file(file.text()), into);
    ASSERT_EQ(transfer.post(), NIXL_OK);

    EXPECT_TRUE(eventually([&] { return session.users(into) == 0; }));
    EXPECT_EQ(transfer.poll(), NIXL_OK);
    EXPECT_EQ(target, Bytes(1 << 20, 3));
}

// Proves: S-087
TEST_F(LibraryStates, WorkersCopyWithoutAWaiter_endsByItself) {
    Session session(
        Settings{{"inline_copy_bytes", "0"}}); // memcpy finishes by itself, its books may not
    Bytes source(4 << 20, 5), target(4 << 20);
    const nixl_buffer into = session.wrap(target);
    Transfer transfer = session.request(session.wrap(source), into);
    ASSERT_EQ(transfer.post(), NIXL_OK);
    ASSERT_EQ(transfer.release(), NIXL_OK);

    EXPECT_TRUE(
        eventually([&] { return nixl_buffer_free(session.context(), into, 0) == NIXL_OK; }));
}

TEST_F(LibraryStates, DoubleFree_isStale) {
    Session session;
    const nixl_buffer buffer = session.wrap(source_);
    EXPECT_EQ(nixl_buffer_free(session.context(), buffer, 0), NIXL_OK);
    EXPECT_EQ(nixl_buffer_free(session.context(), buffer, 0), NIXL_STALE);
    EXPECT_EQ(nixl_buffer_free(session.context(), buffer, 1000), NIXL_STALE);
}

// Proves: S-093
TEST_F(LibraryStates, FreedBuffer_makesRequestsStale) {
    Session session;
    const nixl_buffer source = session.wrap(source_), target = session.wrap(target_);
    const Transfer transfer = session.request(source, target);
    ASSERT_EQ(transfer.run(), NIXL_OK);
    ASSERT_EQ(nixl_buffer_free(session.context(), source, 0), NIXL_OK);
    nixl_request request{};

    EXPECT_EQ(transfer.post(), NIXL_STALE);
    EXPECT_EQ(nixl_request_create(session.context(), source, target, &request), NIXL_STALE);
    EXPECT_EQ(transfer.post(), NIXL_STALE) << "refused posts leave the request as it was";
    EXPECT_EQ(session.users(target), 0u) << "a refused post keeps no user";
}

TEST_F(LibraryStates, CancelOfWhatIsTerminal_isOk) {
    Session session;
    const Transfer transfer = session.request(session.wrap(source_), session.wrap(target_));
    ASSERT_EQ(transfer.run(), NIXL_OK);
    EXPECT_EQ(transfer.cancel(), NIXL_OK);
    EXPECT_EQ(transfer.poll(), NIXL_OK);
    EXPECT_EQ(transfer.run(), NIXL_OK);
}

TEST_F(LibraryStates, Cancelled_nothingIsWrittenAfterwards) {
    for (const char* engine : {"io_uring", "threads"}) {
        // Work is under way for a while, and none of it ends before it is cancelled.
        Settings settings = slow_posix("8MB");
        settings["decorators"] = "fault:posix,limit:posix";
        settings["fault.hold_rate"] = "1";
        settings["posix.engine"] = engine;
        Session session(settings);
        ScratchPath file;
        file.write(random_bytes(2 << 20, 9));
        Bytes target(2 << 20);
        const Transfer transfer = session.runs(session.file(file.text()), session.wrap(target),
                                               {{0, 0, 16384, 16384, 16384, 128, 0, 0}});
        for (int round = 0; round < 5; ++round) {
            ASSERT_EQ(transfer.post(), NIXL_OK);
            EXPECT_EQ(transfer.wait(1'000'000), NIXL_IN_PROGRESS);
            ASSERT_EQ(transfer.cancel(), NIXL_OK);
            const nixl_status ended = transfer.wait();
            ASSERT_TRUE(ended == NIXL_CANCELLED || ended == NIXL_OK) << ended;
            const Bytes fresh(2 << 20, static_cast<unsigned char>(round));
            target = fresh;
            for (int i = 0; i < 1000; ++i)
                (void)transfer.poll();
            EXPECT_TRUE(target == fresh) << "a late write after CANCELLED";
        }
    }
}

TEST_F(LibraryStates, CancelFromAnotherThread_endsTheWait) {
    Session session(held_posix());
    ScratchPath file;
    file.write(Bytes(4096, 3));
    Bytes target(4096);
    const Transfer transfer = session.request(session.file(file.text()), session.wrap(target));
    ASSERT_EQ(transfer.post(), NIXL_OK);
    nixl_status waited = NIXL_INTERNAL;
    std::thread waiter([&] { waited = transfer.wait(); });
    EXPECT_EQ(transfer.wait(1'000'000), NIXL_IN_PROGRESS);
    EXPECT_EQ(transfer.cancel(), NIXL_OK);
    waiter.join();

    EXPECT_TRUE(waited == NIXL_CANCELLED || waited == NIXL_OK) << waited;
}

// Proves: C-02
TEST_F(LibraryStates, WaitThatTimesOut_letsTheTransferGoOn) {
    HeldTransfer held;
    ASSERT_EQ(held.transfer.post(), NIXL_OK);

    EXPECT_EQ(held.transfer.wait(0), NIXL_IN_PROGRESS);
    EXPECT_EQ(held.transfer.wait(1'000'000), NIXL_IN_PROGRESS);
    held.let_go();
    EXPECT_EQ(held.transfer.wait(), NIXL_OK);
    EXPECT_TRUE(held.moved());
}

extern "C" void ignore_signal(int) {}

/// SIGUSR1 interrupts system calls while this lives.
class Interrupting {
  public:
    Interrupting() {
        struct sigaction action = {};
        action.sa_handler = ignore_signal;
        ::sigaction(SIGUSR1, &action, &before_);
    }
    ~Interrupting() { ::sigaction(SIGUSR1, &before_, nullptr); }
    Interrupting(const Interrupting&) = delete;
    Interrupting& operator=(const Interrupting&) = delete;

  private:
    struct sigaction before_ = {};
};

/// One signal, when it sleeps; it must not need a second one.
void interrupt_once(std::thread& waiter, const std::atomic<pid_t>& sleeper) {
    EXPECT_TRUE(eventually([&] { return sleeper != 0; }));
    EXPECT_TRUE(wait_until_asleep(sleeper));
    EXPECT_EQ(::pthread_kill(waiter.native_handle(), SIGUSR1), 0);
    waiter.join();
}

TEST_F(LibraryStates, SignalDuringAWait_interruptsIt) {
    const Interrupting interrupting;
    Session session(held_posix());
    ScratchPath file;
    file.write(Bytes(4096, 3));
    Bytes target(4096);
    const Transfer transfer = session.request(session.file(file.text()), session.wrap(target));
    ASSERT_EQ(transfer.post(), NIXL_OK);
    nixl_status waited = NIXL_INTERNAL;
    std::atomic<pid_t> sleeper{0};
    std::thread waiter([&] {
        sleeper = thread_id();
        waited = transfer.wait();
    });
    interrupt_once(waiter, sleeper);

    EXPECT_EQ(waited, NIXL_INTERRUPTED);
    EXPECT_EQ(transfer.poll(), NIXL_IN_PROGRESS) << "the transfer goes on";
    EXPECT_EQ(transfer.cancel(), NIXL_OK);
    EXPECT_NE(transfer.wait(), NIXL_IN_PROGRESS);
}

/// A waiter keeps the progress thread away from its lane; when it leaves, that has to come back.
TEST_F(LibraryStates, InterruptedWaiter_doesNotStrandOthersOfItsLane) {
    const Interrupting interrupting;
    Session session({{"decorators", "fault:memcpy,limit:posix"},
                     {"fault.hold_rate", "1"},
                     {"limit.bytes_per_second", "4MB"},
                     {"lanes", "1"}});
    ScratchPath file;
    file.write(Bytes(1 << 20, 3));
    Bytes target(1 << 20);
    const Transfer held = session.request(session.wrap(source_), session.wrap(target_));
    const Transfer watched = session.runs(session.file(file.text()), session.wrap(target),
                                          {{0, 0, 4096, 4096, 4096, 256, 0, 0}});
    std::atomic<int> called{0};
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.done = [](void* user, nixl_request, nixl_status) {
        ++*static_cast<std::atomic<int>*>(user);
    };
    options.user = &called;
    ASSERT_EQ(held.post(), NIXL_OK);
    std::atomic<pid_t> sleeper{0};
    std::thread waiter([&] {
        sleeper = thread_id();
        EXPECT_EQ(held.wait(), NIXL_INTERRUPTED);
    });
    ASSERT_EQ(watched.post(&options), NIXL_OK);
    interrupt_once(waiter, sleeper);

    EXPECT_TRUE(eventually([&] { return called == 1; }));
    EXPECT_EQ(held.cancel(), NIXL_OK);
    EXPECT_NE(held.wait(), NIXL_IN_PROGRESS);
}

TEST_F(LibraryStates, AllSlotsInUse_isAgainUntilOneIsReleased) {
    Session session(Settings{{"request_slots", "8"}});
    const nixl_buffer source = session.wrap(source_), target = session.wrap(target_);
    std::vector<Transfer> transfers;
    for (int i = 0; i < 8; ++i)
        transfers.push_back(session.request(source, target));
    nixl_request one_more{};

    EXPECT_EQ(nixl_request_create(session.context(), source, target, &one_more), NIXL_AGAIN);
    nixl_request started{};
    EXPECT_EQ(nixl_transfer_start(session.context(), source, target, nullptr, &started),
              NIXL_AGAIN);

    EXPECT_EQ(transfers.back().release(), NIXL_OK);
    EXPECT_EQ(nixl_request_create(session.context(), source, target, &one_more), NIXL_OK);
    EXPECT_EQ(nixl_request_release(session.context(), one_more), NIXL_OK);
}

TEST_F(LibraryStates, RefusedCreations_leakNoSlots) {
    Session session(Settings{{"request_slots", "4"}});
    const nixl_buffer small = session.wrap(source_.data(), 10), large = session.wrap(source_);
    nixl_request request{};
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(nixl_request_create(session.context(), large, small, &request),
                  NIXL_OUT_OF_RANGE);
        EXPECT_EQ(nixl_request_create_range(session.context(), small, 11, large, 0, 1, &request),
                  NIXL_OUT_OF_RANGE);
    }
    std::vector<Transfer> transfers;
    for (int i = 0; i < 4; ++i)
        transfers.push_back(session.request(small, large));
    EXPECT_TRUE(transfers.back().made());
}

TEST_F(LibraryStates, StartInOneCall_isARequestLikeAnyOther) {
    Session session;
    nixl_request request{};
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.flags = NIXL_POST_WAIT;

    ASSERT_EQ(nixl_transfer_start(session.context(), session.wrap(source_), session.wrap(target_),
                                  &options, &request),
              NIXL_OK);

    EXPECT_TRUE(source_ == target_);
    EXPECT_EQ(nixl_request_poll(session.context(), request), NIXL_OK);
    EXPECT_EQ(nixl_request_release(session.context(), request), NIXL_OK);
}

TEST_F(LibraryStates, OptionsOutOfRange_areRefusedAndPostNothing) {
    Session session;
    const Transfer transfer = session.request(session.wrap(source_), session.wrap(target_));
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.opcode = 77;
    EXPECT_EQ(transfer.post(&options), NIXL_INVALID_ARGUMENT);
    options.opcode = 0;
    options.deadline_ns = -1;
    EXPECT_EQ(transfer.post(&options), NIXL_INVALID_ARGUMENT);
    options.deadline_ns = 0;
    options.queue = {3, 99};
    EXPECT_EQ(transfer.post(&options), NIXL_STALE);

    EXPECT_EQ(transfer.poll(), NIXL_OK);
    EXPECT_EQ(target_, Bytes(100000));
}

TEST_F(LibraryStates, ShorterStructsOfAnOlderCaller_areCompleted) {
    Session session;
    const Transfer transfer = session.request(session.wrap(source_), session.wrap(target_));
    nixl_post_options options{};
    options.struct_size = offsetof(nixl_post_options, deadline_ns);
    options.deadline_ns = -5; // beyond what the caller says it knows
    EXPECT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);

    nixl_request_description description{};
    description.struct_size = offsetof(nixl_request_description, bytes_done);
    description.bytes_done = 4711;
    EXPECT_EQ(nixl_request_describe(session.context(), transfer.handle(), &description), NIXL_OK);
    EXPECT_EQ(description.bytes_done, 4711u) << "written beyond struct_size";
    EXPECT_EQ(description.bytes_wanted, 100000u);
}

} // namespace
} // namespace nixl::test
