// SPDX-License-Identifier: Apache-2.0
// transfer and transfer_async from C++: data, callbacks, waiting, failures, handles that are
// dropped.
#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <csignal>
#include <cstdlib>

#include <pthread.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nixl/nixl.h>

namespace {

using nixl::TransferStatus;
using namespace std::chrono_literals;

class ApiTransfer : public testing::Test {
  protected:
    ~ApiTransfer() override { nixl::finalize(); }

    /// Opens the library with a backend that misbehaves.
    static void use_fault(const std::string& rate, const std::string& decorators = "fault:memcpy") {
        nixl::Config config;
        config.settings = {{"decorators", decorators}, {rate, "1"}, {"path_policy", "allow"}};
        nixl::initialize(config);
    }

    std::vector<unsigned char> source_ = std::vector<unsigned char>(1 << 16, 7);
    std::vector<unsigned char> target_ = std::vector<unsigned char>(1 << 16, 0);
    [[nodiscard]] nixl::Buffer source() {
        return nixl::Buffer::from_host(source_.data(), source_.size());
    }
    [[nodiscard]] nixl::Buffer target() {
        return nixl::Buffer::from_host(target_.data(), target_.size());
    }
};

// Proves: S-163 C-01
TEST_F(ApiTransfer, Blocking_hasMovedEverythingOnReturn) {
    const nixl::Buffer from = source(), to = target();
    nixl::Transfer transfer = nixl::transfer(from, to);

    EXPECT_EQ(target_, source_);
    EXPECT_EQ(transfer.status(), TransferStatus::SUCCESS);
    EXPECT_EQ(transfer.wait(), TransferStatus::SUCCESS);
    EXPECT_EQ(transfer.error(), "");
    EXPECT_EQ(transfer.bytes(), source_.size());
    EXPECT_NE(transfer.path().find("memcpy"), std::string::npos);
    EXPECT_NE(nixl::explain(from, to).find("memcpy"), std::string::npos);
}

// Proves: S-092
TEST_F(ApiTransfer, SourceLargerThanTarget_movesNothing) {
    const nixl::Buffer from = source();
    const nixl::Buffer to = nixl::Buffer::from_host(target_.data(), 100);
    try {
        nixl::transfer(from, to);
        FAIL() << "more was accepted than fits";
    } catch (const nixl::TransferError&) {
        FAIL() << "a wrong call is no failed copy";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::OUT_OF_RANGE);
    }
    EXPECT_EQ(target_[0], 0);
}

// Proves: S-158 S-159 S-160
TEST_F(ApiTransfer, Callback_runsOnceBeforeWaitReturns) {
    const nixl::Buffer from = source(), to = target();
    for (int i = 0; i < 100; ++i) {
        int calls = 0;
        TransferStatus seen = TransferStatus::PENDING;
        auto transfer = nixl::transfer_async(from, to, [&](TransferStatus status) {
            ++calls;
            seen = status;
        });
        transfer.wait();
        ASSERT_EQ(calls, 1);
        ASSERT_EQ(seen, TransferStatus::SUCCESS);
    }
}

// Proves: S-158
TEST_F(ApiTransfer, MoveOnlyCapture_isKeptAndDestroyed) {
    const nixl::Buffer from = source(), to = target();
    auto token = std::make_unique<int>(42);
    std::atomic<int> seen{0};
    auto shared = std::make_shared<int>(0);
    const std::weak_ptr<int> alive = shared;
    {
        auto transfer =
            nixl::transfer_async(from, to,
                                 [&seen, token = std::move(token),
                                  shared = std::move(shared)](TransferStatus) { seen = *token; });
        transfer.wait();
    }
    EXPECT_EQ(seen, 42);
    while (!alive.expired()) // the library's thread lets it go right after the callback
        std::this_thread::yield();
}

// Proves: S-158
TEST_F(ApiTransfer, ThrowingCallback_isContained) {
    const nixl::Buffer from = source(), to = target();
    testing::internal::CaptureStderr();
    auto first = nixl::transfer_async(
        from, to, [](TransferStatus) { throw std::runtime_error("from the callback"); });
    EXPECT_EQ(first.wait(), TransferStatus::SUCCESS);
    auto second = nixl::transfer_async(from, to, [](TransferStatus) { throw 42; });
    EXPECT_EQ(second.wait(), TransferStatus::SUCCESS);
    EXPECT_NE(testing::internal::GetCapturedStderr().find("from the callback"), std::string::npos);
}

