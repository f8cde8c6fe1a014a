// SPDX-License-Identifier: Apache-2.0
// Drives one queue of a backend over host memory the way the core does, and keeps the books: each
// element exactly once, bytes as promised.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include <nixl/backend.h>
#include <nixl/sdk/op_cursor.hpp>

#include "tests/support/fake_host.h"

namespace nixl::test::host_queues {

inline constexpr std::chrono::seconds PATIENCE{60};

using Bytes = std::vector<unsigned char>;

inline Bytes random_bytes(size_t count, uint32_t seed) {
    Bytes bytes(count);
    std::mt19937 random(seed);
    for (auto& byte : bytes)
        byte = static_cast<unsigned char>(random());
    return bytes;
}

inline nixl_run single(uint64_t source, uint64_t target, uint64_t bytes) {
    return {source, target, bytes, 0, 0, 1, 0, 0};
}

inline nixl_run strided(uint64_t source, uint64_t target, uint64_t bytes, int64_t source_stride,
                        int64_t target_stride, uint64_t count) {
    return {source, target, bytes, source_stride, target_stride, count, 0, 0};
}

inline nixl_backend_v1 load(nixl_backend_entry_fn entry, const FakeHost& host) {
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    EXPECT_EQ(entry(host.table(), &table), NIXL_OK);
    return table;
}

/// Runs over two buffers, and what became of each element.
struct Transfer {
    struct Element {
        int completions = 0;
        nixl_status status = NIXL_IN_PROGRESS;
        int32_t detail = 0;
    };

    Transfer(unsigned char* source, unsigned char* target, std::vector<nixl_run> list, uint64_t id)
        : runs(std::move(list)), tag(id) {
        pair.source.base = source;
        pair.target.base = target;
        for (const nixl_run& run : runs) {
            for (uint64_t i = 0; i < run.count; ++i)
                bytes_of.push_back(run.bytes);
        }
        elements.resize(bytes_of.size());
    }

    [[nodiscard]] uint64_t count() const { return elements.size(); }
    [[nodiscard]] uint64_t with_status(nixl_status status) const {
        uint64_t found = 0;
        for (const Element& element : elements)
            found += element.status == status ? 1 : 0;
        return found;
    }

    /// What is left to submit, as the core offers it.
    [[nodiscard]] nixl_batch rest(uint32_t flags = 0) const {
        nixl_batch batch{};
        batch.struct_size = sizeof batch;
        batch.flags = flags;
        batch.pair_count = 1;
        batch.pairs = &pair;
        batch.runs = runs.data();
        batch.run_count = runs.size();
        batch.element_count = count();
        batch.tag = tag;
        if (submitted != 0 && submitted != count()) {
            sdk::OpCursor at(batch);
            at.skip(submitted);
            at.store_position(&batch, runs.data());
        }
        batch.element_count = count() - submitted;
        return batch;
    }

    nixl_region_pair pair{};
    std::vector<nixl_run> runs;
    uint64_t tag;
    std::vector<uint64_t> bytes_of; // each element
    std::vector<Element> elements;
    uint64_t submitted = 0;
    uint64_t ended = 0;
    uint64_t bytes = 0;
    uint64_t short_elements = 0;
    uint64_t entries = 0;
};

class QueueRig {
  public:
    QueueRig(FakeHost& host, const nixl_backend_v1& table, uint32_t depth = 0)
        : host_(host), table_(table) {
        char text[512] = "";
        nixl_error_text error{text, sizeof text, 0, 0};
        EXPECT_EQ(table_.open(table_.self, host.table(), &instance_, &error), NIXL_OK) << text;
        EXPECT_EQ(table_.queue_open(instance_, depth, this, &queue_, &error), NIXL_OK) << text;
    }
    ~QueueRig() {
        table_.queue_close(queue_);
        table_.close(instance_);
    }
    QueueRig(const QueueRig&) = delete;
    QueueRig& operator=(const QueueRig&) = delete;

    [[nodiscard]] const nixl_backend_v1& table() const { return table_; }
    [[nodiscard]] void* queue() const { return queue_; }

