// SPDX-License-Identifier: Apache-2.0
// Prepared lists: block to block, and picked by index, whether the core expands them or the backend
// keeps a form of its own.
#include <algorithm>
#include <numeric>
#include <random>

#include "tests/conformance/session.h"
#include "tests/conformance/subject_test.h"

namespace nixl::test {
namespace {

class LibraryLists : public SubjectTest {
  protected:
    static constexpr uint64_t BLOCK = 512, BLOCKS = 64;

    void SetUp() override {
        SubjectTest::SetUp();
        if (IsSkipped())
            return;
        session_ = std::make_unique<SubjectSession>(subject());
        for (int i = 0; i < 2; ++i) {
            sources_[i] = make_source(BLOCK * BLOCKS / 2);
            targets_[i] = make_target(BLOCK * BLOCKS / 2);
            contents_[i] = random_bytes(BLOCK * BLOCKS / 2, static_cast<uint64_t>(i) + 1);
            sources_[i]->write(contents_[i]);
            from_[i] = session_->source(*sources_[i]);
            into_[i] = session_->target(*targets_[i]);
        }
    }
    [[nodiscard]] nixl_context context() const { return session_->context(); }

    nixl_list make_list(const nixl_buffer* buffers, const std::vector<nixl_block>& blocks) {
        nixl_list list{};
        EXPECT_EQ(nixl_list_create(context(), buffers, 2, blocks.data(), blocks.size(), &list),
                  NIXL_OK)
            << last_error().message;
        return list;
    }
    /// 32 blocks of each buffer, as two strided entries.
    static std::vector<nixl_block> strided_blocks() {
        return {{0, BLOCK, BLOCK, BLOCKS / 2, 0, 0}, {0, BLOCK, BLOCK, BLOCKS / 2, 1, 0}};
    }
    Transfer make_request(nixl_list source, nixl_list target) {
        nixl_request request{};
        EXPECT_EQ(nixl_request_create_lists(context(), source, target, &request), NIXL_OK)
            << last_error().message;
        return {context(), request};
    }
    /// Block `to` of the targets holds block `from` of the sources.
    [[nodiscard]] bool holds(uint64_t from, uint64_t to) const {
        const auto at = [](uint64_t block) {
            return static_cast<std::ptrdiff_t>(block % (BLOCKS / 2) * BLOCK);
        };
        const Bytes target = targets_[to / (BLOCKS / 2)]->read();
        const Bytes& source = contents_[from / (BLOCKS / 2)];
        return std::equal(source.begin() + at(from), source.begin() + at(from) + BLOCK,
                          target.begin() + at(to));
    }

