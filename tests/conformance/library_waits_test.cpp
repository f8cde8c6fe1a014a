// SPDX-License-Identifier: Apache-2.0
// Who waits hears of everything on the lane, and nobody waits for who waits for them.
#include <atomic>
#include <deque>
#include <iterator>
#include <thread>

#include <poll.h>

#include "tests/conformance/session.h"
#include "tests/support/quarantine.h"
#include "tests/support/thread_state.h"

namespace nixl::test {
namespace {

constexpr int64_t MS = 1'000'000;

/// Everything of posix is held until it is cancelled; one lane, so that all meet there.
Settings held_posix(bool for_ever = false) {
    return {{"decorators", "fault:posix"},
            {"fault.hold_rate", "1"},
            {"fault.hold_forever", for_ever ? "true" : "false"},
            {"drain_timeout", "100ms"},
            {"lanes", "1"}};
}

/// How what was held may end once it is cancelled: it had moved already, or not.
bool is_over(nixl_status status) { return status == NIXL_OK || status == NIXL_CANCELLED; }

/// Options with a callback that calls `act`.
struct Callback {
    std::function<void()> act;
    std::atomic<int> called{0};

    nixl_post_options options(int64_t deadline_ns = 0) {
        nixl_post_options out = NIXL_INIT(nixl_post_options);
        out.deadline_ns = deadline_ns;
        out.user = this;
        out.done = [](void* user, nixl_request, nixl_status) {
            auto& self = *static_cast<Callback*>(user);
            self.act();
            ++self.called;
        };
        return out;
    }
};

class LibraryWaits : public ::testing::Test {
  protected:
    LibraryWaits() { file_.write(content_); }
    const Bytes content_ = random_bytes(8192, 1);
    ScratchPath file_;
    Bytes first_ = Bytes(8192), second_ = Bytes(8192);
};

TEST_F(LibraryWaits, WhileTheCallbackRuns_theTimeoutHolds) {
    Session session;
    const Transfer transfer = session.request(session.file(file_.text()), session.wrap(first_));
    std::atomic<bool> inside{false}, go_on{false};
    Callback callback{[&] {
        inside = true;
        while (!go_on)
            std::this_thread::yield();
    }};
    const auto options = callback.options();
    std::thread poster([&] {
        EXPECT_EQ(transfer.post(&options), NIXL_OK);
        EXPECT_EQ(transfer.wait(), NIXL_OK);
    });
    EXPECT_TRUE(eventually([&] { return inside.load(); }));

    EXPECT_EQ(transfer.wait(1 * MS), NIXL_IN_PROGRESS) << "the callback has not returned";
    EXPECT_EQ(transfer.wait(0), NIXL_IN_PROGRESS);

    go_on = true;
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(callback.called, 1);
    poster.join();
}

TEST_F(LibraryWaits, DeadlineOfAnother_isToldWhileSomebodySleepsOnItsLane) {
    Session session(held_posix());
    const nixl_buffer from = session.file(file_.text());
    const Transfer endless = session.request(from, session.wrap(first_));
    const Transfer timed = session.request(from, session.wrap(second_));
    ASSERT_EQ(endless.post(), NIXL_OK);
    std::atomic<bool> waiting{false};
    std::thread sleeper([&] {
        waiting = true;
        EXPECT_TRUE(is_over(endless.wait()));
    });
    EXPECT_TRUE(eventually([&] { return waiting.load(); }));
    Callback callback{[] {}};
    const auto options = callback.options(5 * MS);

    ASSERT_EQ(timed.post(&options), NIXL_OK);

    EXPECT_TRUE(eventually([&] { return callback.called == 1; }));
    EXPECT_EQ(timed.poll(), NIXL_TIMED_OUT);
    EXPECT_EQ(endless.cancel(), NIXL_OK);
    sleeper.join();
}

TEST_F(LibraryWaits, PostThatWaitsInACallback_isRefusedAndPostsNothing) {
    Session session(held_posix());
    const nixl_buffer from = session.file(file_.text());
    const Transfer timed = session.request(from, session.wrap(first_));
    const Transfer other = session.request(from, session.wrap(second_));
    std::atomic<nixl_status> posted{NIXL_OK};
    Callback callback{[&] {
        nixl_post_options wait = NIXL_INIT(nixl_post_options);
        wait.flags = NIXL_POST_WAIT;
        posted = other.post(&wait);
    }};
    const auto options = callback.options(1 * MS);
    ASSERT_EQ(timed.post(&options), NIXL_OK); // nobody waits: the progress thread tells
    EXPECT_TRUE(eventually([&] { return callback.called == 1; }));
    EXPECT_EQ(posted, NIXL_BUSY);
    EXPECT_EQ(other.poll(), NIXL_OK) << "it was never posted";
}

// ---- Lanes that a waiter leaves -----------------------------------------------------------------

/// Copies on one lane that take the workers a while, and nobody who polls.
class LibraryLeftLanes : public ::testing::Test {
  protected:
    static constexpr uint64_t SHORT = 16u << 20, LONG = 64u << 20;

