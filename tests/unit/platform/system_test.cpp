// SPDX-License-Identifier: Apache-2.0
// The machine's figures, on laid-out copies of the kernel's files and on the machine itself.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sched.h>
#include <thread>
#include <unistd.h>

#include "platform/system.h"

namespace nixl::core {
namespace {

constexpr uint64_t GB = uint64_t{1} << 30;

/// A folder with a machine's files: 64 GB of memory, 32 GB available.
class Machine : public testing::Test {
  protected:
    Machine() {
        put("/proc/meminfo", "MemTotal:       67108864 kB\nMemFree:        1048576 kB\n"
                             "MemAvailable:   33554432 kB\n");
    }
    ~Machine() override { std::filesystem::remove_all(root_); }

    void put(const std::string& path, const std::string& text) {
        std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
        std::ofstream(root_ + path) << text;
    }
    MemoryFigures figures() {
        auto read = host_memory(root_);
        EXPECT_TRUE(read.ok());
        return read.ok() ? read.value() : MemoryFigures{};
    }
    void mount_version_2() {
        put("/proc/self/mountinfo", "40 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
        put("/proc/self/cgroup", "0::/a/b\n");
    }

    std::string root_ = testing::TempDir() + "nixl_machine_" + std::to_string(getpid());
};

// Proves: S-062
TEST_F(Machine, WithoutControlGroups_hasWhatTheKernelSays) {
    EXPECT_EQ(figures().total_bytes, 64 * GB);
    EXPECT_EQ(figures().free_bytes, 32 * GB);
    EXPECT_FALSE(figures().limited);
}

// Proves: S-062
TEST_F(Machine, VersionTwoGroup_limitsTotalAndFree) {
    mount_version_2();
    put("/sys/fs/cgroup/a/b/memory.max", "8589934592\n");
    put("/sys/fs/cgroup/a/b/memory.current", "3221225472\n");
    put("/sys/fs/cgroup/a/b/memory.stat", "anon 1\ninactive_file 1073741824\n");

    EXPECT_EQ(figures().total_bytes, 8 * GB);
    EXPECT_EQ(figures().free_bytes, 6 * GB);
    EXPECT_TRUE(figures().limited);
}

// Proves: S-062
TEST_F(Machine, GroupAbove_limitsAsWell) {
    mount_version_2();
    put("/sys/fs/cgroup/a/b/memory.max", "max\n");
    put("/sys/fs/cgroup/a/memory.max", "4294967296\n");
    put("/sys/fs/cgroup/a/memory.current", "5294967296\n");

    EXPECT_EQ(figures().total_bytes, 4 * GB);
    EXPECT_EQ(figures().free_bytes, 0u);
}

// Proves: S-062
TEST_F(Machine, VersionOneGroup_limitsAndItsNoLimitIsNone) {
    put("/proc/self/mountinfo", "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
                                "36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
    put("/proc/self/cgroup", "5:cpu:/\n4:memory:/job\n0::/\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_FALSE(figures().limited);

    put("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "2147483648\n");
    put("/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "1073741824\n");
    EXPECT_EQ(figures().total_bytes, 2 * GB);
    EXPECT_EQ(figures().free_bytes, 1 * GB);
}

// Proves: S-062
TEST_F(Machine, ContainerThatSeesOnlyItsPart_findsItsLimit) {
    put("/proc/self/mountinfo",
        "35 31 0:32 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
    put("/proc/self/cgroup", "4:memory:/docker/x\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n");

    EXPECT_EQ(figures().total_bytes, 1 * GB);
}

TEST_F(Machine, LimitAboveTheMachine_isNoLimit) {
    mount_version_2();
    put("/sys/fs/cgroup/a/memory.max", "999999999999999\n");

    EXPECT_FALSE(figures().limited);
}

TEST_F(Machine, FilesThatAreBrokenOrMissing_areErrorsOrIgnored) {
    mount_version_2();
    put("/sys/fs/cgroup/a/b/memory.max", "");
    put("/proc/self/mountinfo", "garbage - \n - - -\n40 31 0:38 / /sys - cgroup2 cgroup2 rw\n");
    EXPECT_EQ(figures().total_bytes, 64 * GB);

    put("/proc/meminfo", "nothing here\n");
    EXPECT_EQ(host_memory(root_).error().code, Code::UNSUPPORTED);
    std::filesystem::remove(root_ + "/proc/meminfo");
    EXPECT_EQ(host_memory(root_).error().code, Code::NOT_FOUND);
}

// Proves: S-062
TEST(System, ThisMachine_hasPlausibleFigures) {
    const auto memory = host_memory();

    ASSERT_TRUE(memory.ok()) << memory.error().message;
    EXPECT_GT(memory.value().total_bytes, uint64_t{64} << 20);
    EXPECT_LE(memory.value().free_bytes, memory.value().total_bytes);
}

TEST(System, UsableCpus_followTheAffinityMask) {
    EXPECT_GE(usable_cpus(), 1u);

    uint32_t pinned = 0;
    std::thread([&] { // a thread of its own: the mask is the thread's
        cpu_set_t all, one;
        ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
        CPU_ZERO(&one);
        for (int cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++cpu)
            if (CPU_ISSET(cpu, &all))
                CPU_SET(cpu, &one);
        ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
        pinned = usable_cpus();
    })
        .join();

    EXPECT_EQ(pinned, 1u);
}

} // namespace
} // namespace nixl::core