// Proves: S-158
TEST_F(ApiTransfer, CallbackThatStartsAnother_doesNotDeadlock) {
    const nixl::Buffer from = source(), to = target();
    std::atomic<int> ended{0};
    auto transfer = nixl::transfer_async(from, to, [&](TransferStatus) {
        nixl::transfer_async(from, to, [&](TransferStatus) { ++ended; });
    });
    transfer.wait();

    const auto end = std::chrono::steady_clock::now() + 20s;
    while (ended == 0 && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    EXPECT_EQ(ended, 1);
}

// Proves: S-158 S-159
TEST_F(ApiTransfer, DroppedHandle_goesOnAndItsBufferWaits) {
    {
        const nixl::Buffer from = source(), to = target();
        nixl::transfer_async(from, to);
    } // the buffers wait here

    EXPECT_EQ(target_, source_);
}

// Proves: S-159
TEST_F(ApiTransfer, MovedFromHandle_throws) {
    const nixl::Buffer from = source(), to = target();
    nixl::Transfer first = nixl::transfer(from, to);
    nixl::Transfer second = std::move(first);

    EXPECT_EQ(second.wait(), TransferStatus::SUCCESS);
    EXPECT_THROW(first.wait(), nixl::NIXLException); // NOLINT(bugprone-use-after-move)
}

// Proves: C-02 S-159
TEST_F(ApiTransfer, WaitFor_timesOutAndLeavesItGoing) {
    use_fault("fault.hold_rate");
    const nixl::Buffer from = source(), to = target();
    std::atomic<int> calls{0};
    auto transfer = nixl::transfer_async(from, to, [&](TransferStatus) { ++calls; });

    EXPECT_EQ(transfer.wait_for(5ms), TransferStatus::TIMEOUT);
    EXPECT_EQ(transfer.status(), TransferStatus::IN_PROGRESS);
    EXPECT_FALSE(transfer.done());
    EXPECT_EQ(calls, 0);
    transfer.cancel();
    EXPECT_NE(transfer.wait(), TransferStatus::TIMEOUT);
    EXPECT_EQ(calls, 1);
}

// Proves: C-02
TEST_F(ApiTransfer, TwoThreads_mayWaitForOne) {
    use_fault("fault.hold_rate");
    const nixl::Buffer from = source(), to = target();
    auto transfer = nixl::transfer_async(from, to);
    std::thread other([copy = transfer]() mutable { copy.wait(); });
    transfer.cancel();
    transfer.wait();
    other.join();

    EXPECT_TRUE(transfer.done());
}

// Proves: S-059
TEST_F(ApiTransfer, Deadline_isReported) {
    use_fault("fault.hold_rate");
    const nixl::Buffer from = source(), to = target();
    nixl::PostOptions options;
    options.deadline = 20ms;
    auto transfer = nixl::transfer_async(from, to, options);

    EXPECT_EQ(transfer.wait(), TransferStatus::TIMEOUT);
}

// Proves: C-01 S-161
TEST_F(ApiTransfer, FailedCopy_throwsTransferError) {
    use_fault("fault.error_rate");
    const nixl::Buffer from = source(), to = target();

    EXPECT_THROW(nixl::transfer(from, to), nixl::TransferError);
}

// Proves: C-01 S-158
TEST_F(ApiTransfer, FailedAsync_tellsItsStatus) {
    use_fault("fault.error_rate");
    const nixl::Buffer from = source(), to = target();
    TransferStatus seen = TransferStatus::PENDING;
    auto transfer = nixl::transfer_async(from, to, [&](TransferStatus status) { seen = status; });

    EXPECT_EQ(transfer.wait(), TransferStatus::FAILED);
    EXPECT_EQ(seen, TransferStatus::FAILED);
    EXPECT_NE(transfer.error(), "");
    EXPECT_THROW(transfer.throw_if_failed(), nixl::TransferError);
}

// Proves: S-158
TEST_F(ApiTransfer, FailureThatNobodyLooksAt_isTold) {
    use_fault("fault.error_rate");
    const nixl::Buffer from = source(), to = target();
    testing::internal::CaptureStderr();
    nixl::transfer_async(from, to);
    nixl::finalize(); // drains

    EXPECT_NE(testing::internal::GetCapturedStderr().find("nobody looked"), std::string::npos);
}

// Proves: C-43
TEST_F(ApiTransfer, WaitAfterFinalize_tellsHowItEnded) {
    const nixl::Buffer from = source(), to = target();
    auto transfer = nixl::transfer_async(from, to);
    nixl::finalize();

    EXPECT_EQ(transfer.wait(), TransferStatus::SUCCESS);
}

// Proves: S-094
TEST_F(ApiTransfer, ManyThreads_transferAtOnce) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&wrong, t] {
            std::vector<unsigned char> from(5000, static_cast<unsigned char>(t)), to(5000);
            const nixl::Buffer a = nixl::Buffer::from_host(from.data(), from.size());
            const nixl::Buffer b = nixl::Buffer::from_host(to.data(), to.size());
            for (int i = 0; i < 200; ++i) {
                to.assign(to.size(), 255);
                nixl::transfer(a, b);
                wrong += to != from;
            }
        });
    for (std::thread& thread : threads)
        thread.join();

    EXPECT_EQ(wrong, 0);
}

