// SPDX-License-Identifier: Apache-2.0
// The stores of the C++ API.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nixl/nixl.h>

namespace {

using Bytes = std::vector<unsigned char>;

class ApiStorage : public testing::Test {
  protected:
    ApiStorage() {
        char name[] = "/tmp/nixl-api-test-XXXXXX";
        folder_ = ::mkdtemp(name);
    }
    ~ApiStorage() override {
        nixl::finalize();
        std::filesystem::remove_all(folder_);
    }

    std::string folder_;
};

// Proves: S-164
TEST_F(ApiStorage, File_comesBackAsItWentIn) {
    nixl::FileBackend store(folder_ + "/made/here");
    for (const std::size_t size : {0u, 1u, 4097u, 1u << 20}) {
        const Bytes data(size, 5);
        EXPECT_EQ(store.write("a/model.bin", data.data(), data.size()), size);
        EXPECT_EQ(store.read("a/model.bin"), data);
    }
    EXPECT_EQ(store.list(), std::vector<std::string>{"a/model.bin"});
    EXPECT_EQ(store.size("a/model.bin"), 1u << 20);
    store.remove("a/model.bin");
    EXPECT_FALSE(store.exists("a/model.bin"));
}

// Proves: S-164
TEST_F(ApiStorage, BadNames_areRefused) {
    nixl::FileBackend store(folder_);
    for (const char* name : {"", "../x", "/etc/x", "a/../../x", "a//b", ".", "a/", "x.nixl-tmp"})
        EXPECT_THROW(store.write(name, "1", 1), nixl::NIXLException) << name;
    EXPECT_TRUE(store.list().empty());
}

// Containers that share a folder have the same process numbers, and the same numbers of writes.
TEST_F(ApiStorage, TemporaryNames_areNotOfTheProcess) {
    std::set<char> seen[16]; // at each place; a part that is of the process is always the same
    for (int i = 0; i < 100; ++i) {
        const std::string path = nixl::detail::new_temporary(folder_, ".x");
        EXPECT_EQ(std::filesystem::file_size(path), 0u);
        const std::string name = std::filesystem::path(path).filename().string();
        ASSERT_EQ(name.size(), std::string(".0123456789abcdef.x").size()) << name;
        for (std::size_t place = 0; place < std::size(seen); ++place)
            seen[place].insert(name[1 + place]);
    }
    for (const std::set<char>& digits : seen)
        EXPECT_GT(digits.size(), 4u) << "of 16"; // fewer come by chance once in 10^57 runs
    EXPECT_THROW((void)nixl::detail::new_temporary(folder_ + "/none", ".x"), nixl::NIXLException);
}

// Proves: S-164
TEST_F(ApiStorage, MissingName_isNotFound) {
    const nixl::FileBackend store(folder_);
    try {
        (void)store.read("none");
        FAIL() << "nothing was read";
    } catch (const nixl::NIXLException& error) {
        EXPECT_EQ(error.code(), nixl::Code::NOT_FOUND);
    }
}

// Proves: S-164
TEST_F(ApiStorage, FailedWrite_leavesTheOldContent) {
    {
        nixl::FileBackend store(folder_);
        store.write("x", "old", 3);
    }
    nixl::finalize();
    nixl::Config config;
    config.settings = {{"decorators", "fault:posix"}, {"fault.error_rate", "1"}};
    nixl::initialize(config);
    EXPECT_THROW(nixl::FileBackend(folder_).write("x", "brand new", 9), nixl::TransferError);
    nixl::finalize();

    const nixl::FileBackend store(folder_);
    EXPECT_EQ(store.read("x"), (Bytes{'o', 'l', 'd'}));
    EXPECT_EQ(store.list().size(), 1u);
}

// Proves: S-164
TEST_F(ApiStorage, Objects_areEndsOfTransfers) {
    nixl::FileBackend store(folder_);
    Bytes data = {1, 2, 3}, back(3);
    nixl::transfer(nixl::Buffer::from_host(data.data(), 3), store.object("x", 3));
    nixl::transfer(store.object("x"), nixl::Buffer::from_host(back.data(), 3));

    EXPECT_EQ(back, data);
    (void)nixl::explain(nixl::Buffer::from_host(data.data(), 3), store.object("x", 3));
    nixl::transfer(store.object("x"), store.object("x", 3)); // onto itself
    EXPECT_EQ(store.read("x"), data);
    nixl::transfer(nixl::Buffer::from_host(data.data(), 1), store.object("x", 1));
    EXPECT_EQ(store.read("x"), Bytes{1});
    store.write("x", data.data(), 3);
    EXPECT_THROW(store.read("x", nixl::Buffer::from_host(back.data(), 2)), nixl::NIXLException);
}

// Proves: S-164 C-26
TEST_F(ApiStorage, Blocks_keepWhatIsNotWritten) {
    const std::string path = folder_ + "/device";
    std::ofstream(path, std::ios::binary) << std::string(16384, 'e');
    nixl::BlockBackend device(path);

    EXPECT_EQ(device.write_block(1, Bytes(5000, 'A').data(), 5000), 5000u);
    device.flush();
    Bytes expected(4096, 'e');
    std::fill_n(expected.begin(), 904, 'A');
    EXPECT_EQ(device.read_block(1), Bytes(4096, 'A'));
    EXPECT_EQ(device.read_block(2), expected);
    EXPECT_THROW((void)device.read_block(4), nixl::NIXLException);
    EXPECT_THROW((void)device.read_block(UINT64_MAX), nixl::NIXLException);
    EXPECT_THROW(device.write_block(UINT64_MAX, "1", 1), nixl::NIXLException);
}

// Proves: S-164 C-26
TEST_F(ApiStorage, BlocksOfAFile_growAndNeverShrink) {
    const std::string path = folder_ + "/device";
    std::ofstream(path, std::ios::binary).flush();
    nixl::BlockBackend one(path), other(path, false, 512);

    EXPECT_EQ(one.write_block(9, "abc", 3), 3u);
    EXPECT_EQ(other.write_block(1, "d", 1), 1u);
    EXPECT_EQ(one.write_block(1000, "", 0), 0u);
    EXPECT_EQ(one.size(), 40960u);
    EXPECT_EQ(other.size(), 40960u);
    EXPECT_EQ(other.read_block(72, 3), (Bytes{'a', 'b', 'c'}));
    EXPECT_EQ(std::filesystem::file_size(path), 40960u);
    EXPECT_FALSE(one.gds_active());
}

// Proves: S-164 S-094
TEST_F(ApiStorage, BlocksWrittenByManyThreads_areAllThere) {
    const std::string path = folder_ + "/device";
    std::ofstream(path, std::ios::binary).flush();
    nixl::BlockBackend device(path);
    std::vector<std::thread> threads;
    for (unsigned char t = 0; t < 4; ++t)
        threads.emplace_back([&device, t] {
            const Bytes data(4096, t);
            for (unsigned block = 0; block < 50; ++block)
                device.write_block(t * 50u + block, data.data(), data.size());
        });
    for (std::thread& thread : threads)
        thread.join();

    for (unsigned char t = 0; t < 4; ++t)
        for (unsigned block = 0; block < 50; ++block)
            EXPECT_EQ(device.read_block(t * 50u + block), Bytes(4096, t));
}

// Proves: S-164 S-161
TEST_F(ApiStorage, FolderThatIsGone_isOurError) {
    const nixl::FileBackend store(folder_ + "/store");
    std::filesystem::remove_all(folder_ + "/store");
    EXPECT_THROW((void)store.list(), nixl::NIXLException);
}

/// What list() gives a user without rights; the code of its error in words.
std::vector<std::string> listed_by_nobody(const nixl::FileBackend& store) {
    std::vector<std::string> names;
    EXPECT_EQ(::seteuid(65534), 0);
    try {
        names = store.list();
    } catch (const nixl::NIXLException& error) {
        names = {error.code() == nixl::Code::PERMISSION_DENIED ? "denied" : error.what()};
    }
    EXPECT_EQ(::seteuid(0), 0);
    return names;
}

TEST_F(ApiStorage, StoreWhereADiskIsMounted_canBeListed) {
    namespace fs = std::filesystem;
    if (::geteuid() != 0)
        GTEST_SKIP() << "needs root to give its rights up";
    nixl::FileBackend store(folder_);
    for (const char* name : {"a", "b/c", "lost+found/of the disk"})
        store.write(name, "1", 1);
    fs::permissions(folder_, fs::perms(0755));
    fs::permissions(folder_ + "/lost+found", fs::perms(0700));

    EXPECT_EQ(listed_by_nobody(store), (std::vector<std::string>{"a", "b/c"}));
    fs::create_directory(folder_ + "/b/lost+found"); // no disk's
    fs::permissions(folder_ + "/b/lost+found", fs::perms(0700));
    EXPECT_EQ(listed_by_nobody(store), std::vector<std::string>{"denied"});
}

TEST_F(ApiStorage, FoldersThatVanishMeanwhile_areLeftOut) {
    nixl::FileBackend store(folder_);
    store.write("x", "1", 1);
    std::atomic<bool> over{false};
    std::thread other([&] {
        const std::vector<std::string> folders{folder_ + "/a", folder_ + "/b", folder_ + "/c"};
        while (!over) {
            for (const std::string& folder : folders)
                (void)::mkdir(folder.c_str(), 0777);
            for (const std::string& folder : folders)
                (void)::rmdir(folder.c_str());
        }
    });

    for (int turn = 0; turn < 2000 && !HasFailure(); ++turn)
        EXPECT_NO_THROW(EXPECT_EQ(store.list(), std::vector<std::string>{"x"}));

    over = true;
    other.join();
}

int descriptors_of(const std::string& path) {
    const auto real = std::filesystem::canonical(path);
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code closed; // meanwhile
        count += std::filesystem::read_symlink(entry.path(), closed) == real;
    }
    return count;
}

