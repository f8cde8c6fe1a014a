// SPDX-License-Identifier: Apache-2.0
// Drives one queue of the posix backend the way the core does, and keeps the books per element.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <nixl/backend.h>

#include "base/descriptor.h"
#include "tests/support/child.h"
#include "tests/support/fake_host.h"

extern "C" nixl_status nixl_backend_entry_posix(const nixl_host_v1* host, nixl_backend_v1* out);

namespace nixl::test {

/// So that direct I/O takes the memory as it is.
template <typename T> struct PageAligned {
    using value_type = T;
    PageAligned() = default;
    template <typename U> PageAligned(const PageAligned<U>&) {}
    // allow(naked-new): an allocator is where they belong
    T* allocate(size_t n) { return static_cast<T*>(::operator new(n, std::align_val_t(4096))); }
    // allow(naked-new): an allocator is where they belong
    void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(4096)); }
    bool operator==(const PageAligned&) const { return true; }
};
using Bytes = std::vector<unsigned char, PageAligned<unsigned char>>;
inline constexpr std::chrono::seconds PATIENCE{30};
/// How long an armed queue may take to wake its driver. Less than PATIENCE, to name the culprit.
inline constexpr std::chrono::seconds WAKE_PATIENCE{15};

inline Bytes random_bytes(size_t count, uint32_t seed) {
    Bytes bytes(count);
    std::mt19937 random(seed);
    for (auto& byte : bytes)
        byte = static_cast<unsigned char>(random());
    return bytes;
}

/// A file under $TMPDIR that is gone at the end.
class ScratchFile {
  public:
    explicit ScratchFile(const Bytes& content = {}) {
        const char* const directory = std::getenv("TMPDIR");
        path_ = std::string(directory != nullptr ? directory : "/tmp") + "/nixl-posix-XXXXXX";
        fd_.reset(::mkstemp(path_.data()));
        if (!content.empty())
            write(content);
    }
    ~ScratchFile() { ::unlink(path_.c_str()); }
    ScratchFile(const ScratchFile&) = delete;
    ScratchFile& operator=(const ScratchFile&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    void resize(uint64_t bytes) const {
        ASSERT_EQ(::ftruncate(fd_.get(), static_cast<off_t>(bytes)), 0);
    }
    void write(const Bytes& content) const {
        ASSERT_EQ(::pwrite(fd_.get(), content.data(), content.size(), 0),
                  static_cast<ssize_t>(content.size()));
    }
    [[nodiscard]] Bytes read(size_t bytes, uint64_t offset = 0) const {
        Bytes content(bytes);
        const ssize_t got = ::pread(fd_.get(), content.data(), bytes, static_cast<off_t>(offset));
        content.resize(got < 0 ? 0 : static_cast<size_t>(got));
        return content;
    }

  private:
    std::string path_;
    core::Descriptor fd_;
};

struct Element {
    uint32_t completions = 0;
    uint64_t bytes = 0; // of a range, only its sum is known: then ranged is set
    bool ranged = false;
    nixl_status status = NIXL_IN_PROGRESS;
    int32_t detail = 0;
};

/// Threads: one thread.
class PosixRig {
  public:
    /// A registration that detaches itself.
    struct Attached {
        Attached(PosixRig* owner, void* made, void* address, core::Descriptor opened)
            : rig(owner), registration(made), base(address), fd(std::move(opened)) {}
        PosixRig* rig;
        void* registration;
        void* base;
        core::Descriptor fd;
        [[nodiscard]] nixl_region region() const { return {registration, base}; }
        ~Attached() { rig->table.detach(rig->instance, registration); }
    };
    using Region = std::unique_ptr<Attached>;

    explicit PosixRig(const std::string& engine, uint32_t depth = 0,
                      const std::map<std::string, std::string>& settings = {}) {
        host.set("posix.engine", engine);
        for (const auto& [key, value] : settings)
            host.set(key, value);
        table.struct_size = sizeof table;
        opened = nixl_backend_entry_posix(host.table(), &table);
        nixl_error_text error = {text, sizeof text, 0, 0};
        if (opened == NIXL_OK)
            opened = table.open(table.self, host.table(), &instance, &error);
        (void)host.wake_fd(this); // before a test takes the descriptors away
        if (opened == NIXL_OK)
            opened = table.queue_open(instance, depth, this, &queue, &error);
    }
    ~PosixRig() {
        if (queue != nullptr)
            table.queue_close(queue);
        if (instance != nullptr)
            table.close(instance);
    }
    PosixRig(const PosixRig&) = delete;
    PosixRig& operator=(const PosixRig&) = delete;

