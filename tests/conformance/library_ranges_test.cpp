// SPDX-License-Identifier: Apache-2.0
// Ranges, runs and rows: what fits moves exactly, what does not is refused before any byte moves,
// up to the last number that 64 bits hold.
#include <algorithm>
#include <array>
#include <cstring>

#include "tests/conformance/peer_pair.h"

namespace nixl::test {
namespace {

constexpr uint64_t SIZE = 10000;

class LibraryRanges : public ::testing::Test {
  protected:
    Bytes source_ = random_bytes(SIZE, 1);
    Bytes target_ = random_bytes(SIZE, 2);
    const Bytes before_ = target_;
    Session session_;
    nixl_buffer from_ = session_.wrap(source_);
    nixl_buffer to_ = session_.wrap(target_);

    nixl_status create(uint64_t source_offset, uint64_t target_offset, uint64_t bytes) {
        nixl_request request{};
        const nixl_status status = nixl_request_create_range(
            session_.context(), from_, source_offset, to_, target_offset, bytes, &request);
        EXPECT_TRUE(status != NIXL_OK ||
                    nixl_request_release(session_.context(), request) == NIXL_OK);
        return status;
    }
    nixl_status create(const nixl_run& run) {
        nixl_request request{};
        const nixl_status status =
            nixl_request_create_runs(session_.context(), &from_, &to_, 1, &run, 1, 0, &request);
        EXPECT_TRUE(status != NIXL_OK ||
                    nixl_request_release(session_.context(), request) == NIXL_OK);
        return status;
    }
};

// ---- One range ----------------------------------------------------------------------------------

// Proves: S-092 S-096
TEST_F(LibraryRanges, OffsetsAndLengthsUpTo64Bits_areComparedWithoutWrapping) { // D6
    const std::array<uint64_t, 12> values = {0,
                                             1,
                                             SIZE - 1,
                                             SIZE,
                                             SIZE + 1,
                                             UINT64_MAX,
                                             UINT64_MAX - 1,
                                             UINT64_MAX - SIZE,
                                             UINT64_MAX - SIZE + 1,
                                             UINT64_MAX - SIZE + 2,
                                             uint64_t{1} << 63,
                                             uint64_t{1} << 32};
    const auto fits = [](uint64_t offset, uint64_t bytes) {
        return offset <= SIZE && bytes <= SIZE - offset;
    };
    for (const uint64_t source : values)
        for (const uint64_t target : values)
            for (const uint64_t bytes : values)
                EXPECT_EQ(create(source, target, bytes),
                          fits(source, bytes) && fits(target, bytes) ? NIXL_OK : NIXL_OUT_OF_RANGE)
                    << source << " " << target << " " << bytes;
    EXPECT_TRUE(target_ == before_);
}

TEST_F(LibraryRanges, SourceLargerThanTarget_movesNothing) {
    nixl_request request{};
    const nixl_buffer smaller = session_.wrap(target_.data(), SIZE - 1);

    EXPECT_EQ(nixl_request_create(session_.context(), from_, smaller, &request), NIXL_OUT_OF_RANGE);
    EXPECT_EQ(nixl_transfer_start(session_.context(), from_, smaller, nullptr, &request),
              NIXL_OUT_OF_RANGE);

    EXPECT_TRUE(target_ == before_);
    EXPECT_NE(std::string(last_error().message).find("10000"), std::string::npos)
        << last_error().message;
}

TEST_F(LibraryRanges, SourceSmallerThanTarget_movesAllOfTheSource) {
    const Transfer transfer = session_.request(session_.wrap(source_.data(), 10), to_);
    ASSERT_EQ(transfer.run(), NIXL_OK);
    EXPECT_TRUE(std::equal(target_.begin(), target_.begin() + 10, source_.begin()));
    EXPECT_TRUE(std::equal(target_.begin() + 10, target_.end(), before_.begin() + 10));
}

TEST_F(LibraryRanges, NoBytes_succeedAtOnce) {
    for (const uint64_t offset : {uint64_t{0}, SIZE}) {
        const Transfer transfer = session_.range(from_, offset, to_, offset, 0);
        EXPECT_EQ(transfer.run(), NIXL_OK);
        EXPECT_EQ(transfer.describe().bytes_done, 0u);
    }
    const nixl_buffer nothing = session_.wrap(nullptr, 0);
    EXPECT_EQ(session_.request(nothing, to_).run(), NIXL_OK);
    EXPECT_EQ(session_.request(nothing, nothing).run(), NIXL_OK);
    EXPECT_TRUE(target_ == before_);
}

TEST_F(LibraryRanges, NoBytesWithCallbackAndQueue_stillTellsOfItsEnd) {
    nixl_queue queue{};
    ASSERT_EQ(nixl_queue_open(session_.context(), 4, &queue), NIXL_OK);
    int called = 0;
    nixl_post_options options = NIXL_INIT(nixl_post_options);
    options.done = [](void* user, nixl_request, nixl_status) { ++*static_cast<int*>(user); };
    options.user = &called;
    options.queue = queue;
    const Transfer transfer = session_.range(from_, 0, to_, 0, 0);

    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);