    std::unique_ptr<SubjectSession> session_;
    std::unique_ptr<Place> sources_[2], targets_[2];
    Bytes contents_[2];
    nixl_buffer from_[2]{}, into_[2]{};
};

// Blocks of lists of different shape are written out one by one, but not by the hundred million.
TEST_P(LibraryLists, VeryLongListsOfDifferentShape_costNoMemoryAndGoByIndex) {
    if ((subject().cap_flags & NIXL_CAP_PREPARE) != 0)
        return; // the backend lists its blocks in a form of its own
    constexpr uint64_t MANY = 200'000'000;
    const nixl_list source = make_list(from_, {{0, 1, 0, MANY, 0, 0}}),
                    target =
                        make_list(into_, {{0, 1, 0, MANY / 2, 0, 0}, {1, 1, 0, MANY / 2, 0, 0}});
    Transfer transfer = make_request(source, target);
    const uint32_t first = 0;
    EXPECT_EQ(nixl_request_post_indexed(context(), transfer.handle(), &first, &first, 1, nullptr),
              NIXL_OK)
        << last_error().message;
    EXPECT_EQ(transfer.wait(), NIXL_OK);
}

TEST_P(LibraryLists, AllOfOneToAllOfTheOther_movesBlockByBlock) {
    const nixl_list source = make_list(from_, strided_blocks());
    const nixl_list target = make_list(into_, strided_blocks());
    Transfer transfer = make_request(source, target);

    ASSERT_EQ(transfer.run(), NIXL_OK) << transfer.error();

    EXPECT_EQ(transfer.describe().bytes_done, BLOCK * BLOCKS);
    for (int i = 0; i < 2; ++i)
        EXPECT_TRUE(!moves() || targets_[i]->read() == contents_[i]);
    EXPECT_EQ(nixl_list_release(context(), source), NIXL_BUSY) << "a request uses it";
    EXPECT_EQ(transfer.release(), NIXL_OK);
    EXPECT_EQ(nixl_list_release(context(), source), NIXL_OK);
    EXPECT_EQ(nixl_list_release(context(), source), NIXL_STALE);
    EXPECT_EQ(nixl_list_release(context(), target), NIXL_OK);
}

TEST_P(LibraryLists, PickedByIndex_movesTheNamedBlocks) {
    Transfer transfer =
        make_request(make_list(from_, strided_blocks()), make_list(into_, strided_blocks()));
    std::vector<uint32_t> sources(BLOCKS), targets(BLOCKS);
    std::iota(sources.begin(), sources.end(), 0);
    std::iota(targets.begin(), targets.end(), 0);
    std::mt19937 random(7);
    for (int round = 0; round < 5; ++round) {
        std::shuffle(sources.begin(), sources.end(), random);
        std::shuffle(targets.begin(), targets.end(), random);
        const uint64_t count = round == 0 ? 1 : BLOCKS / static_cast<uint64_t>(round);

        ASSERT_EQ(nixl_request_post_indexed(context(), transfer.handle(), sources.data(),
                                            targets.data(), count, nullptr),
                  NIXL_OK)
            << last_error().message;
        ASSERT_EQ(transfer.wait(), NIXL_OK) << transfer.error();

        EXPECT_EQ(transfer.describe().bytes_done, count * BLOCK);
        EXPECT_EQ(transfer.describe().bytes_wanted, count * BLOCK);
        for (uint64_t i = 0; moves() && i < count; ++i)
            ASSERT_TRUE(holds(sources[i], targets[i])) << "round " << round << " entry " << i;
    }
}

TEST_P(LibraryLists, IndicesAreCopied_andMayChangeAfterThePost) {
    Transfer transfer =
        make_request(make_list(from_, strided_blocks()), make_list(into_, strided_blocks()));
    std::vector<uint32_t> indices = {3, 40};
    ASSERT_EQ(nixl_request_post_indexed(context(), transfer.handle(), indices.data(), nullptr, 2,
                                        nullptr),
              NIXL_OK);
    indices = {99, 99};
    ASSERT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_TRUE(!moves() || (holds(3, 3) && holds(40, 40)));
}

TEST_P(LibraryLists, IndexOutOfRange_isRefusedAndMovesNothing) {
    Transfer transfer =
        make_request(make_list(from_, strided_blocks()), make_list(into_, strided_blocks()));
    const Bytes before = targets_[0]->read();
    for (const uint32_t bad : {uint32_t{BLOCKS}, UINT32_MAX}) {
        const uint32_t sources[] = {1, bad, 2}, targets[] = {0, 1, 2};
        EXPECT_EQ(
            nixl_request_post_indexed(context(), transfer.handle(), sources, targets, 3, nullptr),
            NIXL_OUT_OF_RANGE);
        EXPECT_NE(std::string(last_error().message).find("index 1"), std::string::npos);
        EXPECT_EQ(
            nixl_request_post_indexed(context(), transfer.handle(), targets, sources, 3, nullptr),
            NIXL_OUT_OF_RANGE);
    }
    EXPECT_EQ(transfer.poll(), NIXL_OK) << "a refused post leaves the request as it was";
    EXPECT_TRUE(targets_[0]->read() == before);
    EXPECT_EQ(transfer.run(), NIXL_OK) << "all blocks, after a refusal";
}

TEST_P(LibraryLists, NoIndices_succeedAtOnce) {
    Transfer transfer =
        make_request(make_list(from_, strided_blocks()), make_list(into_, strided_blocks()));
    EXPECT_EQ(nixl_request_post_indexed(context(), transfer.handle(), nullptr, nullptr, 0, nullptr),
              NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(transfer.describe().bytes_done, 0u);
}

TEST_P(LibraryLists, BlocksOfDifferentLengths_goOnlyToTheirLike) {
    // Blocks 0..3 have 100 bytes, 4..7 have 200.
    const std::vector<nixl_block> blocks = {{0, 100, 200, 4, 0, 0}, {0, 200, 300, 4, 1, 0}};
    Transfer transfer = make_request(make_list(from_, blocks), make_list(into_, blocks));
    const uint32_t good_sources[] = {0, 3, 4}, good_targets[] = {3, 0, 7};
    const uint32_t bad_sources[] = {0, 1}, bad_targets[] = {1, 5};

    EXPECT_EQ(nixl_request_post_indexed(context(), transfer.handle(), bad_sources, bad_targets, 2,
                                        nullptr),
              NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_request_post_indexed(context(), transfer.handle(), good_sources, good_targets, 3,
                                        nullptr),
              NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(transfer.describe().bytes_done, 400u);
}

TEST_P(LibraryLists, ListsOfDifferentShape_canOnlyBePostedByIndex) {
    Transfer transfer = make_request(make_list(from_, strided_blocks()),
                                     make_list(into_, {{0, BLOCK, BLOCK, 5, 0, 0}}));
    const uint32_t sources[] = {63}, targets[] = {4};
    EXPECT_EQ(transfer.post(), NIXL_INVALID_ARGUMENT);
    ASSERT_EQ(nixl_request_post_indexed(context(), transfer.handle(), sources, targets, 1, nullptr),
              NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_TRUE(!moves() || holds(63, 4));
}

TEST_P(LibraryLists, BlocksOutsideTheirBuffer_cannotBeListed) {
    const uint64_t size = BLOCK * BLOCKS / 2;
    nixl_list list{};
    const auto create = [&](nixl_block block) {
        return nixl_list_create(context(), from_, 2, &block, 1, &list);
    };
    EXPECT_EQ(create({size - 1, 2, 0, 1, 0, 0}), NIXL_OUT_OF_RANGE);
    EXPECT_EQ(create({UINT64_MAX, 2, 0, 1, 0, 0}), NIXL_OUT_OF_RANGE);
    EXPECT_EQ(create({0, 1, INT64_MAX, 3, 0, 0}), NIXL_OUT_OF_RANGE);
    EXPECT_EQ(create({0, 1, -1, 2, 0, 0}), NIXL_OUT_OF_RANGE);
    EXPECT_EQ(create({0, 1, 0, UINT64_MAX, 0, 0}), NIXL_OUT_OF_RANGE);
    EXPECT_EQ(create({0, 0, 0, 1, 0, 0}), NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(create({0, 1, 0, 0, 0, 0}), NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(create({0, 1, 0, 1, 2, 0}), NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_list_create(context(), from_, 2, nullptr, 0, &list), NIXL_INVALID_ARGUMENT);
}

TEST_P(LibraryLists, RequestOverRuns_isNotPostedByIndex) {
    Transfer transfer = session_->main().range(from_[0], 0, into_[0], 0, 10);
    const uint32_t index = 0;
    EXPECT_EQ(nixl_request_post_indexed(context(), transfer.handle(), &index, nullptr, 1, nullptr),
              NIXL_UNSUPPORTED);
}

TEST_P(LibraryLists, RequestOverRuns_givesTheListsOfItsElements) {
    const std::vector<nixl_run> runs = {{0, BLOCK, BLOCK, BLOCK, BLOCK, BLOCKS / 2 - 1, 0, 0},
                                        {BLOCK, 0, BLOCK, 0, 0, 1, 1, 0}};
    nixl_request over_runs{};
    ASSERT_EQ(nixl_request_create_runs(context(), from_, into_, 2, runs.data(), runs.size(), 0,
                                       &over_runs),
              NIXL_OK)
        << last_error().message;
    nixl_list lists[2]{};
    for (const uint32_t side : {NIXL_SIDE_SOURCE, NIXL_SIDE_TARGET})
        ASSERT_EQ(nixl_list_of_request(context(), over_runs, side, &lists[side]), NIXL_OK)
            << last_error().message;
    EXPECT_EQ(nixl_list_of_request(context(), over_runs, 2, lists), NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_request_release(context(), over_runs), NIXL_OK) << "the lists stay";
    EXPECT_EQ(nixl_list_of_request(context(), over_runs, 0, lists), NIXL_STALE);
    Transfer transfer = make_request(lists[0], lists[1]);
    const uint32_t sources[] = {BLOCKS / 2 - 1, 3}, targets[] = {BLOCKS / 2 - 1, 0};
    ASSERT_EQ(nixl_request_post_indexed(context(), transfer.handle(), sources, targets, 2, nullptr),
              NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK) << transfer.error();
    EXPECT_TRUE(!moves() || holds(BLOCKS / 2 + 1, BLOCKS / 2));
    EXPECT_TRUE(!moves() || holds(3, 1));
}

TEST_P(LibraryLists, RequestOfOneRange_hasNoLists) {
    Transfer transfer = session_->main().range(from_[0], 0, into_[0], 0, 10);
    nixl_list list{};
    EXPECT_EQ(nixl_list_of_request(context(), transfer.handle(), 0, &list), NIXL_INVALID_ARGUMENT);
}

TEST_P(LibraryLists, ReleasedLists_cannotBeUsed) {
    const nixl_list source = make_list(from_, strided_blocks());
    const nixl_list target = make_list(into_, strided_blocks());
    ASSERT_EQ(nixl_list_release(context(), target), NIXL_OK);
    nixl_request request{};
    EXPECT_EQ(nixl_request_create_lists(context(), source, target, &request), NIXL_STALE);
    EXPECT_EQ(nixl_request_create_lists(context(), source, {9, 9}, &request), NIXL_STALE);
    EXPECT_EQ(nixl_list_release(context(), source), NIXL_OK) << "a refused request holds it";
}

INSTANTIATE_TEST_SUITE_P(Backends, LibraryLists, ::testing::ValuesIn(subjects()), subject_name);

} // namespace
} // namespace nixl::test
