// SPDX-License-Identifier: Apache-2.0
// Many threads on two devices, and processes that end with work under way.
#include "rig.h"

#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace nixl::test {
namespace {

constexpr int THREADS = 8, STEPS = 2000;
constexpr size_t BYTES = 4096;

/// One thread's own stream and memory, and random work on them whose outcome it knows.
class Worker {
  public:
    Worker(const Rig& rig, unsigned seed)
        : rig_(rig), random_(seed), current_(rig, rig.contexts[seed % 2]) {
        EXPECT_EQ(rig_.call.host_register(host_.data(), BYTES, HOST_PORTABLE), CuResult::SUCCESS);
    }
    void run() {
        for (int step = 0; step < STEPS && !testing::Test::HasFailure(); ++step)
            one();
        EXPECT_EQ(rig_.call.stream_synchronize(stream_), CuResult::SUCCESS);
        EXPECT_EQ(rig_.call.memory_free(target_), CuResult::SUCCESS);
        EXPECT_EQ(rig_.call.host_unregister(host_.data()), CuResult::SUCCESS);
    }

  private:
    void one() {
        switch (random_() % 8) {
        case 0:
            return check();
        case 1:
            return renew_memory();
        case 2:
            return renew_stream();
        case 3:
            EXPECT_EQ(rig_.call.event_record(event_, stream_), CuResult::SUCCESS);
            EXPECT_EQ(rig_.call.stream_wait_event(stream_, event_, 0), CuResult::SUCCESS);
            return;
        case 4:
            value_ = static_cast<char>(random_());
            EXPECT_EQ(rig_.launch_fill(fill_, target_, 0x01010101u * static_cast<uint8_t>(value_),
                                       BYTES / 4, stream_),
                      CuResult::SUCCESS);
            return;
        default:
            value_ = static_cast<char>(random_());
            EXPECT_EQ(rig_.call.fill(target_, static_cast<unsigned char>(value_), BYTES, stream_),
                      CuResult::SUCCESS);
        }
    }
    void check() {
        EXPECT_EQ(rig_.call.copy_to_host(host_.data(), target_, BYTES, stream_), CuResult::SUCCESS);
        EXPECT_EQ(rig_.call.event_record(event_, stream_), CuResult::SUCCESS);
        EXPECT_EQ(rig_.call.event_synchronize(event_), CuResult::SUCCESS);
        EXPECT_EQ(host_, std::vector<char>(BYTES, value_));
    }
    void renew_memory() {
        const Address next = rig_.device_bytes(BYTES);
        EXPECT_EQ(rig_.call.copy(next, target_, BYTES, stream_), CuResult::SUCCESS);
        EXPECT_EQ(rig_.call.memory_free(target_), CuResult::SUCCESS);
        target_ = next;
    }
    void renew_stream() {
        const Stream next = rig_.stream(random_() % 2);
        EXPECT_EQ(rig_.call.event_record(event_, stream_), CuResult::SUCCESS);
        EXPECT_EQ(rig_.call.stream_wait_event(next, event_, 0), CuResult::SUCCESS);
        EXPECT_EQ(rig_.call.stream_destroy(stream_), CuResult::SUCCESS);
        stream_ = next;
    }

    const Rig& rig_;
    std::minstd_rand random_;
    Current current_;
    Stream stream_ = rig_.stream();
    Event event_ = rig_.event();
    Function fill_ = rig_.fill_words();
    Address target_ = rig_.device_bytes(BYTES);
    char value_ = 0;
    std::vector<char> host_ = std::vector<char>(BYTES);
};

TEST(SimulatedThreads, RandomWorkOnTwoDevices_comesOutAsEachThreadKnows) {
    on_gpus([](Rig& rig) {
        std::vector<std::thread> threads;
        for (unsigned seed = 1; seed <= THREADS; ++seed)
            threads.emplace_back([&rig, seed] {
                SCOPED_TRACE("seed " + std::to_string(seed));
                Worker(rig, seed).run();
            });
        for (std::thread& thread : threads)
            thread.join();
        EXPECT_EQ(rig.call.context_synchronize(), CuResult::SUCCESS);
        EXPECT_EQ(rig.free_bytes(), size_t{16} << 30);
    });
}

TEST(SimulatedThreads, ProcessThatExits_doesNotWaitForStreamsBusyOrIdle) {
    on_gpus([](Rig& rig) {
        const Stream idle = rig.stream(), busy = rig.stream(), held = rig.stream();
        const Address target = rig.device_bytes(1);
        EXPECT_EQ(rig.call.fill(target, 1, 1, idle), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_synchronize(idle), CuResult::SUCCESS);
        EXPECT_EQ(rig.faults("slow=1000000000"), 0);
        EXPECT_EQ(rig.call.fill(target, 1, 1, busy), CuResult::SUCCESS);
        EXPECT_EQ(rig.call.stream_query(held), CuResult::SUCCESS);
        if (!testing::Test::HasFailure())
            std::exit(0); // with destructors, unlike the child's usual end
    });
}

} // namespace
} // namespace nixl::test
