// SPDX-License-Identifier: Apache-2.0
// Random requests of every form over every subject, plain and inside `fault`, by seeds: what the
// library reports is what the target holds, and nothing stays behind.
#include "tests/conformance/random_request.h"
#include "tests/conformance/session.h"
#include "tests/conformance/subject_test.h"
#include "tests/support/process_state.h"

namespace nixl::test {
namespace {

using Shape = RandomRequest::Shape;

constexpr uint64_t SOURCE = 40000, TARGET = 60000;
constexpr uint64_t SEEDS_PER_SESSION = 10;
constexpr uint32_t SLOTS = 16;

/// Two places and the buffers over them.
struct Ends {
    Place& source;
    Place& target;
    nixl_buffer from, into;
    bool composed; ///< both are storage, so that the bytes go through staging
};

class LibraryRandom : public SubjectTest {
  protected:
    static Settings settings(uint64_t seed, bool faults) {
        Settings all = {{"request_slots", std::to_string(SLOTS)},
                        {"chunk_size", "4KB"},
                        {"path_policy", "allow"},
                        {"enable_telemetry", "true"}};
        if (!faults)
            return all;
        all["decorators"] = "fault:" + subject().fixture->backend;
        all["fault.seed"] = std::to_string(seed);
        all["fault.error_rate"] = has_errors(seed) ? "0.02" : "0";
        for (const char* rate : {"short_rate", "refuse_rate", "delay_rate", "reorder_rate"})
            all[std::string("fault.") + rate] = "0.15";
        all["fault.split_rate"] = "0.3";
        return all;
    }
    /// Of the sessions, every second one.
    static bool has_errors(uint64_t seed) { return seed / SEEDS_PER_SESSION % 2 != 0; }

    static bool is_storage(uint16_t kind) {
        return kind == NIXL_KIND_FILE || kind == NIXL_KIND_BLOCK;
    }
    static uint16_t storage_kind() {
        if (is_storage(subject().source_kind))
            return subject().source_kind;
        return is_storage(subject().target_kind) ? subject().target_kind : uint16_t{NIXL_KIND_NONE};
    }

    void run_seeds(bool faults) {
        const auto source = make_source(SOURCE), target = make_target(TARGET);
        const auto stored_source = make_place(storage_kind(), SOURCE);
        const auto stored_target = make_place(storage_kind(), TARGET);
        content_ = source_content(SOURCE, 1);
        source->write(content_);
        if (stored_source != nullptr)
            stored_source->write(content_);
        const ProcessState before = ProcessState::now();
        for (uint64_t first = 1; first <= seed_count() && !HasFailure();
             first += SEEDS_PER_SESSION) {
            SubjectSession session(subject(), settings(first, faults));
            std::vector<Ends> all = {
                {*source, *target, session.source(*source), session.target(*target), false}};
            if (stored_source != nullptr)
                all.push_back({*stored_source, *stored_target, session.source(*stored_source),
                               session.target(*stored_target), true});
            for (uint64_t seed = first; seed < first + SEEDS_PER_SESSION; ++seed) {
                SCOPED_TRACE("seed " + std::to_string(seed));
                run_one(session.main(), all[seed % all.size()], seed, faults && has_errors(first));
                if (HasFailure())
                    return;
            }
            expect_all_slots_free(session.main(), all[0]);
        }
        EXPECT_EQ(left_since(before), "");
    }

    /// The lists that it was made from, for their release.
    Transfer make_transfer(Session& session, const RandomRequest& request, const Ends& ends,
                           std::vector<nixl_list>* lists) {
        if (request.shape == Shape::RANGE)
            return session.range(ends.from, request.runs[0].source_offset, ends.into,
                                 request.runs[0].target_offset, request.runs[0].bytes);
        if (!request.runs.empty())
            return session.runs(ends.from, ends.into, request.runs);
        nixl_request handle{};
        lists->resize(2);
        EXPECT_EQ(nixl_list_create(session.context(), &ends.from, 1, request.source_blocks.data(),
                                   request.source_blocks.size(), &(*lists)[0]),
                  NIXL_OK);
        EXPECT_EQ(nixl_list_create(session.context(), &ends.into, 1, request.target_blocks.data(),
                                   request.target_blocks.size(), &(*lists)[1]),
                  NIXL_OK);
        EXPECT_EQ(nixl_request_create_lists(session.context(), (*lists)[0], (*lists)[1], &handle),
                  NIXL_OK)
            << last_error().message;
        return {session.context(), handle};
    }