    Transfer copy(uint64_t bytes) {
        memory_.emplace_back(bytes, 1);
        memory_.emplace_back(bytes, 2);
        source_ = session_.wrap(*std::prev(memory_.end(), 2));
        return session_.request(source_, session_.wrap(memory_.back()));
    }
    nixl_post_options into_queue() {
        EXPECT_EQ(nixl_queue_open(session_.context(), 16, &queue_), NIXL_OK);
        EXPECT_EQ(nixl_queue_fd(session_.context(), queue_, &fd_), NIXL_OK);
        nixl_post_options options = NIXL_INIT(nixl_post_options);
        options.queue = queue_;
        return options;
    }
    [[nodiscard]] bool is_signalled() const {
        pollfd polled{fd_, POLLIN, 0};
        return ::poll(&polled, 1, static_cast<int>(PATIENCE_NS / 1'000'000)) == 1;
    }

    std::deque<Bytes> memory_;
    Session session_{Settings{{"lanes", "1"}}};
    nixl_buffer source_{};
    nixl_queue queue_{};
    int fd_ = -1;
};

TEST_F(LibraryLeftLanes, CallbackOfAnother_runsAfterAWait) {
    const Transfer later = copy(LONG), waited = copy(SHORT);
    Callback callback{[] {}};
    const auto options = callback.options();
    ASSERT_EQ(waited.post(), NIXL_OK);
    ASSERT_EQ(later.post(&options), NIXL_OK);

    EXPECT_EQ(waited.wait(), NIXL_OK);

    EXPECT_TRUE(eventually([&] { return callback.called == 1; }));
}

TEST_F(LibraryLeftLanes, CallbackOfAnother_runsAfterAFree) {
    const Transfer later = copy(LONG);
    Transfer freed = copy(SHORT);
    const nixl_buffer source = source_;
    Callback callback{[] {}};
    const auto options = callback.options();
    ASSERT_EQ(freed.post(), NIXL_OK);
    ASSERT_EQ(later.post(&options), NIXL_OK);

    EXPECT_EQ(nixl_buffer_free(session_.context(), source, -1), NIXL_OK);

    EXPECT_TRUE(eventually([&] { return callback.called == 1; }));
}

TEST_F(LibraryLeftLanes, QueueArmedAfterThePost_isSignalled) {
    const Transfer later = copy(LONG), waited = copy(SHORT);
    const auto options = into_queue();
    ASSERT_EQ(waited.post(), NIXL_OK);
    ASSERT_EQ(later.post(&options), NIXL_OK);
    ASSERT_EQ(nixl_queue_arm(session_.context(), queue_), NIXL_OK);

    EXPECT_EQ(waited.wait(), NIXL_OK);

    EXPECT_TRUE(is_signalled());
}

TEST_F(LibraryLeftLanes, CallbackThatSleepsForTheOther_isNotItsEnd) {
    const Transfer first = copy(SHORT), second = copy(SHORT), waited = copy(LONG);
    const auto options = into_queue();
    // A post that is held up sees the end itself and runs the callback, before there is another one
    // to sleep for: then once more.
    const std::thread::id poster = std::this_thread::get_id();
    std::atomic<bool> all_posted{false}, too_early{true};
    bool seen = false;
    Callback callback{[&] {
        too_early = std::this_thread::get_id() == poster && !all_posted;
        seen = too_early || is_signalled();
    }};
    const auto with_callback = callback.options();
    for (int round = 1; too_early; ++round) {
        all_posted = false;
        ASSERT_EQ(nixl_queue_arm(session_.context(), queue_), NIXL_OK);
        ASSERT_EQ(first.post(&with_callback), NIXL_OK);
        ASSERT_EQ(second.post(&options), NIXL_OK);
        ASSERT_EQ(waited.post(), NIXL_OK);
        all_posted = true;

        EXPECT_EQ(waited.wait(), NIXL_OK);

        ASSERT_TRUE(eventually([&] { return callback.called == round; }));
        EXPECT_EQ(second.wait(), NIXL_OK);
        nixl_event event{};
        uint32_t count = 0;
        ASSERT_TRUE(eventually([&] {
            return nixl_queue_poll(session_.context(), queue_, &event, 1, &count) == NIXL_OK &&
                   count == 1;
        }));
    }
    EXPECT_TRUE(seen);
}

TEST_F(LibraryWaits, CloseFromACallbackOfTheProgressThread_isRefused) {
    Session session(held_posix());
    const Transfer timed = session.request(session.file(file_.text()), session.wrap(first_));
    std::atomic<nixl_status> closed{NIXL_OK};
    Callback callback{[&] { closed = nixl_context_close(session.context()); }};
    const auto options = callback.options(1 * MS);
    ASSERT_EQ(timed.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return callback.called == 1; }));
    EXPECT_EQ(closed, NIXL_BUSY);
}

