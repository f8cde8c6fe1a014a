// SPDX-License-Identifier: Apache-2.0
// A machine that says no, through the whole library: full disks, devices that lost their data,
// forbidden calls, no descriptors left. Each is a named error, and what can go on goes on.
#include <cerrno>
#include <memory>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conformance/session.h"
#include "tests/support/forbid_call.h"
#include "tests/support/loop_device.h"
#include "tests/support/small_disk.h"

namespace nixl::test {
namespace {

constexpr uint64_t KIB = 1024, MIB = 1024 * KIB;

void expect_child(const std::string& result) {
    if (result.rfind("skip: ", 0) == 0)
        GTEST_SKIP() << result.substr(6);
    EXPECT_EQ(result, "");
}

class LibraryMachine : public ::testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        if (const std::string reason = refusal_of(fixture_name()); !reason.empty())
            GTEST_SKIP() << reason;
    }
    static std::string fixture_name() {
        return GetParam() == std::string("io_uring") ? "posix_uring" : "posix_threads";
    }
    static Settings engine() { return {{"posix.engine", GetParam()}}; }
};
INSTANTIATE_TEST_SUITE_P(Engines, LibraryMachine, ::testing::Values("io_uring", "threads"),
                         [](const auto& info) { return info.param; });

// ---- Full disks ---------------------------------------------------------------------------------

/// A file that is there already, and one that grows until the disk is full.
std::string fill_a_disk(const Settings& settings) {
    const SmallDisk disk("1m");
    if (!disk.reason().empty())
        return "skip: " + disk.reason();
    Bytes source = random_bytes(4 * MIB, 1);
    const Bytes old = random_bytes(64 * KIB, 2);
    const uint32_t create = NIXL_BUFFER_CREATE;
    Bytes back(64 * KIB);
    Session session(settings);
    const nixl_buffer from = session.wrap(source);
    const nixl_buffer kept = session.file(disk.path("kept"), old.size(), 0, create);
    Bytes copy = old;
    EXPECT_EQ(session.request(session.wrap(copy), kept).run(), NIXL_OK);
    const nixl_buffer growing = session.file(disk.path("growing"), source.size(), 0, create);

    EXPECT_EQ(session.range(from, 0, growing, 0, 8 * KIB).run(), NIXL_OK) << "there is room yet";

    const Transfer whole = session.request(from, growing);
    EXPECT_EQ(whole.run(), NIXL_NO_SPACE);
    EXPECT_EQ(whole.describe().detail, ENOSPC);
    EXPECT_EQ(whole.describe().first_bad_element, 0u);
    EXPECT_NE(whole.error().find("No space left"), std::string::npos) << whole.error();
    EXPECT_LE(whole.describe().bytes_done, MIB - old.size());
    EXPECT_EQ(session.users(from), 0u);

    // Each byte was moved or never written, no fewer were than was told, nothing else is harmed.
    Bytes now(source.size());
    const Transfer look = session.request(growing, session.wrap(now));
    EXPECT_TRUE(look.run() == NIXL_OK || look.describe().status == NIXL_SHORT_TRANSFER);
    uint64_t moved = 0, wrong = 0;
    for (uint64_t i = 0; i < now.size(); ++i) {
        moved += now[i] == source[i] ? 1 : 0;
        wrong += now[i] != source[i] && now[i] != 0 ? 1 : 0;
    }
    EXPECT_GE(moved, whole.describe().bytes_done);
    EXPECT_EQ(wrong, 0u);
    EXPECT_EQ(session.request(kept, session.wrap(back)).run(), NIXL_OK);
    EXPECT_TRUE(back == old) << "old content is gone";

    // What lies within what is there is written all the same.
    const Transfer parts = session.runs(
        from, growing,
        {{0, 0, 4096, 4 * KIB, 4 * KIB, 2, 0, 0}, {0, 2 * MIB, 4096, 0, 4 * KIB, 512, 0, 0}});
    EXPECT_EQ(parts.run(), NIXL_NO_SPACE);
    EXPECT_GE(parts.describe().first_bad_element, 2u);
    EXPECT_EQ(session.request(kept, session.wrap(back)).run(), NIXL_OK);
    EXPECT_TRUE(back == old);
    return "";
}

TEST_P(LibraryMachine, FullDisk_isNoSpaceAndOldContentStays) {
    expect_child(in_child([] { return fill_a_disk(engine()); }));
    Settings single = engine();
    single["posix.merge_bytes"] = "0";
    expect_child(in_child([&] { return fill_a_disk(single); }));
}

// ---- Broken devices -----------------------------------------------------------------------------