    Region attach(nixl_region_desc desc, core::Descriptor fd = {}) {
        void* registration = nullptr;
        nixl_error_text error = {text, sizeof text, 0, 0};
        desc.struct_size = sizeof desc;
        desc.fd = fd.get();
        last = table.attach(instance, &desc, &registration, &error);
        if (last != NIXL_OK)
            return nullptr;
        const bool memory = desc.kind == NIXL_KIND_HOST || desc.kind == NIXL_KIND_PINNED;
        void* const base = memory ? reinterpret_cast<void*>(desc.address) : nullptr;
        return std::make_unique<Attached>(this, registration, base, std::move(fd));
    }
    Region memory(void* address, uint64_t bytes) {
        nixl_region_desc desc = {};
        desc.kind = NIXL_KIND_HOST;
        desc.address = reinterpret_cast<uintptr_t>(address);
        desc.bytes = bytes;
        return attach(desc);
    }
    Region memory(Bytes& bytes) { return memory(bytes.data(), bytes.size()); }
    Region file(const std::string& path, int open_flags = O_RDWR, uint32_t flags = 0,
                uint64_t start = 0, uint32_t kind = NIXL_KIND_FILE) {
        nixl_region_desc desc = {};
        desc.kind = kind;
        desc.address = start;
        desc.bytes = UINT64_MAX - start;
        desc.flags = flags;
        desc.uri = path.c_str();
        return attach(desc, core::Descriptor(::open(path.c_str(), open_flags | O_CLOEXEC, 0600)));
    }

    /// Work under one tag. `runs` and `pairs` are kept until the rig ends.
    struct Work {
        std::vector<nixl_run> runs;
        std::vector<nixl_region_pair> pairs;
        std::vector<Element> elements;
        uint64_t done = 0;
        [[nodiscard]] bool finished() const { return done == elements.size(); }
        [[nodiscard]] uint64_t count(nixl_status status) const {
            uint64_t found = 0;
            for (const Element& element : elements)
                found += element.status == status ? 1 : 0;
            return found;
        }
    };

    /// Returns the tag; `accepted` tells how many elements were taken.
    uint64_t submit(const nixl_region& source, const nixl_region& target,
                    std::vector<nixl_run> runs) {
        const uint64_t tag = next_tag++;
        Work& work = works[tag];
        work.runs = std::move(runs);
        work.pairs = {{source, target}};
        uint64_t count = 0;
        for (const nixl_run& run : work.runs)
            count += run.count;
        work.elements.resize(count);
        nixl_batch batch = {};
        batch.struct_size = sizeof batch;
        batch.pair_count = 1;
        batch.pairs = work.pairs.data();
        batch.runs = work.runs.data();
        batch.run_count = work.runs.size();
        batch.element_count = count;
        batch.tag = tag;
        accepted = table.submit(queue, &batch);
        if (accepted == 0)
            works.erase(tag);
        return tag;
    }

    /// One poll(); false when it found nothing.
    bool poll_once(uint32_t capacity = 64) {
        std::vector<nixl_completion> entries(capacity);
        const uint32_t count = table.poll(queue, entries.data(), capacity);
        for (uint32_t i = 0; i < count; ++i)
            book(entries[i]);
        entries_seen += count;
        return count > 0;
    }

