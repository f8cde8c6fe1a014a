// SPDX-License-Identifier: Apache-2.0
// How the kernels' workers share a list, and how the host fills one: every byte once, whatever the
// shape. The same code runs on the GPU.
#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "backends/cuda/entry_list.h"

namespace nixl::core::cuda {

// Here, where comparisons of vectors look for it.
static bool operator==(const ListEntry& a, const ListEntry& b) {
    return a.source == b.source && a.target == b.target && a.bytes == b.bytes;
}

namespace {

/// Which source byte each target byte gets, and how often, by stretches that chunks copy.
class Copied {
  public:
    void add(uint64_t source, uint64_t target, uint64_t bytes) {
        ASSERT_TRUE(by_target_.emplace(target, std::pair(source, bytes)).second) << "twice";
    }
    /// What was added, with neighbours joined, so that it can be compared however it was cut.
    [[nodiscard]] std::vector<ListEntry> joined() const {
        std::vector<ListEntry> all;
        for (const auto& [target, from] : by_target_) {
            const auto [source, bytes] = from;
            ListEntry* const last = all.empty() ? nullptr : &all.back();
            if (last != nullptr && last->target + last->bytes == target &&
                last->source + last->bytes == source)
                last->bytes += bytes;
            else
                all.push_back({source, target, bytes});
        }
        return all;
    }

