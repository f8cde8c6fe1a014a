// SPDX-License-Identifier: Apache-2.0
// Ends of contexts: with work in flight, with waiters, with work that never comes back, and in a
// child that did not open them.
#include <atomic>
#include <chrono>
#include <thread>

#include "tests/conformance/late_backend.h"
#include "tests/conformance/session.h"
#include "tests/support/quarantine.h"

namespace nixl::test {
namespace {

class LibraryClose : public ::testing::Test {
  protected:
    LibraryClose() { file_.write(content_); }
    const Bytes content_ = random_bytes(1 << 20, 1);
    ScratchPath file_;

    static Settings slow() {
        return {{"decorators", "limit:posix"}, {"limit.bytes_per_second", "8MB"}};
    }
    static Settings held(bool for_ever) {
        return {{"decorators", "fault:posix"},
                {"fault.hold_rate", "1"},
                {"fault.hold_forever", for_ever ? "true" : "false"},
                {"drain_timeout", "50ms"}};
    }
    static nixl_status start(Session& session, const ScratchPath& file, Bytes& target,
                             nixl_request* out) {
        const nixl_run run{0, 0, 16384, 16384, 16384, 64, 0, 0};
        const nixl_buffer from = session.file(file.text()), into = session.wrap(target);
        const nixl_status made =
            nixl_request_create_runs(session.context(), &from, &into, 1, &run, 1, 0, out);
        return made != NIXL_OK ? made : nixl_request_post(session.context(), *out, nullptr);
    }
};

// Proves: S-057
TEST_F(LibraryClose, WorkInFlight_isFinishedFirst) {
    Bytes target(1 << 20);
    nixl_request request{};
    Session session(slow());
    ASSERT_EQ(start(session, file_, target, &request), NIXL_OK);

    EXPECT_EQ(session.close(), NIXL_OK);

    EXPECT_TRUE(target == content_);
}

TEST_F(LibraryClose, WorkThatOnlyEndsWhenCancelled_endsSoonAfterTheDrainTime) {
    const LogCapture log;
    Bytes target(1 << 20);
    nixl_request request{};
    Session session(held(false));
    ASSERT_EQ(start(session, file_, target, &request), NIXL_OK);
    const auto begin = std::chrono::steady_clock::now();

    EXPECT_EQ(session.close(), NIXL_OK);

    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_GE(took, std::chrono::milliseconds(50));
    EXPECT_LT(took, std::chrono::seconds(20));
    EXPECT_EQ(log.count(NIXL_LOG_ERROR, ""), 0u) << log.text();
}

TEST_F(LibraryClose, WorkThatNeverComesBack_isQuarantinedAndNamedOnce) {
    const Quarantine quarantine;
    const LogCapture log;
    auto* const target = new Bytes(1 << 20); // allow(naked-new): it stays with the quarantine
    nixl_request request{};
    Session session(held(true));
    ASSERT_EQ(start(session, file_, *target, &request), NIXL_OK);
    const auto begin = std::chrono::steady_clock::now();

    EXPECT_EQ(session.close(), NIXL_OK);

    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));
    EXPECT_EQ(log.count(NIXL_LOG_ERROR, ""), 1u) << log.text();
    EXPECT_EQ(log.count(NIXL_LOG_ERROR, "quarantine"), 1u) << log.text();
    EXPECT_EQ(log.count(NIXL_LOG_ERROR, "1048576"), 1u) << log.text();
}

TEST_F(LibraryClose, LateBackend_mayStillUseItsHost) {
    const Quarantine quarantine;
    const LogCapture log;
    auto* const memory = new Bytes(4096); // allow(naked-new): it stays with the quarantine
    const unsigned before = LateBackend::open_instances();
    Session session(Settings{{"drain_timeout", "10ms"}});
    const nixl_backend_v1 table = late_backend();
    ASSERT_EQ(nixl_backend_add(session.context(), &table), NIXL_OK);
    const Transfer transfer =
        session.range(session.wrap(*memory), 0, session.wrap(*memory), 2048, 2048);
    ASSERT_EQ(transfer.post(), NIXL_OK);
    EXPECT_EQ(transfer.poll(), NIXL_IN_PROGRESS);

    EXPECT_EQ(session.close(), NIXL_OK);

    EXPECT_EQ(LateBackend::open_instances(), before + 1) << "closed under its work";
    LateBackend::use_host(); // its services last until it is closed, which is never
    EXPECT_EQ(log.count(NIXL_LOG_ERROR, "testlate"), 1u) << log.text();
}

TEST_F(LibraryClose, OthersThatWait_areToldAndTheContextCloses) {
    for (const bool ends : {true, false}) {
        Bytes target(1 << 20);
        nixl_request request{};
        Session session(ends ? slow() : held(false));
        ASSERT_EQ(start(session, file_, target, &request), NIXL_OK);
        const nixl_context context = session.context();
        std::atomic<int> waiting{0};
        std::atomic<int> bad{0};
        std::vector<std::thread> waiters;
        for (int i = 0; i < 4; ++i)
            waiters.emplace_back([&] {
                ++waiting;
                const nixl_status status = nixl_request_wait(context, request, PATIENCE_NS);
                bad += status == NIXL_IN_PROGRESS || status == NIXL_INTERNAL ? 1 : 0;
            });
        EXPECT_TRUE(eventually([&] { return waiting == 4; }));

        EXPECT_EQ(session.close(), NIXL_OK);

        for (std::thread& waiter : waiters)
            waiter.join();
        EXPECT_EQ(bad, 0);
        EXPECT_EQ(nixl_request_poll(context, request), NIXL_STALE);
    }
}

