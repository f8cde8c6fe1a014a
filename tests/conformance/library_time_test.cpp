// SPDX-License-Identifier: Apache-2.0
// Deadlines: told in time, and what is late goes on abandoned, holding what it touches, until the
// last operation has come back.
#include <atomic>
#include <chrono>

#include "tests/conformance/session.h"

namespace nixl::test {
namespace {

constexpr int64_t MS = 1'000'000;
/// A machine under load is late; a library that hangs is later.
constexpr int64_t GRACE_NS = 20'000 * MS;

class LibraryTime : public ::testing::Test {
  protected:
    LibraryTime() { file_.write(content_); }

    /// One element of the file that never comes back unless it is cancelled.
    static Settings held(bool for_ever = false) {
        return {{"decorators", "fault:posix"},
                {"fault.hold_rate", "1"},
                {"fault.hold_forever", for_ever ? "true" : "false"},
                {"drain_timeout", "100ms"},
                {"enable_telemetry", "true"}};
    }
    static nixl_post_options deadline(int64_t ns) {
        nixl_post_options options = NIXL_INIT(nixl_post_options);
        options.deadline_ns = ns;
        return options;
    }
    static int64_t now_ns() {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(
                   std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }

    const Bytes content_ = random_bytes(8192, 1);
    ScratchPath file_;
    Bytes target_ = Bytes(8192);
};

TEST_F(LibraryTime, DeadlineThatIsKept_changesNothing) {
    Session session;
    const Transfer transfer = session.request(session.file(file_.text()), session.wrap(target_));
    const auto options = deadline(PATIENCE_NS);
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_TRUE(target_ == content_);
}

TEST_F(LibraryTime, DeadlinePasses_theWaiterIsToldInTime) {
    Session session(held());
    const Transfer transfer = session.request(session.file(file_.text()), session.wrap(target_));
    const auto options = deadline(20 * MS);
    const int64_t start = now_ns();
    ASSERT_EQ(transfer.post(&options), NIXL_OK);

    EXPECT_EQ(transfer.wait(), NIXL_TIMED_OUT);

    const int64_t took = now_ns() - start;
    EXPECT_GE(took, 20 * MS);
    EXPECT_LT(took, 20 * MS + GRACE_NS);
    EXPECT_EQ(transfer.poll(), NIXL_TIMED_OUT);
    EXPECT_NE(transfer.error().find("deadline"), std::string::npos) << transfer.error();
}

TEST_F(LibraryTime, DeadlinePasses_aPollIsToldToo) {
    Session session(held());
    const Transfer transfer = session.request(session.file(file_.text()), session.wrap(target_));
    const auto options = deadline(1 * MS);
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_TRUE(eventually([&] { return transfer.poll() != NIXL_IN_PROGRESS; }));
    EXPECT_EQ(transfer.poll(), NIXL_TIMED_OUT);
}

TEST_F(LibraryTime, DeadlinePassesWhileNobodyWaits_theCallbackIsToldOnce) {
    Session session(held());
    const Transfer transfer = session.request(session.file(file_.text()), session.wrap(target_));
    auto options = deadline(5 * MS);
    std::atomic<int> called{0};
    options.user = &called;
    options.done = [](void* user, nixl_request, nixl_status status) {
        EXPECT_EQ(status, NIXL_TIMED_OUT);
        ++*static_cast<std::atomic<int>*>(user);
    };
    ASSERT_EQ(transfer.post(&options), NIXL_OK);

    EXPECT_TRUE(eventually([&] { return called == 1; }));

    // Its cancelled rest comes back after that; once is all that is told.
    EXPECT_TRUE(eventually([&] { return session.metrics().abandoned == 0; }));
    EXPECT_EQ(called, 1);
    EXPECT_EQ(transfer.poll(), NIXL_TIMED_OUT);
}

TEST_F(LibraryTime, ErrorAskedForWhileTheRestIsOut_isThatOfTheDeadline) {
    Session session(held());
    const Transfer transfer = session.request(session.file(file_.text()), session.wrap(target_));
    for (int round = 0; round < 20; ++round) {
        const auto options = deadline(1 * MS);
        nixl_status posted = NIXL_BUSY;
        EXPECT_TRUE(eventually([&] { return (posted = transfer.post(&options)) != NIXL_BUSY; }));
        ASSERT_EQ(posted, NIXL_OK);
        std::string error;
        EXPECT_TRUE(eventually([&] { return !(error = transfer.error()).empty(); }));
        EXPECT_NE(error.find("deadline"), std::string::npos) << error;
        EXPECT_EQ(transfer.describe().status, NIXL_TIMED_OUT);
    }
}

TEST_F(LibraryTime, AfterItCameBack_theRequestServesAgain) {
    Session session(held());
    const nixl_buffer into = session.wrap(target_);
    const Transfer transfer = session.request(session.file(file_.text()), into);
    for (int round = 0; round < 3; ++round) {
        const auto options = deadline(2 * MS);
        nixl_status posted = NIXL_BUSY;
        EXPECT_TRUE(eventually([&] {
            posted = transfer.post(&options);
            return posted != NIXL_BUSY;
        }));
        ASSERT_EQ(posted, NIXL_OK);
        EXPECT_EQ(transfer.wait(), NIXL_TIMED_OUT);
    }
    EXPECT_EQ(nixl_buffer_free(session.context(), into, PATIENCE_NS), NIXL_OK);
}

TEST_F(LibraryTime, NothingIsWrittenOnceTheBufferIsFree) {
    Session session(held());
    const nixl_buffer into = session.wrap(target_);
    Transfer transfer = session.request(session.file(file_.text()), into);
    const auto options = deadline(1 * MS);
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_TIMED_OUT);
    ASSERT_EQ(nixl_buffer_free(session.context(), into, PATIENCE_NS), NIXL_OK);

