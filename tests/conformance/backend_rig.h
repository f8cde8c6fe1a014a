// SPDX-License-Identifier: Apache-2.0
// Drives the table of a backend the way the core does, and keeps the books: each accepted element
// ends exactly once, under its own tag, with as many bytes as the contract allows.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <nixl/backend.h>

#include "tests/conformance/fixture.h"
#include "tests/conformance/place.h"
#include "tests/support/fake_host.h"

namespace nixl::test {

inline constexpr std::chrono::seconds PATIENCE{60};
/// How long an armed queue may take to wake its driver. Less than PATIENCE, to name the culprit.
inline constexpr std::chrono::seconds WAKE_PATIENCE{20};

[[nodiscard]] inline nixl_run one(uint64_t source, uint64_t target, uint64_t bytes) {
    return {source, target, bytes, 0, 0, 1, 0, 0};
}
[[nodiscard]] inline nixl_run strided(uint64_t source, uint64_t target, uint64_t bytes,
                                      int64_t source_stride, int64_t target_stride,
                                      uint64_t count) {
    return {source, target, bytes, source_stride, target_stride, count, 0, 0};
}

/// Elements under one tag, and what became of each.
struct Work {
    struct Element {
        uint64_t source_offset, target_offset, bytes;
        uint32_t pair;
        uint32_t completions = 0;
        uint64_t moved = 0; ///< of an element that ended alone, or whole
        nixl_status status = NIXL_IN_PROGRESS;
        int32_t detail = 0;
    };
    uint64_t tag = 0;
    uint32_t flags = 0; ///< nixl_batch.flags
    std::vector<nixl_region_pair> pairs;
    std::vector<nixl_run> runs;
    std::vector<Element> elements;
    uint64_t accepted = 0;
    uint64_t ended = 0;
    uint64_t entries = 0; ///< completions that told it
    bool stopped = false; ///< the rest is not offered any more

    [[nodiscard]] bool finished() const {
        return ended == accepted && (stopped || accepted == elements.size());
    }
    [[nodiscard]] uint64_t count(nixl_status status) const;
    [[nodiscard]] std::string summary() const; ///< for messages
};

/// One backend, opened as the subject says, perhaps inside decorators.
///
/// Threads: one thread, but for queues, which may have one driver each.
class BackendRig {
  public:
    struct Options {
        uint32_t depth = 0;
        std::vector<std::string> decorators;              ///< the last named innermost
        std::map<std::string, std::string> settings = {}; ///< besides the fixture's
        uint32_t workers = 2;
    };
    BackendRig(const Subject& subject, const Options& options);
    explicit BackendRig(const Subject& subject) : BackendRig(subject, Options{}) {}
    ~BackendRig();
    BackendRig(const BackendRig&) = delete;
    BackendRig& operator=(const BackendRig&) = delete;

    /// Registers the place as the subject's source or target, at a peer where that is remote.
    [[nodiscard]] nixl_region source(const Place& place) { return attach(place, true); }
    [[nodiscard]] nixl_region target(const Place& place) { return attach(place, false); }
    /// Registers what is no Place; detached at the end.
    [[nodiscard]] nixl_region attach_local(const nixl_region_desc& desc);
    /// The peer that owns this remote region detaches it.
    void take_back(const nixl_region& imported);
    /// Before a place goes away.
    void detach_all();

    /// Offers what is left of `work`, under a new tag the first time; returns what was accepted.
    uint64_t submit(Work& work, size_t queue = 0, uint64_t at_most = UINT64_MAX);
    bool poll(size_t queue = 0, uint32_t capacity = 32);
    void cancel(const Work& work, size_t queue = 0);
    void cancel(uint64_t tag, size_t queue = 0);
    /// Offers, polls, helps and sleeps until `done`; false when that takes longer than PATIENCE, or
    /// when a sleep that the backend promised to end was not ended.
    bool drive(const std::function<bool()>& done, size_t queue = 0, uint32_t capacity = 32);
    bool finish(Work& work, size_t queue = 0, uint32_t capacity = 32);
    size_t open_queue(uint32_t depth); ///< its number

    [[nodiscard]] static Work make_work(nixl_region source, nixl_region target,
                                        std::vector<nixl_run> runs);
    [[nodiscard]] const nixl_backend_v1& table() const { return table_; }
    [[nodiscard]] void* queue(size_t number = 0) const { return queues_[number]->handle; }
    [[nodiscard]] void* instance() const { return instance_; }
    [[nodiscard]] void* owner() const { return owner_; } ///< NULL: nothing is remote
    static constexpr nixl_peer_id OWNER = 5, CALLER = 9; ///< as each names the other
    FakeHost& host() { return host_; }

  private:
    struct Queue {
        void* handle = nullptr;
        int woken_fd = -1;               ///< readable: woken since the last poll
        std::map<uint64_t, Work*> works; ///< by tag, those not finished
        uint64_t next_tag = 1;
    };
    struct Attached {
        void* instance;
        void* registration;
        void* own_of = nullptr; ///< of an imported region: the owner's registration
    };
    bool moved_now(Queue& queue, Work& work, const nixl_batch& batch);
    nixl_region attach(const Place& place, bool is_source);
    nixl_region attach_remote(const Place& place);
    void* attach_to(void* instance, const nixl_region_desc& desc);
    void* open();
    void connect();
    void book(Queue& queue, const nixl_completion& entry);
    bool wait_for_work(size_t queue);

    const Subject subject_;
    FakeHost host_;
    std::vector<nixl_backend_v1> wrapped_; ///< from the inside out, to be released
    std::vector<void (*)(nixl_backend_v1*)> release_;
    nixl_backend_v1 table_{};
    void* instance_ = nullptr;
    void* owner_ = nullptr; ///< the peer whose memory is remote to us
    std::vector<std::unique_ptr<Queue>> queues_;
    std::vector<Attached> attached_;
};

/// What the target holds after `work`, if it held `before`. Elements that moved a part count with
/// it.
[[nodiscard]] Bytes expected_target(const Work& work, const Bytes& source, Bytes before);

} // namespace nixl::test
