// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/backend_rig.h"

#include <algorithm>
#include <map>

#include <poll.h>
#include <sys/eventfd.h>

#include <nixl/sdk/op_cursor.hpp>

#include "backends/decorators/decorator.h"

namespace nixl::test {
namespace {

std::vector<uint8_t> blob(const std::function<nixl_status(void*, uint64_t*)>& call) {
    std::vector<uint8_t> out(4096);
    uint64_t bytes = out.size();
    EXPECT_EQ(call(out.data(), &bytes), NIXL_OK);
    out.resize(bytes);
    return out;
}

} // namespace

uint64_t Work::count(nixl_status status) const {
    return static_cast<uint64_t>(std::count_if(
        elements.begin(), elements.end(), [&](const Element& e) { return e.status == status; }));
}

std::string Work::summary() const {
    std::map<nixl_status, uint64_t> by_status;
    for (const Element& element : elements)
        ++by_status[element.status];
    std::string text = std::to_string(accepted) + " accepted, " + std::to_string(ended) + " ended:";
    for (const auto& [status, number] : by_status)
        text += " " + std::to_string(number) + " with " + std::to_string(status);
    return text;
}

BackendRig::BackendRig(const Subject& subject, const Options& options)
    : subject_(subject), host_(options.workers) {
    for (const auto& [key, value] : subject.fixture->settings)
        host_.set(key, value);
    for (const auto& [key, value] : options.settings)
        host_.set(key, value);
    table_.struct_size = sizeof table_;
    EXPECT_EQ(subject.fixture->entry(host_.table(), &table_), NIXL_OK);
    std::vector<std::string> wanted = options.decorators;
    if (subject.fixture->in_fault)
        wanted.emplace_back("fault"); // innermost
    for (auto name = wanted.rbegin(); name != wanted.rend(); ++name)
        for (const core::Decorator& decorator : core::decorators()) {
            if (*name != decorator.name)
                continue;
            nixl_backend_v1 outer{};
            outer.struct_size = sizeof outer;
            EXPECT_EQ(decorator.wrap(&table_, &outer), NIXL_OK);
            wrapped_.push_back(outer);
            release_.push_back(decorator.release);
            table_ = outer;
        }
    instance_ = open();
    if (subject.remote()) {
        owner_ = open();
        connect();
    }
    (void)open_queue(options.depth);
}

BackendRig::~BackendRig() {
    for (const auto& queue : queues_)
        if (queue->handle != nullptr)
            table_.queue_close(queue->handle);
    detach_all();
    if (instance_ != nullptr)
        table_.close(instance_);
    if (owner_ != nullptr)
        table_.close(owner_);
    for (size_t i = wrapped_.size(); i-- > 0;)
        release_[i](&wrapped_[i]);
}

void* BackendRig::open() {
    char text[512] = "";
    nixl_error_text error{text, sizeof text, 0, 0};
    void* instance = nullptr;
    EXPECT_EQ(table_.open(table_.self, host_.table(), &instance, &error), NIXL_OK) << text;
    return instance;
}

void BackendRig::connect() {
    const auto ends = {std::tuple(instance_, owner_, OWNER), std::tuple(owner_, instance_, CALLER)};
    for (const auto& [from, to, name] : ends) {
        void* const target = to;
        const auto address = blob([&](void* out, uint64_t* bytes) {
            return table_.address(target, out, bytes, nullptr);
        });
        EXPECT_EQ(table_.connect(from, name, address.data(), address.size(), nullptr), NIXL_OK);
    }
}

size_t BackendRig::open_queue(uint32_t depth) {
    char text[512] = "";
    nixl_error_text error{text, sizeof text, 0, 0};
    auto queue = std::make_unique<Queue>();
    queue->woken_fd = host_.wake_fd(queue.get());
    EXPECT_EQ(table_.queue_open(instance_, depth, queue.get(), &queue->handle, &error), NIXL_OK)
        << text;
    queues_.push_back(std::move(queue));
    return queues_.size() - 1;
}

void* BackendRig::attach_to(void* instance, const nixl_region_desc& desc) {
    if (table_.attach == nullptr)
        return nullptr;
    char text[512] = "";
    nixl_error_text error{text, sizeof text, 0, 0};
    void* registration = nullptr;
    EXPECT_EQ(table_.attach(instance, &desc, &registration, &error), NIXL_OK) << text;
    attached_.push_back({instance, registration, nullptr});
    return registration;
}

nixl_region BackendRig::attach_local(const nixl_region_desc& desc) {
    return {attach_to(instance_, desc), reinterpret_cast<void*>(desc.address)};
}

nixl_region BackendRig::attach(const Place& place, bool is_source) {
    if (is_source ? subject_.source_remote() : subject_.target_remote())
        return attach_remote(place);
    nixl_region_desc desc = place.description();
    if (subject_.fixture->direct && place.address() == nullptr)
        desc.flags |= NIXL_REGION_DIRECT;
    return {attach_to(instance_, desc), place.address()};
}

nixl_region BackendRig::attach_remote(const Place& place) {
    nixl_region_desc desc = place.description();
    void* const own = attach_to(owner_, desc);
    const auto exported = blob([&](void* out, uint64_t* bytes) {
        return table_.export_region(owner_, own, out, bytes, nullptr);
    });
    desc.address = 0;
    void* imported = nullptr;
    EXPECT_EQ(table_.import_region(instance_, OWNER, -1, &desc, exported.data(), exported.size(),
                                   &imported, nullptr),
              NIXL_OK);
    attached_.push_back({instance_, imported, own});
    return {imported, nullptr};
}

void BackendRig::take_back(const nixl_region& imported) {
    for (const Attached& each : attached_) {
        if (each.registration != imported.registration)
            continue;
        void* const own = each.own_of;
        std::erase_if(attached_, [&](const Attached& other) { return other.registration == own; });
        table_.detach(owner_, own);
        return;
    }
    ADD_FAILURE() << "not an imported region";
}

void BackendRig::detach_all() {
    for (auto each = attached_.rbegin(); each != attached_.rend(); ++each)
        table_.detach(each->instance, each->registration);
    attached_.clear();
}

Work BackendRig::make_work(nixl_region source, nixl_region target, std::vector<nixl_run> runs) {
    Work work;
    work.pairs = {{source, target}};
    work.runs = std::move(runs);
    for (const nixl_run& run : work.runs)
        for (uint64_t i = 0; i < run.count; ++i)
            work.elements.push_back(
                {run.source_offset + i * static_cast<uint64_t>(run.source_stride),
                 run.target_offset + i * static_cast<uint64_t>(run.target_stride), run.bytes,
                 run.pair});
    return work;
}

/// What the backend moves at once, as the core asks it to before it submits.
bool BackendRig::moved_now(Queue& queue, Work& work, const nixl_batch& batch) {
    if (table_.move_now == nullptr || table_.move_now(queue.handle, &batch) != NIXL_OK)
        return false;
    for (Work::Element& element : work.elements) {
        element.status = NIXL_OK;
        element.moved = element.bytes;
        element.completions = 1;
    }
    work.accepted = work.ended = work.elements.size();
    queue.works.erase(work.tag); // a completion of it would be one of an unknown tag
    return true;
}

uint64_t BackendRig::submit(Work& work, size_t number, uint64_t at_most) {
    Queue& queue = *queues_[number];
    const uint64_t offered = std::min<uint64_t>(work.elements.size() - work.accepted, at_most);
    if (offered == 0)
        return 0; // a batch has at least one element
    if (work.tag == 0) {
        work.tag = queue.next_tag++;
        queue.works[work.tag] = &work;
    }
    nixl_batch batch{};
    batch.struct_size = sizeof batch;
    batch.pair_count = static_cast<uint32_t>(work.pairs.size());
    batch.pairs = work.pairs.data();
    batch.runs = work.runs.data();
    batch.run_count = work.runs.size();
    batch.element_count = work.elements.size();
    batch.tag = work.tag;
    batch.flags = work.flags;
    if (work.accepted != 0) {
        sdk::OpCursor at(batch);
        at.skip(work.accepted);
        at.store_position(&batch, work.runs.data());
    }
    batch.element_count = offered;
    // The other half goes through submit(), as the first posts of a lane do in the core.
    if (offered == work.elements.size() && work.tag % 2 == 0 && moved_now(queue, work, batch))
        return offered;
    const uint64_t accepted = table_.submit(queue.handle, &batch);
    EXPECT_LE(accepted, batch.element_count);
    work.accepted += accepted;
    return accepted;
}

bool BackendRig::poll(size_t number, uint32_t capacity) {
    Queue& queue = *queues_[number];
    eventfd_t wakes = 0; // from here on: what comes before this poll is seen by it
    (void)::eventfd_read(queue.woken_fd, &wakes);
    std::vector<nixl_completion> entries(capacity);
    const uint32_t count = table_.poll(queue.handle, entries.data(), capacity);
    EXPECT_LE(count, capacity);
    for (uint32_t i = 0; i < count; ++i)
        book(queue, entries[i]);
    return count != 0;
}

void BackendRig::book(Queue& queue, const nixl_completion& entry) {
    const auto found = queue.works.find(entry.tag);
    ASSERT_NE(found, queue.works.end()) << "completed tag " << entry.tag << ", which is not open";
    Work& work = *found->second;
    ASSERT_GE(entry.element_count, 1u);
    ASSERT_LE(entry.element_count, work.accepted);
    ASSERT_LE(entry.first_element, work.accepted - entry.element_count);
    ASSERT_NE(entry.status, NIXL_IN_PROGRESS);
    uint64_t whole = 0;
    for (uint64_t i = 0; i < entry.element_count; ++i) {
        Work::Element& element = work.elements[entry.first_element + i];
        ASSERT_EQ(++element.completions, 1u)
            << "element " << entry.first_element + i << " ended twice";
        element.status = entry.status;
        element.detail = entry.detail;
        element.moved = entry.status != NIXL_OK ? 0 : element.bytes;
        whole += element.bytes;
    }
    ASSERT_LE(entry.bytes, whole) << "more bytes than the elements have";
    if (entry.element_count == 1)
        work.elements[entry.first_element].moved = entry.bytes;
    ASSERT_TRUE(entry.element_count == 1 || entry.status != NIXL_OK || entry.bytes == whole)
        << "a range of several that is not whole";
    work.ended += entry.element_count;
    ++work.entries;
    if (work.finished())
        queue.works.erase(found);
}

void BackendRig::cancel(uint64_t tag, size_t queue) {
    if (table_.cancel != nullptr) // not offered by those that end everything within submit()
        table_.cancel(queues_[queue]->handle, tag);
}

void BackendRig::cancel(const Work& work, size_t queue) { cancel(work.tag, queue); }

/// As the core does when its driver has nothing better to do. False: nobody ended its sleep.
bool BackendRig::wait_for_work(size_t number) {
    const Queue& queue = *queues_[number];
    if (table_.assist != nullptr && table_.assist(queue.handle) != 0)
        return true;
    const int fd = table_.queue_fd != nullptr ? table_.queue_fd(queue.handle) : -1;
    if ((table_.arm == nullptr && fd < 0) ||
        (table_.arm != nullptr && table_.arm(queue.handle) == 0))
        return true;
    pollfd either[] = {{queue.woken_fd, POLLIN, 0}, {fd, POLLIN, 0}};
    const auto limit_ms = std::chrono::milliseconds(WAKE_PATIENCE).count();
    if (::poll(either, fd >= 0 ? 2 : 1, static_cast<int>(limit_ms)) > 0)
        return true;
    ADD_FAILURE() << "armed with work in flight, but neither woken nor readable";
    return false;
}

bool BackendRig::drive(const std::function<bool()>& done, size_t queue, uint32_t capacity) {
    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    while (!done()) {
        if (std::chrono::steady_clock::now() > end || ::testing::Test::HasFatalFailure())
            return false;
        if (!poll(queue, capacity) && !done() && !wait_for_work(queue))
            return false;
    }
    return true;
}

bool BackendRig::finish(Work& work, size_t queue, uint32_t capacity) {
    const auto end = std::chrono::steady_clock::now() + PATIENCE;
    while (!work.finished()) {
        if (std::chrono::steady_clock::now() > end || ::testing::Test::HasFatalFailure())
            return false;
        const uint64_t taken =
            work.accepted == work.elements.size() || work.stopped ? 0 : submit(work, queue);
        if (!poll(queue, capacity) && taken == 0 && !work.finished() && !wait_for_work(queue))
            return false;
    }
    return true;
}

Bytes expected_target(const Work& work, const Bytes& source, Bytes before) {
    for (const Work::Element& element : work.elements)
        std::copy_n(source.begin() + static_cast<std::ptrdiff_t>(element.source_offset),
                    element.moved,
                    before.begin() + static_cast<std::ptrdiff_t>(element.target_offset));
    return before;
}

} // namespace nixl::test
