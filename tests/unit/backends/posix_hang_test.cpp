// SPDX-License-Identifier: Apache-2.0
// The posix backend beside a file system that hangs: a frozen ext4, which holds every write to it
// until it is thawed. What has nothing to do with it goes on, and nothing is lost.
#include "posix_rig.h"

#include "tests/support/ext4_disk.h"

namespace nixl::test {
namespace {

constexpr uint64_t KIB = 1024, MIB = 1024 * KIB;

class PosixHang : public PosixEngines {};
INSTANTIATE_TEST_SUITE_P(Engines, PosixHang, ::testing::Values("io_uring", "threads"), engine_name);

/// What has nothing to do with what hangs: "", or what of it hangs, too.
std::string write_and_read(PosixRig& rig, const PosixRig::Attached& from,
                           const PosixRig::Attached& healthy, const PosixRig::Attached& to,
                           const nixl_run& run) {
    const bool written = rig.finish(rig.submit(from.region(), healthy.region(), {run}));
    const bool read = rig.finish(rig.submit(healthy.region(), to.region(), {run}));
    return std::string(written ? "" : "the write elsewhere hangs, too; ") +
           (read ? "" : "the read elsewhere hangs, too; ");
}

std::string cancel_behind_a_frozen_write(const std::string& engine) {
    constexpr uint64_t COUNT = 64, BLOCK = 4 * KIB;
    const Ext4Disk disk;
    if (!disk.reason().empty())
        return "skip: " + disk.reason();
    PosixRig rig(engine, COUNT, {{"posix.merge_bytes", "0"}});
    Bytes source(COUNT * BLOCK);
    const auto from = rig.memory(source), to = rig.file(disk.path("file"), O_RDWR | O_CREAT);
    if (!disk.freeze())
        return "skip: " + words("FIFREEZE");
    const uint64_t tag =
        rig.submit(from->region(), to->region(), {run_of(0, 0, BLOCK, COUNT, BLOCK, BLOCK)});
    rig.table.cancel(rig.queue, tag);
    rig.poll_once();
    disk.thaw();
    if (!rig.finish(tag))
        return "not finished";
    // One may have been in the kernel.
    const uint64_t cancelled = rig.works[tag].count(NIXL_CANCELLED);
    return cancelled + 1 >= COUNT && cancelled + rig.works[tag].count(NIXL_OK) == COUNT
               ? ""
               : std::to_string(cancelled) + " elements are cancelled";
}

TEST_P(PosixHang, CachedWritesBehindOneThatHangs_canBeCancelled) {
    expect_child(in_child([] { return cancel_behind_a_frozen_write(GetParam()); }));
}

std::string count_wakes_of_queued_writes(const std::string& engine) {
    constexpr uint64_t COUNT = 32, BLOCK = 4 * KIB;
    const Ext4Disk disk;
    if (!disk.reason().empty())
        return "skip: " + disk.reason();
    PosixRig rig(engine, 2 * COUNT, {{"posix.merge_bytes", "0"}});
    Bytes source = random_bytes(COUNT * BLOCK, 14);
    const auto from = rig.memory(source), to = rig.file(disk.path("file"), O_RDWR | O_CREAT);
    if (!disk.freeze())
        return "skip: " + words("FIFREEZE");
    const uint64_t tag =
        rig.submit(from->region(), to->region(), {run_of(0, 0, BLOCK, COUNT, BLOCK, BLOCK)});
    const uint64_t before = rig.host.wakes(&rig);
    disk.thaw();
    if (!rig.finish(tag) || rig.works[tag].count(NIXL_OK) != COUNT)
        return "not finished";
    const uint64_t wakes = rig.host.wakes(&rig) - before;
    return wakes >= 1 && wakes <= COUNT / 4 ? "" : std::to_string(wakes) + " wake-ups";
}

TEST_P(PosixHang, CachedWritesThatFollowEachOther_wakeTheirDriverSeldom) {
    expect_child(in_child([] { return count_wakes_of_queued_writes(GetParam()); }));
}

/// Writes more than the depth to each of `files` files of a file system that hangs, and then to a
/// file of another one, and from it.
std::string work_beside_frozen_files(const std::string& engine, uint32_t files,
                                     const std::string& threads) {
    constexpr uint64_t DEPTH = 64, COUNT = 4 * DEPTH, BLOCK = 4 * KIB;
    const Ext4Disk disk;
    if (!disk.reason().empty())
        return "skip: " + disk.reason();
    PosixRig rig(engine, DEPTH, {{"posix.merge_bytes", "0"}, {"posix.threads", threads}});
    Bytes source = random_bytes(COUNT * BLOCK, 11), back(COUNT * BLOCK);
    const auto from = rig.memory(source), to = rig.memory(back);
    const auto healthy = rig.file(disk.path_beside("healthy"), O_RDWR | O_CREAT);
    std::vector<PosixRig::Region> hanging;
    for (uint32_t i = 0; i < files; ++i)
        hanging.push_back(rig.file(disk.path(std::to_string(i)), O_RDWR | O_CREAT));
    if (!disk.freeze())
        return "skip: " + words("FIFREEZE");
    const std::vector<nixl_run> all = {run_of(0, 0, BLOCK, COUNT, BLOCK, BLOCK)};
    std::vector<uint64_t> hung;
    hung.reserve(files);
    for (const auto& file : hanging)
        hung.push_back(rig.submit(from->region(), file->region(), all));

    std::string result = write_and_read(rig, *from, *healthy, *to, all.front());
    disk.thaw();
    for (const uint64_t tag : hung)
        if (!rig.finish(tag) || rig.works[tag].count(NIXL_OK) != COUNT)
            result += "lost what hung; ";
    return back == source ? result : result + "the bytes differ";
}

TEST_P(PosixHang, FileThatHangs_leavesTheOthersTheirPartOfTheDepth) {
    expect_child(in_child([] { return work_beside_frozen_files(GetParam(), 1, "8"); }));
}

TEST_P(PosixHang, FileSystemThatHangs_leavesTheOthersAThread) {
    expect_child(in_child([] { return work_beside_frozen_files(GetParam(), 20, "3"); }));
}

/// Writes to a DIRECT file of a file system that hangs, each a request, then work elsewhere.
std::string work_beside_frozen_direct_writes(const std::string& engine, uint32_t depth,
                                             const std::vector<nixl_run>& runs) {
    constexpr uint64_t BLOCK = 4 * KIB;
    const Ext4Disk disk;
    if (!disk.reason().empty())
        return "skip: " + disk.reason();
    PosixRig rig(engine, depth, {{"posix.merge_bytes", "0"}});
    Bytes source = random_bytes(MIB, 15), back(BLOCK);
    const auto from = rig.memory(source), to = rig.memory(back);
    const auto healthy = rig.file(disk.path_beside("healthy"), O_RDWR | O_CREAT);
    const auto file = rig.file(disk.path("file"), O_RDWR | O_CREAT, NIXL_REGION_DIRECT);
    if (rig.host.logged("goes through the page cache"))
        return "skip: no direct I/O here";
    if (!disk.freeze())
        return "skip: " + words("FIFREEZE");
    std::vector<uint64_t> hung;
    for (const nixl_run& run : runs)
        hung.push_back(rig.submit(from->region(), file->region(), {run}));

    std::string result = write_and_read(rig, *from, *healthy, *to, run_of(0, 0, BLOCK));
    disk.thaw();
    for (size_t i = 0; i < runs.size(); ++i)
        if (!rig.finish(hung[i]) || rig.works[hung[i]].count(NIXL_OK) != runs[i].count)
            result += "lost what hung; ";
    return std::equal(back.begin(), back.end(), source.begin()) ? result
                                                                : result + "the bytes differ";
}

TEST_P(PosixHang, DirectWritesThatHang_leaveOperationsToOtherDevices) {
    constexpr uint64_t DEPTH = 32, BLOCK = 4 * KIB;
    expect_child(in_child([] {
        return work_beside_frozen_direct_writes(GetParam(), DEPTH,
                                                {run_of(0, 0, BLOCK, 8 * DEPTH, BLOCK, BLOCK)});
    }));
}

// It waits for the direct one.
TEST_P(PosixHang, UnalignedWriteBehindADirectOneThatHangs_delaysItsFileAlone) {
    constexpr uint64_t BLOCK = 4 * KIB;
    expect_child(in_child([] {
        return work_beside_frozen_direct_writes(GetParam(), 0,
                                                {run_of(0, 0, BLOCK), run_of(BLOCK, BLOCK, 100),
                                                 run_of(2 * BLOCK, 2 * BLOCK, BLOCK),
                                                 run_of(0, BLOCK + 100, 100)});
    }));
}

/// Reads with unaligned ends take three calls each; what hangs meanwhile has nothing to do with
/// them. The file is in memory, so that results come soon.
std::string split_reads_beside_a_frozen_write(const std::string& engine) {
    constexpr uint64_t COUNT = 40;
    const Ext4Disk disk;
    if (!disk.reason().empty())
        return "skip: " + disk.reason();
    const std::string in_memory = "/dev/shm/nixl-split-" + std::to_string(::getpid());
    PosixRig rig(engine);
    Bytes source = random_bytes(MIB + 2, 16), back(MIB + 1);
    const auto from = rig.memory(source), to = rig.memory(back);
    const auto file = rig.file(in_memory, O_RDWR | O_CREAT, NIXL_REGION_DIRECT);
    ::unlink(in_memory.c_str());
    if (rig.host.logged("goes through the page cache"))
        return "skip: no direct I/O in /dev/shm";
    const auto stuck = rig.file(disk.path("file"), O_RDWR | O_CREAT);
    rig.run(from->region(), file->region(), {run_of(0, 0, MIB + 2)});
    if (!disk.freeze())
        return "skip: " + words("FIFREEZE");
    const uint64_t hung = rig.submit(from->region(), stuck->region(), {run_of(0, 0, 4 * KIB)});
    std::string result;
    for (uint64_t i = 0; i < COUNT && result.empty(); ++i)
        if (!rig.finish(rig.submit(file->region(), to->region(), {run_of(1, 1, MIB)})) ||
            !std::equal(back.begin() + 1, back.end(), source.begin() + 1))
            result = "read " + std::to_string(i) + " waits for the write; ";
    if (rig.host.counted("posix.direct_elements_through_cache") != 1) // the write of all
        result += "the reads were not split; ";
    disk.thaw();
    return rig.finish(hung) ? result : result + "lost what hung";
}

TEST_P(PosixHang, ReadsInSeveralCalls_doNotWaitForAWriteThatHangs) {
    expect_child(in_child([] { return split_reads_beside_a_frozen_write(GetParam()); }));
}

} // namespace
} // namespace nixl::test
