// SPDX-License-Identifier: Apache-2.0
// What failed is said to have failed, what is short is said to be short, and neither touches a
// neighbour: the defects that a backend has when it takes any answer of the system for a success.
#include <fcntl.h>
#include <unistd.h>

#include "tests/conformance/backend_rig.h"
#include "tests/conformance/subject_test.h"

namespace nixl::test {
namespace {

bool is_storage(uint16_t kind) { return kind == NIXL_KIND_FILE || kind == NIXL_KIND_BLOCK; }

/// Subjects of which one end can go wrong.
std::vector<Subject> fallible_subjects() {
    std::vector<Subject> found;
    for (const Subject& each : subjects())
        if (each.fixture->moves_bytes &&
            (each.remote() || is_storage(each.source_kind) || is_storage(each.target_kind)))
            found.push_back(each);
    return found;
}

std::vector<Subject> file_sources() {
    std::vector<Subject> found;
    for (const Subject& each : fallible_subjects())
        if (each.source_kind == NIXL_KIND_FILE)
            found.push_back(each);
    return found;
}

// ---- Short
// ----------------------------------------------------------------------------------------

class BackendShort : public SubjectTest {
  protected:
    /// Reads 16 elements of 4096 bytes from a file that is cut to `file_bytes` before `before` or
    /// after the region is registered.
    void expect_prefix(uint64_t file_bytes, bool after_attach, uint32_t flags) {
        ScratchPath file;
        const Bytes content = random_bytes(65536, 4), before = random_bytes(65536, 5);
        file.write(content);
        const auto target = make_target(65536);
        target->write(before);
        BackendRig rig(subject());
        nixl_region_desc desc{};
        desc.struct_size = sizeof desc;
        desc.kind = NIXL_KIND_FILE;
        desc.bytes = 65536;
        desc.fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
        desc.flags = flags;
        desc.uri = file.c_str();
        if (!after_attach)
            file.resize(file_bytes);
        const nixl_region source = rig.attach_local(desc);
        file.resize(file_bytes);
        Work work = BackendRig::make_work(source, rig.target(*target),
                                          {strided(0, 0, 4096, 4096, 4096, 16)});

        ASSERT_TRUE(rig.finish(work)) << work.summary();

        EXPECT_EQ(work.count(NIXL_OK), 16u) << work.summary();
        for (uint64_t i = 0; i < 16; ++i) {
            const uint64_t there = file_bytes > i * 4096 ? file_bytes - i * 4096 : 0;
            EXPECT_EQ(work.elements[i].moved, std::min<uint64_t>(there, 4096)) << "element " << i;
        }
        EXPECT_TRUE(target->read() == expected_target(work, content, before))
            << "bytes that were not read were written";
        rig.detach_all();
        ::close(desc.fd);
    }
};

// Proves: S-097
TEST_P(BackendShort, FileEndsInAnElement_onlyThePrefixCounts) { expect_prefix(10000, false, 0); }
TEST_P(BackendShort, FileEndsBetweenElements_theRestMovedNothing) { expect_prefix(8192, false, 0); }
TEST_P(BackendShort, FileIsEmpty_nothingMoved) { expect_prefix(0, false, 0); }
TEST_P(BackendShort, FileShrankAfterAttach_onlyThePrefixCounts) { expect_prefix(12345, true, 0); }
TEST_P(BackendShort, DirectFileEndsInAnElement_onlyThePrefixCounts) {
    expect_prefix(10000, false, NIXL_REGION_DIRECT);
}
TEST_P(BackendShort, DirectFileShrankAfterAttach_onlyThePrefixCounts) {
    expect_prefix(12345, true, NIXL_REGION_DIRECT);
}

/// D3: one element that is much longer than the file.
TEST_P(BackendShort, ElementLongerThanTheFile_isNotASuccessOfAllOfIt) {
    ScratchPath file;
    const Bytes content = random_bytes(4096, 6);
    file.write(content);
    const auto target = make_target(65536);
    const Bytes before = random_bytes(65536, 7);
    target->write(before);
    BackendRig rig(subject());
    nixl_region_desc desc{};
    desc.struct_size = sizeof desc;
    desc.kind = NIXL_KIND_FILE;
    desc.bytes = 65536;
    desc.fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    desc.uri = file.c_str();
    Work work =
        BackendRig::make_work(rig.attach_local(desc), rig.target(*target), {one(0, 0, 65536)});

    ASSERT_TRUE(rig.finish(work));

    EXPECT_EQ(work.elements[0].status, NIXL_OK);
    EXPECT_EQ(work.elements[0].moved, 4096u);
    EXPECT_TRUE(target->read() == expected_target(work, content, before));
    rig.detach_all();
    ::close(desc.fd);
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendShort, ::testing::ValuesIn(file_sources()), subject_name);

// ---- Failures and their neighbours
// ----------------------------------------------------------------

class BackendIndependence : public SubjectTest {
  protected:
    /// A rig with a good pair and one whose storage or peer cannot serve.
    struct Ends {
        BackendRig rig;
        std::unique_ptr<Place> good_source, good_target, bad_source, bad_target;
        Bytes content = random_bytes(64 * 1024, 8);
        nixl_region_pair good{}, bad{};
        int fd = -1;