    void run_one(Session& session, const Ends& ends, uint64_t seed, bool may_fail) {
        std::mt19937_64 random(seed);
        const RandomRequest request = draw_request(random, SOURCE, TARGET);
        if (request.elements.empty())
            return; // drawn too large for the buffers
        std::vector<nixl_list> lists;
        Transfer transfer = make_transfer(session, request, ends, &lists);
        const Bytes before = target_content(TARGET, seed);
        for (uint64_t post = 0; post <= seed % 2 && !HasFailure(); ++post) {
            ends.target.write(before);
            const bool cancels = random() % 5 == 0;
            const nixl_status posted =
                request.shape == Shape::INDEXED
                    ? nixl_request_post_indexed(
                          session.context(), transfer.handle(), request.source_indices.data(),
                          request.target_indices.data(), request.target_indices.size(), nullptr)
                    : transfer.post();
            ASSERT_EQ(posted, NIXL_OK) << last_error().message;
            EXPECT_TRUE(!cancels || transfer.cancel() == NIXL_OK);
            const nixl_status status = transfer.wait();
            EXPECT_TRUE(status == NIXL_OK || (cancels && status == NIXL_CANCELLED) ||
                        (may_fail && status == NIXL_IO_ERROR))
                << status << ": " << transfer.error();
            expect_end(session, request, ends, before, transfer);
        }
        EXPECT_EQ(transfer.release(), NIXL_OK);
        for (const nixl_list list : lists)
            EXPECT_EQ(nixl_list_release(session.context(), list), NIXL_OK);
    }

    void expect_end(Session& session, const RandomRequest& request, const Ends& ends,
                    const Bytes& before, const Transfer& transfer) {
        const nixl_request_description told = transfer.describe();
        EXPECT_EQ(told.bytes_wanted, request.bytes());
        EXPECT_EQ(session.users(ends.from), 0u);
        EXPECT_EQ(session.users(ends.into), 0u);
        if (told.status == NIXL_OK) {
            EXPECT_EQ(told.bytes_done, told.bytes_wanted);
            EXPECT_EQ(told.elements_done, told.elements);
            EXPECT_EQ(told.first_bad_element, UINT64_MAX);
        }
        if (!moves())
            return;
        const Moved moved = moved_by(request, content_, before, ends.target.read(), !ends.composed);
        EXPECT_EQ(moved.damage, "");
        EXPECT_EQ(ends.target.damage(), "");
        EXPECT_LE(told.bytes_done, moved.bytes) << "told to have moved, and is not there";
        EXPECT_TRUE(told.status != NIXL_OK || moved.bytes == request.bytes());
        if (!ends.composed) {
            EXPECT_LE(told.elements_done, moved.whole_elements());
        }
        if (told.status == NIXL_IO_ERROR) {
            ASSERT_LT(told.first_bad_element, request.elements.size());
            EXPECT_FALSE(moved.whole[told.first_bad_element]) << told.first_bad_element;
        }
    }

    static void expect_all_slots_free(Session& session, const Ends& ends) {
        std::vector<Transfer> all;
        for (uint32_t i = 0; i < SLOTS; ++i)
            all.push_back(session.range(ends.from, 0, ends.into, 0, 1));
        EXPECT_EQ(session.metrics().abandoned, 0u);
    }

    Bytes content_;
};

TEST_P(LibraryRandom, AnyRequest_doesWhatItReports) { run_seeds(false); }

TEST_P(LibraryRandom, AnyRequestAmongFaults_doesWhatItReports) { run_seeds(true); }

INSTANTIATE_TEST_SUITE_P(Backends, LibraryRandom, ::testing::ValuesIn(subjects()), subject_name);

} // namespace
} // namespace nixl::test