/// A device of 4 MiB whose last 3 MiB have gone: reading and writing there is EIO.
class BrokenDevice {
  public:
    BrokenDevice() {
        EXPECT_EQ(::ftruncate(fd_, 4 * MIB), 0);
        const Bytes content = random_bytes(4 * MIB, 3);
        EXPECT_EQ(::pwrite(fd_, content.data(), content.size(), 0),
                  static_cast<ssize_t>(content.size()));
        device_ = std::make_unique<LoopDevice>("/proc/self/fd/" + std::to_string(fd_));
    }
    ~BrokenDevice() { ::close(fd_); }
    BrokenDevice(const BrokenDevice&) = delete;
    BrokenDevice& operator=(const BrokenDevice&) = delete;

    [[nodiscard]] const LoopDevice& device() const { return *device_; }
    void break_it() const { // it must not grow again when it is written
        EXPECT_EQ(::ftruncate(fd_, MIB), 0);
        EXPECT_EQ(::fcntl(fd_, F_ADD_SEALS, F_SEAL_GROW), 0) << std::strerror(errno);
    }

  private:
    const int fd_ = ::memfd_create("nixl-device", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    std::unique_ptr<LoopDevice> device_;
};

/// Four elements on each side of the edge. With a gap, as the loop driver takes a write for whole
/// of which the file took the first part.
const std::vector<nixl_run> ACROSS = {
    {MIB - 64 * KIB, MIB - 64 * KIB, 16 * KIB, 16 * KIB, 16 * KIB, 4, 0, 0},
    {MIB + 16 * KIB, MIB + 16 * KIB, 16 * KIB, 16 * KIB, 16 * KIB, 4, 0, 0}};

class LibraryDevices : public LibraryMachine {
  protected:
    void SetUp() override {
        LibraryMachine::SetUp();
        if (!IsSkipped() && !broken_.device().reason().empty())
            GTEST_SKIP() << broken_.device().reason();
    }
    nixl_buffer open(Session& session, uint32_t flags) const {
        return session.file(broken_.device().path(), 0, 0, flags | NIXL_BUFFER_FORCE,
                            NIXL_KIND_BLOCK);
    }
    static void expect_eio(const Transfer& transfer) {
        EXPECT_EQ(transfer.run(), NIXL_IO_ERROR) << transfer.error();
        EXPECT_EQ(transfer.describe().detail, EIO);
        EXPECT_GE(transfer.describe().first_bad_element, 4u);
        EXPECT_LE(transfer.describe().bytes_done, 4 * 16 * KIB);
        EXPECT_NE(transfer.error().find("Input/output error"), std::string::npos)
            << transfer.error();
    }
    BrokenDevice broken_;
    const std::unique_ptr<Place> memory_ = make_memory(4 * MIB); // aligned, for direct I/O
};
INSTANTIATE_TEST_SUITE_P(Engines, LibraryDevices, ::testing::Values("io_uring", "threads"),
                         [](const auto& info) { return info.param; });

TEST_P(LibraryDevices, ReadOfLostData_isEio) {
    for (const uint32_t flags : {uint32_t{NIXL_BUFFER_DIRECT}, 0u}) {
        Session session(engine());
        const nixl_buffer device = open(session, flags), memory = session.at(*memory_);
        broken_.break_it();

        expect_eio(session.runs(device, memory, ACROSS));

        EXPECT_EQ(session.range(device, 0, memory, 0, 512 * KIB).run(), NIXL_OK) << "the rest";
    }
}

TEST_P(LibraryDevices, DirectWriteOfLostData_isEio) {
    Session session(engine());
    const nixl_buffer device = open(session, NIXL_BUFFER_DIRECT), memory = session.at(*memory_);
    broken_.break_it();

    expect_eio(session.runs(memory, device, ACROSS));

    EXPECT_EQ(session.range(memory, 0, device, 0, 512 * KIB).run(), NIXL_OK) << "the rest";
}

/// The page cache takes it; that it was lost is known when it has to be durable.
TEST_P(LibraryDevices, FlushOfLostData_isEio) {
    Session session(engine());
    const nixl_buffer device = open(session, 0);
    broken_.break_it();
    ASSERT_EQ(session.range(session.at(*memory_), 0, device, 2 * MIB, 64 * KIB).run(), NIXL_OK);

    EXPECT_EQ(nixl_buffer_flush(session.context(), device), NIXL_IO_ERROR);

    EXPECT_EQ(last_error().detail, EIO);
    EXPECT_NE(std::string(last_error().message).find("Input/output error"), std::string::npos)
        << last_error().message;
}

// ---- Forbidden calls ----------------------------------------------------------------------------

std::string without_io_uring(int error) {
    if (!forbid_call(SYS_io_uring_setup, error))
        return std::string("skip: seccomp: ") + std::strerror(errno);
    const std::string reason = std::string("io_uring_setup: ") + std::strerror(error);
    ScratchPath file;
    const Bytes content = random_bytes(100 * KIB, 5);
    file.write(content);
    Bytes target(content.size());

    Session session;
    const Transfer transfer = session.request(session.file(file.text()), session.wrap(target));
    EXPECT_EQ(transfer.run(), NIXL_OK);
    EXPECT_TRUE(target == content);
    EXPECT_NE(session.report("backends").find(reason), std::string::npos)
        << session.report("backends");

    Session forced(Settings{{"posix.engine", "io_uring"}});
    nixl_request request{};
    EXPECT_EQ(nixl_request_create(forced.context(), forced.file(file.text()), forced.wrap(target),
                                  &request),
              NIXL_UNSUPPORTED);
    const std::string told = std::string(last_error().message) + " " + last_error().hint;
    EXPECT_NE(told.find(reason), std::string::npos) << "no path, and not why: " << told;
    return "";
}

TEST(LibraryForbidden, IoUring_isReplacedByThreadsWithTheReason) {
    for (const int error : {EPERM, ENOSYS})
        expect_child(in_child([=] { return without_io_uring(error); }));
}

/// No thread can be started: what needs none goes on, what needs one is refused by name.
std::string without_threads() {
    Bytes source = random_bytes(100 * KIB, 8), target(source.size());
    Session session;
    const Transfer transfer = session.request(session.wrap(source), session.wrap(target));
    nixl_queue queue{};
    EXPECT_EQ(nixl_queue_open(session.context(), 4, &queue), NIXL_OK);
    if (!forbid_call(SYS_clone3, EAGAIN) || !forbid_call(SYS_clone, EAGAIN))
        return std::string("skip: seccomp: ") + std::strerror(errno);
    bool called = false;
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.user = &called;
    options.done = [](void* user, nixl_request, nixl_status) { *static_cast<bool*>(user) = true; };

    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(transfer.post(&options), NIXL_AGAIN);
        EXPECT_NE(std::string(last_error().message).find("callbacks"), std::string::npos);
        EXPECT_EQ(nixl_queue_arm(session.context(), queue), NIXL_AGAIN);
    }
    EXPECT_FALSE(called);
    EXPECT_EQ(transfer.run(), NIXL_OK) << "without a callback";
    EXPECT_TRUE(target == source);
    return "";
}