    nixl_event event{};
    uint32_t count = 0;
    EXPECT_EQ(nixl_queue_poll(session_.context(), queue, &event, 1, &count), NIXL_OK);
    EXPECT_EQ(called, 1);
    EXPECT_EQ(count, 1u);
}

// Proves: S-093
TEST_F(LibraryRanges, ReadOnlyTarget_isRefusedBeforeAnyByteMoves) {
    ScratchPath path;
    path.write(before_);
    const nixl_buffer memory = session_.wrap(target_, NIXL_BUFFER_READ_ONLY);
    const nixl_buffer file = session_.file(path.text(), 0, 0, NIXL_BUFFER_READ_ONLY);
    for (const nixl_buffer target : {memory, file}) {
        nixl_request request{};
        const nixl_run run{0, 0, 1, 0, 0, 1, 0, 0};
        const uint64_t row[3] = {0, 0, 1};
        EXPECT_EQ(nixl_request_create(session_.context(), from_, target, &request),
                  NIXL_PERMISSION_DENIED);
        EXPECT_EQ(
            nixl_request_create_runs(session_.context(), &from_, &target, 1, &run, 1, 0, &request),
            NIXL_PERMISSION_DENIED);
        EXPECT_EQ(nixl_request_create_rows(session_.context(), from_, target, row, 1, 3, &request),
                  NIXL_PERMISSION_DENIED);
        EXPECT_EQ(session_.request(target, to_).run(), NIXL_OK) << "as a source it serves";
    }
    EXPECT_TRUE(target_ == before_);
    EXPECT_TRUE(path.read() == before_);
}

TEST_F(LibraryRanges, RangesThatWrapRound_cannotBeBuffers) {
    nixl_buffer buffer{};
    void* const high = reinterpret_cast<void*>(UINTPTR_MAX - 10);
    const nixl_context context = session_.context();
    EXPECT_EQ(nixl_buffer_wrap(context, high, 12, NIXL_KIND_HOST, -1, 0, &buffer),
              NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_buffer_wrap(context, source_.data(), UINT64_MAX, NIXL_KIND_HOST, -1, 0, &buffer),
              NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_buffer_wrap(context, nullptr, 1, NIXL_KIND_HOST, -1, 0, &buffer),
              NIXL_INVALID_ARGUMENT);
    for (const uint32_t kind : {0u, uint32_t{NIXL_KIND_FILE}, uint32_t{NIXL_KIND_OBJECT},
                                uint32_t{NIXL_KIND_COUNT}, UINT32_MAX})
        EXPECT_EQ(nixl_buffer_wrap(context, source_.data(), 1, kind, -1, 0, &buffer),
                  NIXL_INVALID_ARGUMENT)
            << kind;
    EXPECT_EQ(nixl_buffer_allocate(context, UINT64_MAX, NIXL_KIND_HOST, -1, 0, &buffer),
              NIXL_NO_MEMORY);
    EXPECT_EQ(nixl_buffer_allocate(context, 0, NIXL_KIND_HOST, -1, 0, &buffer),
              NIXL_INVALID_ARGUMENT);
    ScratchPath path;
    EXPECT_EQ(nixl_buffer_open(context, path.c_str(), NIXL_KIND_FILE, UINT64_MAX, 2, 0, &buffer),
              NIXL_OUT_OF_RANGE);
    EXPECT_EQ(nixl_buffer_open(context, path.c_str(), NIXL_KIND_FILE, 1, 0, 0, &buffer),
              NIXL_OUT_OF_RANGE);
}

// Proves: S-092
TEST_F(LibraryRanges, OverlappingSourceAndTarget_moveAsMemmoveWould) {
    for (const uint64_t bytes : {uint64_t{5000}, uint64_t{3} << 20}) // inline, and by workers
        for (const bool forward : {true, false}) {
            Bytes memory = random_bytes(bytes + 100, 3);
            Bytes wanted = memory;
            const uint64_t from = forward ? 0 : 100, to = forward ? 100 : 0;
            std::memmove(wanted.data() + to, wanted.data() + from, bytes);
            const nixl_buffer all = session_.wrap(memory);
            const Transfer transfer = session_.range(all, from, all, to, bytes);

            ASSERT_EQ(transfer.run(), NIXL_OK);

            EXPECT_TRUE(memory == wanted) << bytes << (forward ? " up" : " down");
        }
}

TEST_F(LibraryRanges, OverlappingBuffers_areIndependentObjects) {
    const nixl_buffer first = session_.wrap(target_.data(), 6000);
    const nixl_buffer second = session_.wrap(target_.data() + 4000, 6000);
    ASSERT_EQ(session_.range(from_, 0, first, 0, 6000).run(), NIXL_OK);
    ASSERT_EQ(nixl_buffer_free(session_.context(), first, 0), NIXL_OK);

    ASSERT_EQ(session_.range(from_, 4000, second, 0, 6000).run(), NIXL_OK);

    EXPECT_TRUE(target_ == source_);
}

// Proves: S-083
TEST_F(LibraryRanges, WrappedAndFreedOverAndOver_leavesNothing) {
    const std::string before = session_.report("memory");
    for (int i = 0; i < 10'000; ++i) {
        const nixl_buffer again = session_.wrap(source_);
        ASSERT_TRUE(i % 100 != 0 || session_.request(again, to_).run() == NIXL_OK);
        ASSERT_EQ(nixl_buffer_free(session_.context(), again, 0), NIXL_OK);
    }
    EXPECT_EQ(session_.report("memory"), before);
}

TEST_F(LibraryRanges, MemoryOfTheLibrary_isZeroedAndMovesLikeAnyOther) {
    nixl_buffer allocated{};
    ASSERT_EQ(nixl_buffer_allocate(session_.context(), SIZE, NIXL_KIND_HOST, -1, 0, &allocated),
              NIXL_OK);
    ASSERT_EQ(session_.request(allocated, to_).run(), NIXL_OK);
    EXPECT_TRUE(target_ == Bytes(SIZE));
    ASSERT_EQ(session_.request(from_, allocated).run(), NIXL_OK);
    ASSERT_EQ(session_.request(allocated, to_).run(), NIXL_OK);
    EXPECT_TRUE(target_ == source_);
}

// ---- Users in flight ----------------------------------------------------------------------------

TEST_F(LibraryRanges, BufferInFlight_isFreedOnlyAfterwards) {
    HeldTransfer held;
    const nixl_context context = held.caller.session.context();
    ASSERT_EQ(held.transfer.post(), NIXL_OK);

    EXPECT_EQ(nixl_buffer_free(context, held.remote, 0), NIXL_BUSY);
    EXPECT_EQ(nixl_buffer_free(context, held.caller.local, 1'000'000), NIXL_BUSY);
    EXPECT_EQ(held.caller.session.users(held.caller.local), 1u);
    held.let_go();
    EXPECT_EQ(nixl_buffer_free(context, held.caller.local, PATIENCE_NS), NIXL_OK);

    EXPECT_TRUE(held.moved()) << "freed before it was through";
    EXPECT_EQ(held.transfer.poll(), NIXL_OK);
    EXPECT_EQ(held.transfer.post(), NIXL_STALE);
}

TEST_F(LibraryRanges, FileInFlight_isFreedOnceItWasCancelled) {
    Session session(Settings{{"decorators", "fault:posix"}, {"fault.hold_rate", "1"}});
    ScratchPath path;
    path.write(source_);
    const nixl_buffer file = session.file(path.text()), memory = session.wrap(target_);
    const Transfer transfer = session.request(file, memory);
    ASSERT_EQ(transfer.post(), NIXL_OK);

    EXPECT_EQ(nixl_buffer_free(session.context(), file, 0), NIXL_BUSY);
    EXPECT_EQ(nixl_buffer_free(session.context(), file, 1'000'000), NIXL_BUSY);
    EXPECT_EQ(session.users(file), 1u);
    EXPECT_EQ(transfer.cancel(), NIXL_OK);

    EXPECT_EQ(nixl_buffer_free(session.context(), file, PATIENCE_NS), NIXL_OK);
    EXPECT_EQ(nixl_buffer_free(session.context(), memory, PATIENCE_NS), NIXL_OK);
    EXPECT_NE(transfer.poll(), NIXL_IN_PROGRESS);
}

// ---- Runs ---------------------------------------------------------------------------------------

/// The rule in 128 bits: every element of both sides lies in [0, SIZE), the sums fit 64 bits.
nixl_status wanted_status(const nixl_run& run) {
    __extension__ using Wide = __int128;
    __extension__ using WideUnsigned = unsigned __int128;
    if (run.bytes == 0 || run.count == 0 || run.pair != 0)
        return NIXL_INVALID_ARGUMENT;
    if (static_cast<WideUnsigned>(run.bytes) * run.count > UINT64_MAX)
        return NIXL_OUT_OF_RANGE;
    const auto fits = [&](uint64_t offset, int64_t stride) {
        const Wide first = offset;
        const Wide last =
            run.count == 1 ? first : first + static_cast<Wide>(stride) * (run.count - 1);
        return std::min(first, last) >= 0 && std::max(first, last) + run.bytes <= SIZE;
    };
    return fits(run.source_offset, run.source_stride) && fits(run.target_offset, run.target_stride)
               ? NIXL_OK
               : NIXL_OUT_OF_RANGE;
}

TEST_F(LibraryRanges, EveryFieldOfARun_isCheckedUpTo64Bits) {
    const std::array<uint64_t, 9> offsets = {
        0, 1, SIZE - 1, SIZE, SIZE + 1, UINT64_MAX, UINT64_MAX - SIZE, uint64_t{1} << 63, 5000};
    const std::array<int64_t, 8> strides = {0, 1, -1, 100, -100, INT64_MAX, INT64_MIN, 2500};
    const std::array<uint64_t, 6> counts = {0, 1, 2, 3, uint64_t{1} << 63, UINT64_MAX};
    const std::array<uint64_t, 5> lengths = {0, 1, 100, SIZE, UINT64_MAX};
    uint64_t checked = 0;
    for (const uint64_t offset : offsets)
        for (const int64_t stride : strides)
            for (const uint64_t count : counts)
                for (const uint64_t bytes : lengths)
                    for (const bool is_source : {true, false}) {
                        nixl_run run{0, 0, bytes, 0, 0, count, 0, 0};
                        (is_source ? run.source_offset : run.target_offset) = offset;
                        (is_source ? run.source_stride : run.target_stride) = stride;
                        ASSERT_EQ(create(run), wanted_status(run))
                            << offset << " " << stride << " " << count << " " << bytes;
                        ++checked;
                    }
    EXPECT_EQ(checked, offsets.size() * strides.size() * counts.size() * lengths.size() * 2);
    EXPECT_TRUE(target_ == before_);
}

TEST_F(LibraryRanges, PairNumberOutOfRange_isRefused) {
    nixl_run run{0, 0, 1, 0, 0, 1, 1, 0};
    EXPECT_EQ(create(run), NIXL_INVALID_ARGUMENT);
    run.pair = UINT32_MAX;
    EXPECT_EQ(create(run), NIXL_INVALID_ARGUMENT);
    EXPECT_NE(std::string(last_error().message).find("run 0"), std::string::npos);
}

TEST_F(LibraryRanges, OneBadRunAmongGoodOnes_movesNothing) {
    std::vector<nixl_run> runs(100, {0, 0, 10, 0, 0, 1, 0, 0});
    runs[57].target_offset = SIZE - 9;
    nixl_request request{};

    EXPECT_EQ(nixl_request_create_runs(session_.context(), &from_, &to_, 1, runs.data(),
                                       runs.size(), 0, &request),
              NIXL_OUT_OF_RANGE);

    EXPECT_NE(std::string(last_error().message).find("run 57"), std::string::npos)
        << last_error().message;
    EXPECT_NE(std::string(last_error().message).find("target"), std::string::npos);
    EXPECT_TRUE(target_ == before_);
}

TEST_F(LibraryRanges, NoPairsOrNulls_areRefused) {
    const nixl_run run{0, 0, 1, 0, 0, 1, 0, 0};
    nixl_request request{};
    const nixl_context context = session_.context();
    EXPECT_EQ(nixl_request_create_runs(context, &from_, &to_, 0, &run, 1, 0, &request),
              NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_request_create_runs(context, nullptr, &to_, 1, &run, 1, 0, &request),
              NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_request_create_runs(context, &from_, &to_, 1, nullptr, 1, 0, &request),
              NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_request_create_runs(context, &from_, &to_, 1, &run, 1, 0, nullptr),
              NIXL_INVALID_ARGUMENT);
    EXPECT_EQ(nixl_request_create(context, from_, to_, nullptr), NIXL_INVALID_ARGUMENT);
}

TEST_F(LibraryRanges, BorrowedRuns_areReadWhereTheyAreAndHeldInFlight) {
    HeldTransfer held;
    Session& session = held.caller.session;
    constexpr uint64_t COUNT = 256, PART = Owner::BYTES / COUNT;
    std::vector<nixl_run> runs;
    for (uint64_t i = 0; i < COUNT; ++i)
        runs.push_back({i * PART, (COUNT - 1 - i) * PART, PART, 0, 0, 1, 0, 0});
    Transfer transfer = session.runs(held.remote, held.caller.local, runs, NIXL_RUNS_BORROWED);
    ASSERT_EQ(transfer.post(), NIXL_OK);

    EXPECT_EQ(nixl_request_release(session.context(), transfer.handle()), NIXL_BUSY);
    held.let_go();
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(transfer.release(), NIXL_OK);

    const Bytes &content = held.owner.memory, &target = held.caller.memory;
    for (uint64_t i = 0; i < COUNT; ++i)
        ASSERT_TRUE(std::equal(target.begin() + static_cast<std::ptrdiff_t>((COUNT - 1 - i) * PART),
                               target.begin() + static_cast<std::ptrdiff_t>((COUNT - i) * PART),
                               content.begin() + static_cast<std::ptrdiff_t>(i * PART)));
}

TEST_F(LibraryRanges, CopiedRuns_mayChangeAfterTheCall) {
    std::vector<nixl_run> runs;
    for (uint64_t i = 0; i < 100; ++i)
        runs.push_back({i * 100, i * 100, 100, 0, 0, 1, 0, 0});
    const Transfer transfer = session_.runs(from_, to_, runs);
    std::fill(runs.begin(), runs.end(), nixl_run{});

    ASSERT_EQ(transfer.run(), NIXL_OK);

    EXPECT_TRUE(target_ == source_);
}

TEST_F(LibraryRanges, RowsOfThreeAndSixColumns_areRuns) {
    const std::vector<uint64_t> three = {0, 5000, 100, 100, 0, 4900};
    const std::vector<uint64_t> six = {
        5000, 5100, 10, 20, 30, 50, 9000, 9990, 5, 10, static_cast<uint64_t>(-10), 100};
    Bytes wanted = target_;
    const auto copy = [&](uint64_t from, uint64_t to, uint64_t bytes) {
        std::copy_n(source_.begin() + static_cast<std::ptrdiff_t>(from), bytes,
                    wanted.begin() + static_cast<std::ptrdiff_t>(to));
    };
    copy(0, 5000, 100);
    copy(100, 0, 4900);
    nixl_request request{};
    ASSERT_EQ(
        nixl_request_create_rows(session_.context(), from_, to_, three.data(), 2, 3, &request),
        NIXL_OK);
    EXPECT_EQ(Transfer(session_.context(), request).run(), NIXL_OK);
    EXPECT_TRUE(target_ == wanted);

    for (uint64_t k = 0; k < 50; ++k)
        copy(5000 + k * 20, 5100 + k * 30, 10);
    for (uint64_t k = 0; k < 100; ++k)
        copy(9000 + k * 10, 9990 - k * 10, 5);
    ASSERT_EQ(nixl_request_create_rows(session_.context(), from_, to_, six.data(), 2, 6, &request),
              NIXL_OK);
    EXPECT_EQ(Transfer(session_.context(), request).run(), NIXL_OK);
    EXPECT_TRUE(target_ == wanted);

    for (const uint32_t columns : {0u, 1u, 2u, 4u, 5u, 7u, UINT32_MAX})
        EXPECT_EQ(nixl_request_create_rows(session_.context(), from_, to_, six.data(), 1, columns,
                                           &request),
                  NIXL_INVALID_ARGUMENT)
            << columns;
}

TEST_F(LibraryRanges, PairsOfDifferentKinds_areRefused) {
    ScratchPath path;
    path.write(source_);
    const nixl_buffer sources[] = {from_, session_.file(path.text())};
    const nixl_buffer targets[] = {to_, to_};
    const nixl_run runs[] = {{0, 0, 10, 0, 0, 1, 0, 0}, {0, 0, 10, 0, 0, 1, 1, 0}};
    nixl_request request{};

    EXPECT_EQ(
        nixl_request_create_runs(session_.context(), sources, targets, 2, runs, 2, 0, &request),
        NIXL_UNSUPPORTED);
    EXPECT_TRUE(target_ == before_);
}

TEST_F(LibraryRanges, ManyPairs_eachReachItsOwnBuffers) {
    constexpr uint32_t PAIRS = 300;
    std::vector<nixl_buffer> sources, targets;
    std::vector<nixl_run> runs;
    for (uint32_t i = 0; i < PAIRS; ++i) {
        sources.push_back(session_.wrap(source_.data() + i * 30, 30));
        targets.push_back(session_.wrap(target_.data() + (PAIRS - 1 - i) * 30, 30));
        runs.push_back({0, 0, 30, 0, 0, 1, i, 0});
    }
    nixl_request request{};
    ASSERT_EQ(nixl_request_create_runs(session_.context(), sources.data(), targets.data(), PAIRS,
                                       runs.data(), PAIRS, 0, &request),
              NIXL_OK);
    const Transfer transfer(session_.context(), request);
    ASSERT_EQ(transfer.run(), NIXL_OK);

    for (uint32_t i = 0; i < PAIRS; ++i)
        ASSERT_TRUE(std::equal(source_.begin() + i * 30, source_.begin() + (i + 1) * 30,
                               target_.begin() + (PAIRS - 1 - i) * 30));
    for (const nixl_buffer buffer : targets)
        EXPECT_EQ(session_.users(buffer), 0u);
}

} // namespace
} // namespace nixl::test
