// SPDX-License-Identifier: Apache-2.0
// The posix backend against real trouble: full disks, broken devices, forbidden calls, low limits.
#include "posix_rig.h"

#include <cerrno>
#include <csignal>
#include <cstddef>

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "tests/support/forbid_call.h"
#include "tests/support/loop_device.h"
#include "tests/support/small_disk.h"

namespace nixl::test {
namespace {

constexpr uint64_t KIB = 1024, MIB = 1024 * KIB;

class PosixDevices : public PosixEngines {};
INSTANTIATE_TEST_SUITE_P(Engines, PosixDevices, ::testing::Values("io_uring", "threads"),
                         engine_name);

TEST_P(PosixDevices, BlockDevice_isWrittenAndReadAtAnyOffset) {
    ScratchFile backing;
    backing.resize(4 * MIB);
    const LoopDevice device(backing.path());
    if (!device.reason().empty())
        GTEST_SKIP() << device.reason();
    for (const uint32_t flags : {0u, uint32_t{NIXL_REGION_DIRECT}}) {
        PosixRig rig(GetParam());
        Bytes source = random_bytes(MIB, flags + 1), target(MIB);
        const auto from = rig.memory(source), to = rig.memory(target);
        const auto disk = rig.file(device.path(), O_RDWR, flags, 0, NIXL_KIND_BLOCK);
        ASSERT_NE(disk, nullptr) << rig.text;
        const std::vector<nixl_run> shapes = {run_of(0, 0, 64 * KIB),
                                              run_of(64 * KIB, 64 * KIB, 777),
                                              run_of(64 * KIB + 777, 64 * KIB + 777, 100'000)};

        EXPECT_EQ(rig.run(from->region(), disk->region(), shapes).count(NIXL_OK), 3u);
        EXPECT_EQ(rig.table.flush(rig.instance, disk->registration, nullptr), NIXL_OK);
        rig.run(disk->region(), to->region(), shapes);

        const long length = 64 * KIB + 777 + 100'000;
        EXPECT_TRUE(std::equal(source.begin(), source.begin() + length, target.begin()));
        EXPECT_TRUE(backing.read(static_cast<size_t>(length)) ==
                    Bytes(source.begin(), source.begin() + length));
    }
}

TEST_P(PosixDevices, DeviceThatLostItsData_givesEioForTheLostElementsAlone) {
    ScratchFile backing(random_bytes(4 * MIB, 2));
    const LoopDevice device(backing.path());
    if (!device.reason().empty())
        GTEST_SKIP() << device.reason();
    PosixRig rig(GetParam());
    Bytes target(2 * MIB);
    const auto to = rig.memory(target);
    const auto disk = rig.file(device.path(), O_RDWR, NIXL_REGION_DIRECT, 0, NIXL_KIND_BLOCK);
    ASSERT_NE(disk, nullptr) << rig.text;
    backing.resize(MIB);

    // Neighbours across the edge, so that the joined call fails and each is asked for again.
    const auto& work = rig.run(disk->region(), to->region(),
                               {run_of(MIB - 64 * KIB, 0, 16 * KIB, 8, 16 * KIB, 16 * KIB)});

    for (size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(work.elements[i].status, i < 4 ? NIXL_OK : NIXL_IO_ERROR) << i;
        if (i >= 4) {
            EXPECT_EQ(work.elements[i].detail, EIO);
        }
    }
    EXPECT_TRUE(std::equal(target.begin(), target.begin() + 64 * KIB,
                           backing.read(64 * KIB, MIB - 64 * KIB).begin()));
}

std::string fill_a_small_disk(const std::string& engine) {
    const SmallDisk disk("1m");
    if (!disk.reason().empty())
        return "skip: " + disk.reason();
    const std::string path = disk.path("file");
    std::string result;
    {
        PosixRig rig(engine, 0, {{"posix.merge_bytes", "0"}});
        Bytes source = random_bytes(4 * MIB, 3);
        const auto from = rig.memory(source);
        const auto file = rig.file(path, O_RDWR | O_CREAT, NIXL_REGION_DIRECT);
        const auto& work = rig.run(from->region(), file->region(),
                                   {run_of(0, 0, 64 * KIB, 64, 64 * KIB, 64 * KIB)});
        uint64_t good_bytes = work.count(NIXL_OK), full = 0;
        for (const Element& element : work.elements)
            full += element.status == NIXL_NO_SPACE && element.detail == ENOSPC ? 1 : 0;
        if (!work.finished() || full == 0 || full + good_bytes != 64 || good_bytes > 16)
            result = "ok " + std::to_string(good_bytes) + " full " + std::to_string(full);
    }
    return result;
}

TEST_P(PosixDevices, FullDisk_isNoSpaceForTheElementsThatDidNotFit) {
    expect_child(in_child([] { return fill_a_small_disk(GetParam()); }));
}

std::string without_threads(const std::string& engine) {
    ScratchFile file(random_bytes(100 * KIB, 12));
    PosixRig rig(engine);
    if (!forbid_call(SYS_clone3, EAGAIN) || !forbid_call(SYS_clone, EAGAIN))
        return "skip: " + words("seccomp");
    for (int i = 0; i < 2; ++i) {
        const auto written = rig.file(file.path());
        if (written != nullptr || std::string(rig.text).find("thread") == std::string::npos)
            return std::string("a file to write: ") + rig.text;
    }
    if (engine == "threads")
        return "";
    Bytes target(100 * KIB);
    const auto to = rig.memory(target), disk = rig.file(file.path(), O_RDONLY);
    rig.run(disk->region(), to->region(), {run_of(0, 0, KIB, 100, KIB, KIB)});
    return target == file.read(100 * KIB) ? "" : "the bytes differ";
}

TEST_P(PosixDevices, NoThreadForAFileThatIsWritten_isNamed) {
    expect_child(in_child([] { return without_threads(GetParam()); }));
}

std::string without_io_uring() {
    if (!forbid_call(SYS_io_uring_setup, EPERM))
        return "skip: " + words("seccomp");
    PosixRig forced("io_uring");
    if (forced.opened != NIXL_UNSUPPORTED ||
        std::string(forced.text).find("io_uring_setup: Operation not permitted") != 0)
        return std::string("io_uring by name: ") + forced.text;

    PosixRig rig("auto");
    nixl_caps caps = {};
    caps.struct_size = sizeof caps;
    char text[256] = "";
    nixl_error_text reason = {text, sizeof text, 0, 0};
    if (rig.table.probe(rig.table.self, rig.host.table(), &caps, &reason) != NIXL_OK ||
        std::string(text) != "io_uring_setup: Operation not permitted; using threads")
        return std::string("probe says: ") + text;
    ScratchFile file(random_bytes(100 * KIB, 4));
    Bytes target(100 * KIB);
    const auto to = rig.memory(target), disk = rig.file(file.path());
    rig.run(disk->region(), to->region(), {run_of(0, 0, KIB, 100, KIB, KIB)});
    return target == file.read(100 * KIB) ? "" : "the bytes differ";
}

TEST(PosixMachine, ForbiddenIoUring_isReplacedByThreadsWithTheReason) {
    if (const std::string reason = io_uring_missing(); !reason.empty())
        GTEST_SKIP() << reason;
    expect_child(in_child(without_io_uring));
}

// A sandbox may allow making a ring and forbid using it.
std::string without_io_uring_enter() {
    if (!forbid_call(SYS_io_uring_enter, EPERM))
        return "skip: " + words("seccomp");
    PosixRig forced("io_uring");
    if (forced.opened != NIXL_UNSUPPORTED ||
        std::string(forced.text).find("io_uring_enter: Operation not permitted") != 0)
        return std::string("io_uring by name: ") + forced.text;
    ScratchFile file(random_bytes(100 * KIB, 6));
    PosixRig rig("auto");
    Bytes target(100 * KIB);
    const auto to = rig.memory(target), disk = rig.file(file.path());
    rig.run(disk->region(), to->region(), {run_of(0, 0, KIB, 100, KIB, KIB)});
    return target == file.read(100 * KIB) ? "" : "the bytes differ";
}

TEST(PosixMachine, RingThatMayNotBeEntered_isReplacedByThreads) {
    if (const std::string reason = io_uring_missing(); !reason.empty())
        GTEST_SKIP() << reason;
    expect_child(in_child(without_io_uring_enter));
}

std::string enter_forbidden_later() {
    ScratchFile file(random_bytes(100 * KIB, 7));
    PosixRig rig("io_uring", 8, {{"posix.merge_bytes", "0"}});
    Bytes target(100 * KIB);
    const auto to = rig.memory(target), disk = rig.file(file.path());
    if (!forbid_call(SYS_io_uring_enter, EPERM))
        return "skip: " + words("seccomp");
    const auto& work = rig.run(disk->region(), to->region(), {run_of(0, 0, KIB, 100, KIB, KIB)});
    if (!work.finished() || work.count(NIXL_PERMISSION_DENIED) != 100)
        return std::to_string(work.done) + " ended, " +
               std::to_string(work.count(NIXL_PERMISSION_DENIED)) + " with the error";
    return work.elements[0].detail == EPERM ? "" : "another errno";
}

TEST(PosixMachine, RingThatMayNoLongerBeEntered_failsItsElements) {
    if (const std::string reason = io_uring_missing(); !reason.empty())
        GTEST_SKIP() << reason;
    expect_child(in_child(enter_forbidden_later));
}

std::string without_descriptors() {
    ScratchFile file(random_bytes(100 * KIB, 8));
    PosixRig rig("auto");
    Bytes target(100 * KIB);
    const auto to = rig.memory(target), disk = rig.file(file.path());
    rig.table.queue_close(rig.queue);
    rig.queue = nullptr;
    const int next = ::dup(0);
    ::close(next);
    const rlimit limit = {static_cast<rlim_t>(next), static_cast<rlim_t>(next)};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return "skip: " + words("RLIMIT_NOFILE");
    for (int time = 0; time < 2; ++time) {
        nixl_error_text error = {rig.text, sizeof rig.text, 0, 0};
        if (rig.table.queue_open(rig.instance, 0, &rig, &rig.queue, &error) != NIXL_OK)
            return rig.text;
        std::fill(target.begin(), target.end(), 0);
        rig.run(disk->region(), to->region(), {run_of(0, 0, KIB, 100, KIB, KIB)});
        if (target != file.read(100 * KIB))
            return "the bytes differ";
        rig.table.queue_close(rig.queue);
        rig.queue = nullptr;
    }
    int told = 0;
    for (const auto& line : rig.host.log_lines())
        told += line.level == NIXL_LOG_WARN && line.text.find("io_uring_setup: Too many open "
                                                              "files") != std::string::npos;
    return told == 1 ? "" : std::to_string(told) + " warnings";
}

TEST(PosixMachine, NoDescriptorForAnotherRing_isToldOnceAndThreadsServeTheQueue) {
    if (const std::string reason = io_uring_missing(); !reason.empty())
        GTEST_SKIP() << reason;
    expect_child(in_child(without_descriptors));
}

// Its own signal would end the program.
std::string above_the_file_size_limit(const std::string& engine, uint32_t flags) {
    const rlimit limit = {64 * KIB + 100, 64 * KIB + 100};
    ScratchFile file;
    PosixRig rig(engine, 0, {{"posix.merge_bytes", flags != 0 ? "0" : "64K"}});
    Bytes source = random_bytes(128 * KIB, 10);
    const auto from = rig.memory(source), disk = rig.file(file.path(), O_RDWR, flags);
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return "skip: " + words("RLIMIT_FSIZE");
    const auto& work =
        rig.run(from->region(), disk->region(), {run_of(0, 0, 4 * KIB, 32, 4 * KIB, 4 * KIB)});
    if (work.count(NIXL_OK) != 17 || work.elements[16].bytes != 100)
        return std::to_string(work.count(NIXL_OK)) + " elements went well";
    for (size_t i = 17; i < 32; ++i)
        if (work.elements[i].status != NIXL_NO_SPACE || work.elements[i].detail != EFBIG)
            return "element " + std::to_string(i) + " has status " +
                   std::to_string(work.elements[i].status);
    source.resize(64 * KIB + 100);
    return file.read(128 * KIB) == source ? "" : "the bytes differ";
}

TEST_P(PosixDevices, FileSizeLimit_isAnErrorAndNoSignal) {
    for (const uint32_t flags : {0u, uint32_t{NIXL_REGION_DIRECT}})
        expect_child(in_child([&] { return above_the_file_size_limit(GetParam(), flags); }));
}

std::string interrupted_while_assisting() {
    constexpr uint64_t COUNT = 256, BLOCK = 4 * KIB;
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    const itimerval often = {{0, 50}, {0, 50}};
    if (::sigaction(SIGALRM, &action, nullptr) != 0)
        return "skip: " + words("sigaction");
    ScratchFile file(random_bytes(COUNT * BLOCK, 9));
    PosixRig rig("io_uring", 64, {{"posix.merge_bytes", "0"}});
    Bytes target(COUNT * BLOCK);
    const auto to = rig.memory(target);
    const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
    if (rig.host.logged("goes through the page cache"))
        return "skip: no direct I/O here";
    ::setitimer(ITIMER_REAL, &often, nullptr);
    bool interrupted = false;
    for (int round = 0; round < 1000 && !interrupted; ++round) {
        const uint64_t tag =
            rig.submit(disk->region(), to->region(), {run_of(0, 0, BLOCK, COUNT, BLOCK, BLOCK)});
        while (!rig.works[tag].finished()) {
            rig.poll_once();
            const int answer = rig.table.assist(rig.queue);
            if (answer < 0 || answer > 2)
                return "assist() answers " + std::to_string(answer);
            interrupted = interrupted || answer == 2;
        }
    }
    const itimerval never = {};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    return interrupted ? "" : "no signal was noticed";
}

TEST(PosixMachine, SignalDuringAssist_isToldToTheCore) {
    if (const std::string reason = io_uring_missing(); !reason.empty())
        GTEST_SKIP() << reason;
    expect_child(in_child(interrupted_while_assisting));
}

std::string with_little_locked_memory() {
    const rlimit limit = {64 * KIB, 64 * KIB};
    if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0)
        return "skip: " + words("drop to nobody");
    ScratchFile file(random_bytes(MIB, 5));
    PosixRig rig("io_uring");
    if (rig.opened != NIXL_OK)
        return std::string("skip: ") + rig.text;
    Bytes memory(MIB);
    {
        const auto to = rig.memory(memory);
        const auto disk = rig.file(file.path(), O_RDWR, NIXL_REGION_DIRECT);
        for (int i = 0; i < 4; ++i) {
            std::fill(memory.begin(), memory.end(), 0);
            rig.run(disk->region(), to->region(), {run_of(0, 0, 64 * KIB, 16, 64 * KIB, 64 * KIB)});
            if (memory != file.read(MIB))
                return "the bytes differ";
        }
    }
    rig.table.queue_close(rig.queue);
    rig.queue = nullptr;
    return rig.host.logged("io_uring_register: Cannot allocate memory") ? "" : "no DEBUG line";
}

TEST(PosixMachine, TooLittleLockableMemory_isToldAndStillMovesTheBytes) {
    if (const std::string reason = io_uring_missing(); !reason.empty())
        GTEST_SKIP() << reason;
    expect_child(in_child(with_little_locked_memory));
}

} // namespace
} // namespace nixl::test