  private:
    std::map<uint64_t, std::pair<uint64_t, uint64_t>> by_target_;
};

std::vector<ListEntry> walked(const CopyList& list, uint64_t workers, uint32_t chunk_bytes) {
    Copied copied;
    for (uint64_t worker = 0; worker < workers; ++worker) {
        Walk walk(list, worker, workers, chunk_bytes);
        for (Chunk chunk; walk.next(&chunk);) {
            EXPECT_LE(chunk.bytes, chunk_bytes);
            copied.add(chunk.source, chunk.target, chunk.bytes);
        }
    }
    return copied.joined();
}

std::vector<ListEntry> joined(const std::vector<ListEntry>& entries) {
    Copied copied;
    for (const ListEntry& entry : entries)
        copied.add(entry.source, entry.target, entry.bytes);
    return copied.joined();
}

/// Elements of up to `longest` bytes, anywhere in the source, with gaps in the target.
std::vector<ListEntry> random_entries(std::mt19937_64& random, uint64_t longest) {
    std::vector<ListEntry> entries;
    uint64_t target = random() % 64;
    for (uint64_t i = random() % 300; i-- > 0;) {
        const uint64_t bytes = 1 + random() % longest;
        entries.push_back({random() % 1'000'000'000, target, bytes});
        target += bytes + random() % 48;
    }
    return entries;
}

TEST(CudaWalk, ListedElements_areEachCopiedOnce) {
    std::mt19937_64 random(1);
    for (int round = 0; round < 200; ++round) {
        const auto entries = random_entries(random, round % 2 == 0 ? 100 : 40'000);
        CopyList list{};
        list.entries = entries.data();
        list.count = entries.size();
        const auto workers = 1 + random() % 70;
        EXPECT_EQ(walked(list, workers, round % 3 == 0 ? 4096 : 16384), joined(entries))
            << "round " << round;
    }
}

/// A side of one of the forms, and where its elements are by it.
struct Side {
    ListSide side{};
    std::vector<uint64_t> addresses;
    std::vector<uint32_t> index;
    [[nodiscard]] uint64_t at(uint64_t element) const {
        const uint64_t i = index.empty() ? element : index[element];
        return addresses.empty() ? side.base + i * static_cast<uint64_t>(side.stride)
                                 : addresses[i];
    }
};

Side random_side(std::mt19937_64& random, uint64_t count, uint64_t bytes) {
    Side made;
    made.side.base = 1'000'000'000;
    made.side.stride = static_cast<int64_t>(bytes + random() % 50);
    if (random() % 2 == 0)
        made.side.stride = -made.side.stride;
    if (random() % 2 == 0)
        for (uint64_t i = 0; i < count; ++i)
            made.addresses.push_back(7 + (count - i) * (bytes + 3));
    if (random() % 2 == 0) {
        for (uint64_t i = 0; i < count; ++i)
            made.index.push_back(static_cast<uint32_t>(i));
        std::shuffle(made.index.begin(), made.index.end(), random);
    }
    made.side.addresses = made.addresses.empty() ? nullptr : made.addresses.data();
    made.side.index = made.index.empty() ? nullptr : made.index.data();
    return made;
}

TEST(CudaWalk, ElementsThatAreAlike_areEachCopiedOnceHoweverLong) {
    std::mt19937_64 random(2);
    const uint64_t lengths[] = {1, 16, 4096, 4097, 16383, 16384, 16385, 100'000};
    for (int round = 0; round < 200; ++round) {
        const uint64_t bytes = lengths[random() % std::size(lengths)], count = 1 + random() % 90;
        const Side source = random_side(random, count, bytes),
                   target = random_side(random, count, bytes);
        const CopyList list{nullptr, source.side, target.side, bytes, count};
        std::vector<ListEntry> wanted;
        for (uint64_t element = 0; element < count; ++element)
            wanted.push_back({source.at(element), target.at(element), bytes});
        EXPECT_EQ(walked(list, 1 + random() % 70, 4096), joined(wanted)) << "round " << round;
    }
}

TEST(CudaWalk, NoElements_giveNobodyWork) {
    EXPECT_TRUE(walked({nullptr, {}, {}, 16, 0}, 3, 4096).empty());
}

TEST(CudaEntryList, AlignedPartsComeFirstAndNothingIsLost) {
    std::mt19937_64 random(3);
    std::vector<ListEntry> table(20'000);
    for (int round = 0; round < 200; ++round) {
        auto wanted = random_entries(random, round % 2 == 0 ? 3000 : 70'000);
        const bool for_bulk = round % 4 != 0;
        EntryList list(table.data(), table.size() * sizeof(ListEntry), for_bulk);
        for (ListEntry& entry : wanted) {
            if (round % 3 == 0) // aligned, or as far from it at both ends
                entry.source = (entry.source & ~uint64_t{15}) | (entry.target & 15);
            ASSERT_TRUE(list.has_room_for(entry.bytes));
            list.add(entry.source, entry.target, entry.bytes);
        }
        list.close();
        ASSERT_EQ(list.front_count() + list.back_count(), list.size());
        const std::vector<ListEntry> all(table.begin(),
                                         table.begin() + static_cast<long>(list.size()));
        EXPECT_EQ(joined(all), joined(wanted)) << "round " << round;
        for (uint64_t i = 0; i < all.size(); ++i) {
            EXPECT_LE(all[i].bytes, EntryList::PART_BYTES);
            if (for_bulk && i < list.front_count()) {
                EXPECT_TRUE(EntryList::is_aligned(all[i].source, all[i].target, all[i].bytes));
            }
        }
        if (!for_bulk) {
            EXPECT_EQ(list.back_count(), 0u);
        }
    }
}

TEST(CudaEntryList, SingleRuns_areTakenUpToTheFirstThatIsNotPlain) {
    std::vector<ListEntry> table(8);
    const nixl_run good{16, 32, 64, 0, 0, 1, 0, 0};
    const auto taken = [&](const nixl_run& last, bool for_bulk) {
        const std::vector<nixl_run> runs = {good, good, last, good};
        EntryList list(table.data(), table.size() * sizeof(ListEntry), for_bulk);
        uint64_t bytes = 0;
        const uint64_t count = list.add_single_runs(runs.data(), runs.size(), 4096, 8192, &bytes);
        EXPECT_EQ(list.front_count(), count);
        EXPECT_EQ(table[0], (ListEntry{4112, 8224, 64}));
        return count;
    };
    EXPECT_EQ(taken(good, true), 4u);
    EXPECT_EQ(taken({16, 32, 64, 8, 8, 2, 0, 0}, true), 2u) << "two elements";
    EXPECT_EQ(taken({16, 32, 64, 0, 0, 1, 1, 0}, true), 2u) << "another pair";
    EXPECT_EQ(taken({16, 32, EntryList::PART_BYTES + 16, 0, 0, 1, 0, 0}, true), 2u) << "long";
    EXPECT_EQ(taken({16, 33, 64, 0, 0, 1, 0, 0}, true), 2u) << "odd";
    EXPECT_EQ(taken({16, 33, 64, 0, 0, 1, 0, 0}, false), 4u) << "odd, for the plain kernel";
}

TEST(CudaEntryList, FullTable_takesNoMore) {
    std::vector<ListEntry> table(5);
    EntryList list(table.data(), table.size() * sizeof(ListEntry), true);
    list.add(0, 0, 16);
    list.add(1, 2, 3);
    EXPECT_TRUE(list.has_room_for(16));
    list.add(16, 16, 16);
    EXPECT_FALSE(list.has_room_for(1)) << "an element may take three entries";
}

} // namespace
} // namespace nixl::core::cuda
