// SPDX-License-Identifier: Apache-2.0
// Any thread may call anything at any time. Run under ThreadSanitizer these are about data races,
// else about lost wake-ups and results.
#include <atomic>
#include <random>
#include <thread>

#include "tests/conformance/session.h"

namespace nixl::test {
namespace {

constexpr int THREADS = 16;

void on_threads(int count, const std::function<void(int)>& body) {
    std::vector<std::thread> threads;
    for (int i = 0; i < count; ++i)
        threads.emplace_back([&body, i] { body(i); });
    for (std::thread& thread : threads)
        thread.join();
}

class LibraryThreads : public ::testing::Test {
  protected:
    LibraryThreads() { file_.write(content_); }
    const Bytes content_ = random_bytes(THREADS * 4096, 1);
    ScratchPath file_;
    const int rounds_ = static_cast<int>(200 / slowdown());
};

// Proves: S-094
TEST_F(LibraryThreads, SixteenThreadsOnSharedBuffers_eachMoveTheirPart) {
    for (const char* lanes : {"1", "4"}) {
        Session session(Settings{{"lanes", lanes}});
        Bytes memory(content_.size()), copy(content_.size());
        const nixl_buffer from = session.file(file_.text()), into = session.wrap(memory),
                          third = session.wrap(copy);
        std::atomic<int> bad{0};
        on_threads(THREADS, [&](int i) {
            const uint64_t at = static_cast<uint64_t>(i) * 4096;
            const Transfer read = session.range(from, at, into, at, 4096);
            const Transfer move = session.range(into, at, third, at, 4096);
            for (int round = 0; round < rounds_; ++round)
                bad += read.run() != NIXL_OK || move.run() != NIXL_OK ? 1 : 0;
        });
        EXPECT_EQ(bad, 0);
        EXPECT_TRUE(copy == content_);
        EXPECT_EQ(session.users(into), 0u);
    }
}

TEST_F(LibraryThreads, RequestsMadeAndReleasedEverywhere_shareTheSlots) {
    Session session(Settings{{"request_slots", "64"}});
    Bytes memory(content_.size());
    const nixl_buffer from = session.file(file_.text()), into = session.wrap(memory);
    std::atomic<int> bad{0};
    on_threads(THREADS, [&](int i) {
        const uint64_t at = static_cast<uint64_t>(i) * 4096;
        for (int round = 0; round < rounds_; ++round) {
            nixl_request request{};
            const nixl_status made =
                nixl_request_create_range(session.context(), from, at, into, at, 4096, &request);
            bad += made != NIXL_OK ? 1 : 0;
            bad += nixl_request_post(session.context(), request, nullptr) != NIXL_OK ? 1 : 0;
            if (round % 3 != 0) // else it is released in flight
                bad += nixl_request_wait(session.context(), request, PATIENCE_NS) != NIXL_OK;
            bad += nixl_request_release(session.context(), request) != NIXL_OK ? 1 : 0;
            // Released ones keep their slots until they came back.
            while (session.users(into) > 40)
                (void)nixl_buffer_free(session.context(), into, 1000);
        }
    });
    EXPECT_EQ(bad, 0);
}

TEST_F(LibraryThreads, OneRequestForAll_isPostedByOneAtATime) {
    Session session;
    Bytes memory(4096);
    const Transfer transfer =
        session.range(session.file(file_.text()), 0, session.wrap(memory), 0, 4096);
    std::atomic<int> posted{0}, busy{0}, bad{0};
    on_threads(8, [&](int) {
        for (int round = 0; round < rounds_; ++round) {
            const nixl_status status = transfer.post();
            posted += status == NIXL_OK ? 1 : 0;
            busy += status == NIXL_BUSY ? 1 : 0;
            const nixl_status waited = transfer.wait();
            bad += waited != NIXL_OK ? 1 : 0;
        }
    });
    EXPECT_EQ(bad, 0);
    EXPECT_EQ(posted + busy, 8 * rounds_);
    EXPECT_GE(posted, rounds_);
}

TEST_F(LibraryThreads, PostPollWaitCancelAtOnce_endInOneOfTheirStates) {
    Session session(Settings{{"decorators", "limit:posix"}, {"limit.depth", "2"}, {"lanes", "2"}});
    Bytes memory(content_.size());
    const Transfer transfer = session.runs(session.file(file_.text()), session.wrap(memory),
                                           {{0, 0, 256, 256, 256, 256, 0, 0}});
    std::atomic<int> bad{0};
    on_threads(8, [&](int i) {
        std::mt19937 random(static_cast<unsigned>(i));
        for (int round = 0; round < rounds_ * 2; ++round) {
            nixl_status status = NIXL_OK;
            switch (random() % 4) {
            case 0:
                status = transfer.post();
                break;
            case 1:
                status = transfer.poll();
                break;
            case 2:
                status = transfer.wait(100'000);
                break;
            case 3:
                status = transfer.cancel();
                break;
            }
            bad += status != NIXL_OK && status != NIXL_IN_PROGRESS && status != NIXL_BUSY &&
                           status != NIXL_CANCELLED
                       ? 1
                       : 0;
        }
    });
    EXPECT_EQ(bad, 0);
    const nixl_status last = transfer.wait();
    EXPECT_TRUE(last == NIXL_OK || last == NIXL_CANCELLED) << last;
    EXPECT_EQ(transfer.run(), NIXL_OK);
}

TEST_F(LibraryThreads, SeveralWaitersOfOneRequest_areAllWoken) {
    Session session(Settings{{"decorators", "limit:posix"}, {"limit.bytes_per_second", "2MB"}});
    Bytes memory(content_.size());
    const Transfer transfer = session.runs(session.file(file_.text()), session.wrap(memory),
                                           {{0, 0, 1024, 1024, 1024, 64, 0, 0}});
    ASSERT_EQ(transfer.post(), NIXL_OK);
    std::atomic<int> good{0};
    on_threads(8, [&](int) { good += transfer.wait() == NIXL_OK ? 1 : 0; });
    EXPECT_EQ(good, 8);
    EXPECT_TRUE(memory == content_);
}

TEST_F(LibraryThreads, FreeRacesWithPosts_neitherCrashesNorLies) {
    Session session;
    Bytes memory(4096);
    const nixl_buffer from = session.file(file_.text());
    for (int round = 0; round < rounds_ / 4 + 1; ++round) {
        const nixl_buffer into = session.wrap(memory);
        std::atomic<bool> freed{false};
        std::atomic<int> bad{0};
        on_threads(4, [&](int i) {
            if (i == 0) {
                bad += nixl_buffer_free(session.context(), into, PATIENCE_NS) != NIXL_OK ? 1 : 0;
                freed = true;
                return;
            }
            for (;;) {
                nixl_request request{};
                const bool late = freed;
                const nixl_status made =
                    nixl_request_create_range(session.context(), from, 0, into, 0, 4096, &request);
                if (made == NIXL_STALE)
                    return;
                bad += made != NIXL_OK || late ? 1 : 0;
                if (made != NIXL_OK) {
                    ADD_FAILURE() << made << ": " << last_error().message;
                    return;
                }
                const nixl_status posted = nixl_request_post(session.context(), request, nullptr);
                bad += posted != NIXL_OK && posted != NIXL_STALE ? 1 : 0;
                bad +=
                    nixl_request_wait(session.context(), request, PATIENCE_NS) != NIXL_OK ? 1 : 0;
                bad += nixl_request_release(session.context(), request) != NIXL_OK ? 1 : 0;
            }
        });
        ASSERT_EQ(bad, 0) << "round " << round;
    }
}

TEST_F(LibraryThreads, BuffersComeAndGoEverywhere_withoutLosingOne) {
    Session session;
    Bytes memory(content_.size()), other(content_.size());
    std::atomic<int> bad{0};
    on_threads(8, [&](int i) {
        for (int round = 0; round < rounds_; ++round) {
            const uint64_t at = static_cast<uint64_t>(i) * 4096;
            const nixl_buffer from = session.wrap(memory.data() + at, 4096);
            const nixl_buffer into = session.wrap(other.data() + at, 4096);
            bad += session.request(from, into).run() != NIXL_OK ? 1 : 0;
            bad += nixl_buffer_free(session.context(), from, PATIENCE_NS) != NIXL_OK ? 1 : 0;
            bad += nixl_buffer_free(session.context(), into, PATIENCE_NS) != NIXL_OK ? 1 : 0;
        }
    });
    EXPECT_EQ(bad, 0);
    EXPECT_NE(session.report("memory").find("\"buffers\":0"), std::string::npos)
        << session.report("memory");
}

TEST_F(LibraryThreads, ContextsOpenAndCloseEverywhere) {
    std::atomic<int> bad{0};
    on_threads(4, [&](int i) {
        for (int round = 0; round < rounds_ / 10 + 1; ++round) {
            Session session(Settings{{"lanes", "1"}});
            Bytes memory(4096);
            const Transfer transfer =
                session.range(session.file(file_.text()), static_cast<uint64_t>(i) * 4096,
                              session.wrap(memory), 0, 4096);
            bad += transfer.run() != NIXL_OK ? 1 : 0;
        }
    });
    EXPECT_EQ(bad, 0);
}

TEST_F(LibraryThreads, SettingsChangeWhileTransfersRun) {
    Session session;
    ScratchPath other;
    const nixl_buffer from = session.file(file_.text());
    const nixl_buffer into = session.file(other.text(), content_.size());
    std::atomic<int> bad{0};
    std::atomic<bool> stop{false};
    std::thread changer([&] {
        for (unsigned round = 0; !stop; ++round) {
            const Settings settings = {{"chunk_size", round % 2 == 0 ? "4KB" : "16KB"},
                                       {"pipeline_chunks", std::to_string(round % 8 + 1)}};
            bad += session.configure(settings) != NIXL_OK ? 1 : 0;
            (void)session.report("memory");
            (void)session.report("abandoned");
        }
    });
    on_threads(4, [&](int) {
        for (int round = 0; round < rounds_ / 10 + 1; ++round)
            bad += session.request(from, into).run() != NIXL_OK ? 1 : 0;
    });
    stop = true;
    changer.join();
    EXPECT_EQ(bad, 0);
    EXPECT_TRUE(other.read() == content_);
}

} // namespace
} // namespace nixl::test