TEST_F(ApiStorage, ChildForkedWhileAFileGrows_keepsNoLock) {
    const std::string path = folder_ + "/device";
    std::ofstream(path, std::ios::binary).flush();
    const int file = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    int ends[2] = {-1, -1};
    ASSERT_EQ(::pipe(ends), 0);
    ASSERT_EQ(::flock(file, LOCK_EX), 0);
    std::thread writer([&] { nixl::detail::grow_file(path, 4096); });
    // The writer has opened it, and waits for the lock.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (descriptors_of(path) < 2 && std::chrono::steady_clock::now() < end)
        std::this_thread::yield();
    EXPECT_EQ(descriptors_of(path), 2);

    const pid_t child = ::fork();
    if (child == 0) { // lives on with all that was open
        char byte = 0;
        ::close(ends[1]);
        ::_exit(static_cast<int>(::read(ends[0], &byte, 1)));
    }
    EXPECT_EQ(::flock(file, LOCK_UN), 0);
    writer.join();

    EXPECT_EQ(::flock(file, LOCK_EX | LOCK_NB), 0);
    for (const int descriptor : {ends[0], ends[1], file})
        ::close(descriptor);
    EXPECT_EQ(::waitpid(child, nullptr, 0), child);
}

// Proves: S-164
TEST_F(ApiStorage, LongNames_andLinksOutOfTheFolder) {
    nixl::FileBackend store(folder_ + "/store");
    const std::string name(250, 'n');
    store.write(name, "1", 1);
    EXPECT_EQ(store.list(), std::vector<std::string>{name});
    EXPECT_THROW(store.write(std::string(256, 'n'), "1", 1), nixl::NIXLException);

    std::filesystem::create_directory_symlink(folder_, folder_ + "/store/out");
    EXPECT_THROW(store.write("out/escaped", "1", 1), nixl::NIXLException);
    EXPECT_FALSE(std::filesystem::exists(folder_ + "/escaped"));
    std::ofstream(folder_ + "/secret") << "secret";
    std::filesystem::create_symlink(folder_ + "/secret", folder_ + "/store/link");
    EXPECT_THROW((void)store.read("link"), nixl::NIXLException);
    EXPECT_THROW((void)store.object("link", 1), nixl::NIXLException);
    EXPECT_FALSE(store.exists("link"));
    store.write("link", "1", 1); // replaces the link
    EXPECT_EQ(std::filesystem::file_size(folder_ + "/secret"), 6u);
}

} // namespace