        explicit Ends(const Subject& subject, uint32_t depth = 0)
            : rig(subject, BackendRig::Options{depth, {}}),
              good_source(make_place(subject.source_kind, 64 * 1024)),
              good_target(make_place(subject.target_kind, 64 * 1024, subject.target_device())),
              bad_source(make_place(subject.source_kind, 64 * 1024)),
              bad_target(make_place(subject.target_kind, 64 * 1024, subject.target_device())) {
            good_source->write(content);
            good = {rig.source(*good_source), rig.target(*good_target)};
            subject.remote() ? break_peer(subject) : break_file(subject);
        }
        ~Ends() {
            rig.detach_all();
            ::close(fd);
        }
        Ends(const Ends&) = delete;
        Ends& operator=(const Ends&) = delete;

        /// Opened the wrong way round: the system refuses every operation.
        void break_file(const Subject& subject) {
            const bool is_source = is_storage(subject.source_kind);
            nixl_region_desc desc = (is_source ? bad_source : bad_target)->description();
            fd = ::open(desc.uri, (is_source ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
            desc.fd = fd;
            const nixl_region region = rig.attach_local(desc);
            bad = is_source
                      ? nixl_region_pair{{region.registration, nullptr}, rig.target(*bad_target)}
                      : nixl_region_pair{rig.source(*bad_source), {region.registration, nullptr}};
        }
        /// Its owner takes the region back.
        void break_peer(const Subject& subject) {
            bad = {rig.source(*bad_source), rig.target(*bad_target)};
            rig.take_back(subject.source_remote() ? bad.source : bad.target);
        }
        [[nodiscard]] Work good_work() const {
            return BackendRig::make_work(good.source, good.target,
                                         {strided(0, 0, 4096, 4096, 4096, 16)});
        }
        [[nodiscard]] Work bad_work() const {
            return BackendRig::make_work(bad.source, bad.target,
                                         {strided(0, 0, 4096, 4096, 4096, 16)});
        }
        /// Submits them in that order to their ends, with room for one completion per poll.
        void run_in_turn(Work& first, Work& second) {
            while (first.accepted != 16 || second.accepted != 16) {
                rig.submit(first);
                rig.submit(second);
                rig.poll(0, 1);
            }
            ASSERT_TRUE(rig.drive([&] { return first.finished() && second.finished(); }, 0, 1));
            expect_silence();
        }
        /// Nothing comes after the end (D2): book() fails on a tag that is not open.
        void expect_silence() {
            for (int i = 0; i < 100; ++i)
                EXPECT_FALSE(rig.poll(0, 1));
        }
    };

    static void expect_ends(const Work& good, const Work& bad, const Ends& ends) {
        EXPECT_EQ(good.count(NIXL_OK), 16u) << "good: " << good.summary();
        EXPECT_EQ(bad.count(NIXL_OK), 0u) << "bad: " << bad.summary();
        for (const Work::Element& element : bad.elements)
            EXPECT_LT(element.status, 0);
        EXPECT_TRUE(ends.good_target->read() == ends.content);
        EXPECT_TRUE(ends.bad_target->read() == Bytes(64 * 1024)) << "a failed copy wrote something";
    }
};

/// D1 and D2: in either order of submission, one completion per poll.
TEST_P(BackendIndependence, FailureFirst_theOtherSucceeds) {
    Ends ends(subject());
    Work bad = ends.bad_work(), good = ends.good_work();
    ends.run_in_turn(bad, good);
    expect_ends(good, bad, ends);
}

TEST_P(BackendIndependence, FailureLast_theOtherSucceeds) {
    Ends ends(subject());
    Work good = ends.good_work(), bad = ends.bad_work();
    ends.run_in_turn(good, bad);
    expect_ends(good, bad, ends);
}

TEST_P(BackendIndependence, GoodAndBadElementsOfOneTag_areToldApart) {
    Ends ends(subject());
    Work work;
    work.pairs = {ends.good, ends.bad};
    for (uint32_t i = 0; i < 16; ++i) {
        nixl_run run = one(i * 4096, i * 4096, 4096);
        run.pair = i % 2;
        work.runs.push_back(run);
        work.elements.push_back({run.source_offset, run.target_offset, 4096, run.pair});
    }

    ASSERT_TRUE(ends.rig.finish(work));

    for (uint32_t i = 0; i < 16; ++i)
        EXPECT_EQ(work.elements[i].status == NIXL_OK, i % 2 == 0) << "element " << i;
    ends.expect_silence();
}

TEST_P(BackendIndependence, ManyInterleaved_eachGetsItsOwnResult) {
    Ends ends(subject(), 8);
    std::vector<std::unique_ptr<Place>> targets;
    std::vector<Work> works;
    for (int i = 0; i < 24; ++i) {
        works.push_back(i % 3 == 1 ? ends.bad_work() : ends.good_work());
        if (i % 3 == 1)
            continue;
        targets.push_back(make_target(64 * 1024)); // else several would write the same bytes
        works.back().pairs[0].target = ends.rig.target(*targets.back());
    }
    const auto all_done = [&] {
        bool done = true;
        for (Work& work : works) {
            if (work.accepted != work.elements.size())
                ends.rig.submit(work, 0, 3); // in small portions, so that they mix
            done = done && work.finished();
        }
        return done;
    };

    ASSERT_TRUE(ends.rig.drive(all_done, 0, 2));

    for (size_t i = 0; i < works.size(); ++i)
        EXPECT_EQ(works[i].count(NIXL_OK), i % 3 == 1 ? 0u : 16u) << "work " << i;
    for (const auto& target : targets)
        EXPECT_TRUE(target->read() == ends.content);
    ends.expect_silence();
    ends.rig.detach_all();
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendIndependence, ::testing::ValuesIn(fallible_subjects()),
                         subject_name);

} // namespace
} // namespace nixl::test