TEST(LibraryForbidden, Threads_refuseCallbacksAndNothingElse) {
    expect_child(in_child(without_threads));
}

// ---- No descriptors left ------------------------------------------------------------------------

/// Only `spare` more descriptors can be opened.
rlimit leave_descriptors(unsigned spare) {
    rlimit before = {};
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    const int next = ::dup(0);
    EXPECT_GE(next, 0);
    ::close(next);
    const rlimit few = {static_cast<rlim_t>(next) + spare, before.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
    return before;
}

std::string with_few_descriptors(const Settings& settings, unsigned spare) {
    ScratchPath file;
    const Bytes content = random_bytes(100 * KIB, 6);
    file.write(content);
    Bytes target(content.size());
    {
        // UBSan looks at each type of object once, and needs descriptors for it.
        Session warm(settings);
        EXPECT_EQ(warm.request(warm.file(file.text()), warm.wrap(target)).run(), NIXL_OK);
        std::fill(target.begin(), target.end(), 0);
    }
    Session session(settings);
    const nixl_buffer from = session.file(file.text()), into = session.wrap(target);
    nixl_request handle{};
    const rlimit before = leave_descriptors(spare);

    nixl_status status = nixl_request_create(session.context(), from, into, &handle);
    std::string text = last_error().message;
    if (status == NIXL_OK) {
        status = nixl_request_post(session.context(), handle, nullptr);
        text = last_error().message;
    }
    if (status == NIXL_OK) {
        const Transfer transfer(session.context(), handle);
        status = transfer.wait();
        text = transfer.error();
        handle = {};
    }
    EXPECT_TRUE(status == NIXL_OK || text.find("Too many open files") != std::string::npos)
        << status << ": " << text;
    EXPECT_NE(status, NIXL_INTERNAL) << text;

    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(session.request(from, into).run(), NIXL_OK) << "once there are some again";
    EXPECT_TRUE(target == content);
    EXPECT_EQ(session.users(into), 0u);
    if (handle.generation != 0) {
        EXPECT_EQ(nixl_request_release(session.context(), handle), NIXL_OK);
    }
    return "";
}

TEST_P(LibraryMachine, NoDescriptorsLeft_isNamedAndPasses) {
    for (unsigned spare = 0; spare < 6; ++spare) // each thing that needs one is the first to fail
        expect_child(in_child([=] { return with_few_descriptors(engine(), spare); }));
}

} // namespace
} // namespace nixl::test