TEST_F(LibraryWaits, CloseWhileSomebodyFreesWhatNeverComesBack_ends) {
    const Quarantine quarantine;
    LogCapture log;
    Session session(held_posix(true));
    const nixl_buffer into = session.wrap(first_);
    const Transfer transfer = session.request(session.file(file_.text()), into);
    ASSERT_EQ(transfer.post(), NIXL_OK);
    std::atomic<bool> freeing{false};
    std::thread freer([&freeing, into, context = session.context()] {
        freeing = true;
        EXPECT_NE(nixl_buffer_free(context, into, -1), NIXL_OK);
    });
    EXPECT_TRUE(eventually([&] { return freeing.load(); }));

    EXPECT_EQ(session.close(), NIXL_OK);

    freer.join();
    EXPECT_EQ(log.count(NIXL_LOG_ERROR, "quarantined"), 1u) << log.text();
}

TEST_F(LibraryWaits, DefaultContextInACallbackWhileItCloses_doesNotHang) {
    const nixl_setting settings[] = {
        {"decorators", "fault:posix"}, {"fault.hold_rate", "1"}, {"drain_timeout", "50ms"}};
    nixl_context context{};
    ASSERT_EQ(nixl_default_open(settings, 3, &context), NIXL_OK);
    nixl_buffer from{}, into{};
    ASSERT_EQ(nixl_buffer_open(context, file_.text().c_str(), NIXL_KIND_FILE, 0, 0, 0, &from),
              NIXL_OK);
    ASSERT_EQ(nixl_buffer_wrap(context, first_.data(), first_.size(), NIXL_KIND_HOST, -1, 0, &into),
              NIXL_OK);
    nixl_request request{};
    ASSERT_EQ(nixl_request_create(context, from, into, &request), NIXL_OK);
    Callback callback{[] {
        nixl_context mine{};
        EXPECT_EQ(nixl_default_context(&mine), NIXL_OK);
    }};
    const auto options = callback.options();
    ASSERT_EQ(nixl_request_post(context, request, &options), NIXL_OK);

    EXPECT_EQ(nixl_default_close(), NIXL_OK); // cancels it

    EXPECT_EQ(callback.called, 1);
    EXPECT_EQ(nixl_default_close(), NIXL_OK); // the one that the callback opened
}