TEST_F(LibraryClose, WaitersOfWhatNeverComesBack_areToldToo) {
    const Quarantine quarantine;
    const LogCapture log;
    auto* const target = new Bytes(1 << 20); // allow(naked-new): it stays with the quarantine
    nixl_request request{};
    Session session(held(true));
    ASSERT_EQ(start(session, file_, *target, &request), NIXL_OK);
    const nixl_context context = session.context();
    std::atomic<nixl_status> waited{NIXL_IN_PROGRESS};
    std::thread waiter([&] { waited = nixl_request_wait(context, request, -1); });

    EXPECT_EQ(session.close(), NIXL_OK);

    waiter.join();
    EXPECT_TRUE(waited == NIXL_CANCELLED || waited == NIXL_STALE) << waited;
}

TEST_F(LibraryClose, CallsWhileItCloses_areStaleOrServed) {
    for (int round = 0; round < 20; ++round) {
        Bytes target(1 << 20);
        Session session;
        const nixl_context context = session.context();
        const nixl_buffer from = session.file(file_.text()), into = session.wrap(target);
        std::atomic<int> started{0}, bad{0};
        std::vector<std::thread> callers;
        for (int i = 0; i < 4; ++i)
            callers.emplace_back([&] {
                for (;; ++started) {
                    nixl_request request{};
                    const nixl_status status =
                        nixl_transfer_start(context, from, into, nullptr, &request);
                    if (status == NIXL_STALE)
                        return;
                    bad += status != NIXL_OK && status != NIXL_AGAIN ? 1 : 0;
                    if (status == NIXL_OK)
                        (void)nixl_request_release(context, request);
                }
            });
        EXPECT_TRUE(eventually([&] { return started > 10; }));
        EXPECT_EQ(session.close(), NIXL_OK);
        for (std::thread& caller : callers)
            caller.join();
        ASSERT_EQ(bad, 0);
    }
}

TEST_F(LibraryClose, SlotsOfContexts_areFewAndReused) {
    std::vector<std::unique_ptr<Session>> sessions;
    for (int i = 0; i < 60; ++i) // others of this process may be open
        sessions.push_back(std::make_unique<Session>(Settings{{"lanes", "1"}, {"workers", "1"}}));
    nixl_context extra{};
    std::vector<nixl_context> rest;
    nixl_status status = NIXL_OK;
    while ((status = nixl_context_open(nullptr, 0, &extra)) == NIXL_OK)
        rest.push_back(extra);
    EXPECT_EQ(status, NIXL_AGAIN);
    EXPECT_EQ(sessions.size() + rest.size(), 64u);
    for (const nixl_context each : rest)
        EXPECT_EQ(nixl_context_close(each), NIXL_OK);
    sessions.clear();
    Session again;
    EXPECT_NE(again.context().generation, 0u);
}

// Proves: S-094
TEST_F(LibraryClose, ForkedChild_isToldAndTheParentGoesOn) {
    Session session;
    Bytes target(1 << 20);
    const Transfer transfer = session.request(session.file(file_.text()), session.wrap(target));
    ASSERT_EQ(transfer.run(), NIXL_OK); // threads and rings exist by now

    const std::string text = in_child([&]() -> std::string {
        nixl_buffer buffer{};
        if (transfer.post() != NIXL_UNSUPPORTED)
            return "post was not refused";
        if (std::string(last_error().message).find("fork") == std::string::npos)
            return std::string("the message does not say why: ") + last_error().message;
        if (transfer.poll() != NIXL_UNSUPPORTED || transfer.wait() != NIXL_UNSUPPORTED)
            return "poll or wait was not refused";
        if (nixl_buffer_wrap(session.context(), &buffer, 1, NIXL_KIND_HOST, -1, 0, &buffer) !=
            NIXL_UNSUPPORTED)
            return "wrap was not refused";
        if (nixl_context_close(session.context()) != NIXL_OK)
            return "closing an inherited context is not nothing";
        // One of its own works.
        nixl_context own{};
        if (nixl_context_open(nullptr, 0, &own) != NIXL_OK)
            return std::string("no context in the child: ") + last_error().message;
        Bytes source(5000, 7), copy(5000);
        nixl_buffer from{}, into{};
        nixl_request request{};
        if (nixl_buffer_wrap(own, source.data(), 5000, NIXL_KIND_HOST, -1, 0, &from) != NIXL_OK ||
            nixl_buffer_wrap(own, copy.data(), 5000, NIXL_KIND_HOST, -1, 0, &into) != NIXL_OK ||
            nixl_transfer_start(own, from, into, nullptr, &request) != NIXL_OK ||
            nixl_request_wait(own, request, PATIENCE_NS) != NIXL_OK || copy != source)
            return "a copy in the child failed";
        return nixl_context_close(own) == NIXL_OK ? "" : "close in the child failed";
    });

    EXPECT_EQ(text, "");
    EXPECT_EQ(transfer.run(), NIXL_OK) << "the parent is affected";
    EXPECT_TRUE(target == content_);
}

TEST_F(LibraryClose, ForkWhileTransfersRun_leavesTheParentAlone) {
    Session session(slow());
    Bytes target(1 << 20);
    nixl_request request{};
    ASSERT_EQ(start(session, file_, target, &request), NIXL_OK);
    for (int i = 0; i < 3; ++i)
        EXPECT_EQ(in_child([&]() -> std::string {
                      return nixl_request_poll(session.context(), request) == NIXL_UNSUPPORTED
                                 ? ""
                                 : "poll was not refused";
                  }),
                  "");
    EXPECT_EQ(nixl_request_wait(session.context(), request, PATIENCE_NS), NIXL_OK);
    EXPECT_TRUE(target == content_);
}

} // namespace
} // namespace nixl::test