/// Sends the calling thread a signal every few microseconds while it lives.
class Signals {
  public:
    explicit Signals(std::chrono::microseconds every) {
        struct sigaction action {};
        action.sa_handler = [](int) {};
        action.sa_flags = SA_RESTART;
        ::sigaction(SIGUSR1, &action, &before_);
        thread_ = std::thread([this, every, self = ::pthread_self()] {
            while (!stop_) {
                ::pthread_kill(self, SIGUSR1);
                std::this_thread::sleep_for(every); // allow(sleep): the pace of the signals
            }
        });
    }
    ~Signals() {
        stop_ = true;
        thread_.join();
        ::sigaction(SIGUSR1, &before_, nullptr);
    }

  private:
    struct sigaction before_ {};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

// Proves: S-163 S-161
TEST_F(ApiTransfer, Signals_doNotFailABlockingTransfer) {
    const nixl::Buffer from = source();
    char name[] = "/tmp/nixl-api-signals-XXXXXX";
    ::close(::mkstemp(name));
    const nixl::Buffer file = nixl::Buffer::open_file(
        name, nixl::OpenMode::CREATE | nixl::OpenMode::DIRECT, 0, source_.size());
    const Signals signals(30us);

    for (int i = 0; i < 500; ++i)
        EXPECT_NO_THROW(nixl::transfer(from, file));
    ::unlink(name);
}

// Proves: S-088
TEST_F(ApiTransfer, Signals_doNotStretchATimeout) {
    use_fault("fault.hold_rate");
    const nixl::Buffer from = source(), to = target();
    nixl::Transfer transfer = nixl::transfer_async(from, to);
    TransferStatus status{};
    std::atomic<bool> returned{false};
    {
        const Signals signals(2ms); // a wait of 100 ms that starts again each time never ends
        const auto start = std::chrono::steady_clock::now();
        auto waiting = std::thread([&] {
            while (std::chrono::steady_clock::now() < start + 10s && !returned)
                std::this_thread::sleep_for(10ms); // allow(sleep): a limit on a wait without end
            if (!returned)
                transfer.cancel();
        });
        status = transfer.wait_for(100ms);
        returned = true;
        waiting.join();
    }
    EXPECT_EQ(status, TransferStatus::TIMEOUT);
    transfer.cancel();
    transfer.wait();
}

// Proves: C-02
TEST_F(ApiTransfer, WaitInACallback_saysBusyAndChangesNothing) {
    use_fault("fault.hold_rate", "fault:posix");
    char name[] = "/tmp/nixl-api-busy-XXXXXX";
    ::close(::mkstemp(name));
    const nixl::Buffer from = source();
    const nixl::Buffer file =
        nixl::Buffer::open_file(name, nixl::OpenMode::CREATE, 0, source_.size());
    nixl::Transfer held = nixl::transfer_async(from, file);
    std::vector<unsigned char> large(1 << 25), large_target(1 << 25);
    const nixl::Buffer a = nixl::Buffer::from_host(large.data(), large.size());
    const nixl::Buffer b = nixl::Buffer::from_host(large_target.data(), large_target.size());
    // A post that is held up sees the end itself and runs the callback, in which waiting is legal.
    const std::thread::id poster = std::this_thread::get_id();
    std::atomic<int> code{0};
    while (code == 0) {
        std::atomic<bool> ran{false};
        nixl::transfer_async(a, b, [&](TransferStatus) {
            try {
                if (std::this_thread::get_id() != poster) {
                    held.wait();
                    code = 1; // it let us wait
                }
            } catch (const nixl::NIXLException& error) {
                code = static_cast<int>(error.code());
            }
            ran = true;
        });
        while (!ran)
            std::this_thread::yield();
    }

    EXPECT_EQ(code, static_cast<int>(nixl::Code::BUSY));
    EXPECT_EQ(held.status(), TransferStatus::IN_PROGRESS);
    held.cancel();
    held.wait();
    ::unlink(name);
}

} // namespace