TEST_F(LibraryWaits, StaleHandle_doesNotReachTheNextRequestOfItsSlot) {
    Settings settings = held_posix();
    settings["request_slots"] = "1";
    Session session(settings);
    const nixl_buffer from = session.file(file_.text()), into = session.wrap(first_);
    Transfer old = session.request(from, into);
    const nixl_request handle = old.handle();
    ASSERT_EQ(old.release(), NIXL_OK);
    const Transfer next = session.request(from, into);
    ASSERT_EQ(next.handle().index, handle.index);
    ASSERT_EQ(next.post(), NIXL_OK);

    EXPECT_EQ(nixl_request_cancel(session.context(), handle), NIXL_STALE);
    EXPECT_EQ(nixl_request_poll(session.context(), handle), NIXL_STALE);
    EXPECT_EQ(nixl_request_post(session.context(), handle, nullptr), NIXL_STALE);
    EXPECT_EQ(nixl_request_release(session.context(), handle), NIXL_STALE);

    EXPECT_EQ(next.poll(), NIXL_IN_PROGRESS);
    EXPECT_EQ(next.cancel(), NIXL_OK);
    EXPECT_TRUE(is_over(next.wait()));
}

TEST_F(LibraryWaits, ForkWhileAThreadWaits_theChildOpensAndClosesItsOwn) {
    Session session(held_posix());
    const Transfer transfer = session.request(session.file(file_.text()), session.wrap(first_));
    ASSERT_EQ(transfer.post(), NIXL_OK);
    std::atomic<pid_t> id{0};
    std::thread waiter([&] {
        id.store(thread_id());
        EXPECT_TRUE(is_over(transfer.wait()));
    });
    while (id.load() == 0)
        std::this_thread::yield();
    EXPECT_TRUE(wait_until_asleep(id.load()));

    const std::string failed = in_child([&]() -> std::string {
        if (nixl_context_close(session.context()) != NIXL_OK)
            return "closing the inherited context";
        nixl_context own{};
        if (nixl_context_open(nullptr, 0, &own) != NIXL_OK)
            return "opening one of its own";
        return nixl_context_close(own) == NIXL_OK ? "" : "closing its own";
    });

    EXPECT_EQ(failed, "");
    EXPECT_EQ(transfer.cancel(), NIXL_OK);
    waiter.join();
}

TEST_F(LibraryWaits, ElementsThatWouldTakeEndlessPieces_areRefused) {
    Session session;
    ScratchPath other;
    const nixl_buffer from = session.file(file_.text()), into = session.file(other.text(), 8192);
    const nixl_run run{0, 0, 4096, 0, 0, uint64_t{1} << 40, 0, 0};
    ASSERT_EQ(session.configure({{"chunk_size", "4KB"}}), NIXL_OK);
    nixl_request request{};
    const nixl_run longer{0, 0, 8192, 0, 0, uint64_t{1} << 40, 0, 0};
    EXPECT_EQ(nixl_request_create_runs(session.context(), &from, &into, 1, &longer, 1, 0, &request),
              NIXL_UNSUPPORTED);
    EXPECT_NE(std::string(last_error().message).find("pieces"), std::string::npos);
    EXPECT_EQ(nixl_request_create_runs(session.context(), &from, &into, 1, &run, 1, 0, &request),
              NIXL_OK)
        << "as many that fit are one run: " << last_error().message;
    EXPECT_EQ(nixl_request_release(session.context(), request), NIXL_OK);
}

} // namespace
} // namespace nixl::test