    std::fill(target_.begin(), target_.end(), static_cast<unsigned char>(0x77));
    for (int i = 0; i < 1000; ++i)
        (void)transfer.poll();

    EXPECT_TRUE(target_ == Bytes(8192, 0x77));
}

TEST_F(LibraryTime, ComposedRoutePastItsDeadline_comesBackToo) {
    Session session(held());
    ScratchPath other;
    const Transfer transfer =
        session.request(session.file(file_.text()), session.file(other.text(), 8192));
    const auto options = deadline(2 * MS);
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_TIMED_OUT);
    EXPECT_TRUE(eventually([&] { return session.metrics().abandoned == 0; }));
    EXPECT_TRUE(eventually([&] { return transfer.post(&options) != NIXL_BUSY; }));
    EXPECT_EQ(transfer.wait(), NIXL_TIMED_OUT);
}

TEST_F(LibraryTime, OtherTransfersOfTheLane_goOn) {
    Settings settings = held();
    settings["lanes"] = "1";
    Session session(settings);
    Bytes source = random_bytes(100000, 2), target(100000);
    const Transfer late = session.request(session.file(file_.text()), session.wrap(target_));
    const Transfer good = session.request(session.wrap(source), session.wrap(target));
    const auto options = deadline(1 * MS);
    ASSERT_EQ(late.post(&options), NIXL_OK);
    for (int i = 0; i < 100; ++i)
        ASSERT_EQ(good.run(), NIXL_OK);
    EXPECT_EQ(late.wait(), NIXL_TIMED_OUT);
    EXPECT_TRUE(source == target);
}

TEST_F(LibraryTime, ManyDeadlinesAtOnce_areAllTold) {
    Session session(held());
    std::vector<Transfer> transfers;
    const nixl_buffer from = session.file(file_.text()), into = session.wrap(target_);
    for (int i = 0; i < 50; ++i) {
        transfers.push_back(session.range(from, 0, into, 0, 64));
        const auto options = deadline((i % 7 + 1) * MS);
        ASSERT_EQ(transfers.back().post(&options), NIXL_OK);
    }
    for (const Transfer& transfer : transfers)
        EXPECT_EQ(transfer.wait(), NIXL_TIMED_OUT);
    EXPECT_EQ(nixl_buffer_free(session.context(), into, PATIENCE_NS), NIXL_OK);
    EXPECT_EQ(session.metrics().abandoned, 0u);
}

} // namespace
} // namespace nixl::test