    /// Sleeps like a waiter of the core does until `done`, at most PATIENCE.
    bool drive(const std::function<bool()>& done, uint32_t capacity = 64) {
        const auto deadline = std::chrono::steady_clock::now() + PATIENCE;
        while (!done()) {
            if (std::chrono::steady_clock::now() > deadline)
                return false;
            eventfd_t wakes = 0; // from here on: what comes before this poll is seen by it
            (void)::eventfd_read(host.wake_fd(this), &wakes);
            if (poll_once(capacity) || table.assist(queue) == 1 || table.arm(queue) == 0)
                continue;
            if (!is_woken()) {
                ADD_FAILURE() << "armed with work in flight, but neither woken nor readable";
                return false;
            }
        }
        return true;
    }
    bool finish(uint64_t tag, uint32_t capacity = 64) {
        return drive([&] { return works[tag].finished(); }, capacity);
    }
    /// submit() and finish().
    const Work& run(const nixl_region& source, const nixl_region& target,
                    std::vector<nixl_run> runs, uint32_t capacity = 64) {
        const uint64_t tag = submit(source, target, std::move(runs));
        EXPECT_GT(accepted, 0u);
        EXPECT_TRUE(finish(tag, capacity)) << "not finished within the time limit";
        return works[tag];
    }

    FakeHost host;
    nixl_backend_v1 table = {};
    void* instance = nullptr;
    void* queue = nullptr;
    nixl_status opened = NIXL_OK, last = NIXL_OK;
    char text[512] = "";
    std::map<uint64_t, Work> works;
    uint64_t next_tag = 1, accepted = 0, entries_seen = 0;

  private:
    bool is_woken() {
        pollfd either[] = {{host.wake_fd(this), POLLIN, 0}, {table.queue_fd(queue), POLLIN, 0}};
        const std::chrono::milliseconds limit = WAKE_PATIENCE;
        return ::poll(either, 2, static_cast<int>(limit.count())) > 0; // a descriptor < 0 is none
    }
    void book(const nixl_completion& entry) {
        const auto found = works.find(entry.tag);
        ASSERT_NE(found, works.end()) << "unknown tag " << entry.tag;
        Work& work = found->second;
        ASSERT_GE(entry.element_count, 1u);
        ASSERT_LE(entry.first_element + entry.element_count, work.elements.size());
        ASSERT_NE(entry.status, NIXL_IN_PROGRESS);
        for (uint64_t i = 0; i < entry.element_count; ++i) {
            Element& element = work.elements[entry.first_element + i];
            EXPECT_EQ(++element.completions, 1u) << "element " << entry.first_element + i;
            element.status = entry.status;
            element.detail = entry.detail;
            element.ranged = entry.element_count > 1;
            element.bytes = entry.element_count > 1 ? 0 : entry.bytes;
        }
        work.done += entry.element_count;
        if (entry.status == NIXL_OK && entry.element_count > 1) {
            EXPECT_EQ(entry.bytes, range_bytes(work, entry)) << "a range must be whole";
        }
    }
    static uint64_t range_bytes(const Work& work, const nixl_completion& entry) {
        uint64_t number = 0, bytes = 0;
        for (const nixl_run& run : work.runs)
            for (uint64_t i = 0; i < run.count; ++i, ++number)
                if (number >= entry.first_element &&
                    number - entry.first_element < entry.element_count)
                    bytes += run.bytes;
        return bytes;
    }
};

inline nixl_run run_of(uint64_t source, uint64_t target, uint64_t bytes, uint64_t count = 1,
                       int64_t source_stride = 0, int64_t target_stride = 0) {
    return {source, target, bytes, source_stride, target_stride, count, 0, 0};
}

/// "": it works here.
inline std::string io_uring_missing() {
    PosixRig rig("io_uring");
    return rig.opened == NIXL_OK ? "" : rig.text;
}

/// Every test of it runs with both engines.
class PosixEngines : public ::testing::TestWithParam<std::string> {
  protected:
    void SetUp() override {
        if (GetParam() != "io_uring")
            return;
        if (const std::string reason = io_uring_missing(); !reason.empty())
            GTEST_SKIP() << reason;
    }
};

inline std::string engine_name(const ::testing::TestParamInfo<std::string>& info) {
    return info.param;
}

/// What failed, with the words for errno.
inline std::string words(const std::string& what) { return what + ": " + std::strerror(errno); }

/// What in_child() answered.
inline void expect_child(const std::string& result) {
    if (result.rfind("skip: ", 0) == 0)
        GTEST_SKIP() << result.substr(6);
    EXPECT_EQ(result, "");
}

} // namespace nixl::test