    uint64_t submit(Transfer& transfer, uint32_t flags = 0) {
        const nixl_batch batch = transfer.rest(flags);
        const uint64_t accepted = table_.submit(queue_, &batch);
        EXPECT_LE(accepted, batch.element_count);
        transfer.submitted += accepted;
        open_[transfer.tag] = &transfer;
        return accepted;
    }

    uint32_t poll(uint32_t capacity = 16) {
        std::vector<nixl_completion> entries(capacity);
        const uint32_t count = table_.poll(queue_, entries.data(), capacity);
        EXPECT_LE(count, capacity);
        for (uint32_t i = 0; i < count; ++i)
            record(entries[i]);
        return count;
    }

    void cancel(uint64_t tag) { table_.cancel(queue_, tag); }
    bool arm() {
        const bool armed = table_.arm(queue_) == 1;
        arms_ += armed ? 1 : 0;
        return armed;
    }
    [[nodiscard]] uint64_t arms() const { return arms_; } ///< that were promised a wake
    bool assist() { return table_.assist != nullptr && table_.assist(queue_) == 1; }

    /// Submits all of it and polls until each element has ended. False at the deadline.
    bool finish(Transfer& transfer, uint32_t flags = 0, bool assists = false) {
        const auto end = std::chrono::steady_clock::now() + PATIENCE;
        while (transfer.ended != transfer.count()) {
            if (transfer.submitted != transfer.count())
                submit(transfer, flags);
            if (poll() == 0 && assists)
                assist();
            if (std::chrono::steady_clock::now() > end)
                return false;
        }
        return true;
    }

    /// Sleeps, when there is nothing to do, until the backend wakes it.
    bool finish_sleeping(Transfer& transfer) {
        while (transfer.submitted != transfer.count() && submit(transfer) != 0) {}
        while (transfer.ended != transfer.submitted) {
            if (poll() != 0)
                continue;
            const uint64_t before = host_.wakes(this);
            if (arm() && !host_.wait_for_wakes(this, before + 1, PATIENCE))
                return false;
        }
        return true;
    }

  private:
    void record(const nixl_completion& entry) {
        ASSERT_EQ(open_.count(entry.tag), 1u) << "unknown tag " << entry.tag;
        Transfer& transfer = *open_[entry.tag];
        ASSERT_GE(entry.element_count, 1u);
        ASSERT_LE(entry.first_element + entry.element_count, transfer.submitted);
        ASSERT_NE(entry.status, NIXL_IN_PROGRESS);
        uint64_t whole_bytes = 0;
        for (uint64_t i = 0; i < entry.element_count; ++i) {
            Transfer::Element& element = transfer.elements[entry.first_element + i];
            ASSERT_EQ(++element.completions, 1) << "element " << entry.first_element + i;
            element.status = entry.status;
            element.detail = entry.detail;
            whole_bytes += transfer.bytes_of[entry.first_element + i];
        }
        ASSERT_LE(entry.bytes, whole_bytes);
        if (entry.status == NIXL_OK && entry.bytes != whole_bytes) {
            ASSERT_EQ(entry.element_count, 1u) << "short, but a range of several";
            ++transfer.short_elements;
        }
        transfer.ended += entry.element_count;
        transfer.bytes += entry.bytes;
        ++transfer.entries;
    }

    FakeHost& host_;
    nixl_backend_v1 table_;
    void* instance_ = nullptr;
    void* queue_ = nullptr;
    uint64_t arms_ = 0;
    std::map<uint64_t, Transfer*> open_;
};

/// What a plain loop over the runs would leave in `target`.
inline void copy_as_told(const std::vector<nixl_run>& runs, const Bytes& source, Bytes* target) {
    for (const nixl_run& run : runs)
        for (uint64_t i = 0; i < run.count; ++i)
            for (uint64_t k = 0; k < run.bytes; ++k)
                (*target)[run.target_offset + i * static_cast<uint64_t>(run.target_stride) + k] =
                    source[run.source_offset + i * static_cast<uint64_t>(run.source_stride) + k];
}

} // namespace nixl::test::host_queues
