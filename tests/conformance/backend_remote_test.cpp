// SPDX-License-Identifier: Apache-2.0
// The peer half of the plug-in ABI, over every backend that reaches peers.
#include <cstring>

#include "tests/conformance/backend_rig.h"
#include "tests/conformance/subject_test.h"

namespace nixl::test {
namespace {

std::vector<Subject> remote_subjects() {
    std::vector<Subject> found;
    for (const Subject& each : subjects())
        if (each.remote())
            found.push_back(each);
    return found;
}

class BackendRemote : public SubjectTest {
  protected:
    void SetUp() override {
        SubjectTest::SetUp();
        if (IsSkipped())
            return;
        source_ = make_source(16 * 1024);
        target_ = make_target(16 * 1024);
        source_->write(content_);
        rig_ = std::make_unique<BackendRig>(subject());
    }
    void TearDown() override {
        if (hooks().hold != nullptr)
            hooks().hold(false);
        if (rig_ != nullptr)
            rig_->detach_all();
    }
    [[nodiscard]] static const RemoteHooks& hooks() { return subject().fixture->hooks; }
    Work make_work() {
        return BackendRig::make_work(rig_->source(*source_), rig_->target(*target_),
                                     {strided(0, 0, 1024, 1024, 1024, 16)});
    }

    const Bytes content_ = random_bytes(16 * 1024, 1);
    std::unique_ptr<Place> source_, target_;
    std::unique_ptr<BackendRig> rig_;
};

/// Tests of work that is held, of peers that die.
#define NEED_HOOK(hook)                                                                            \
    if (hooks().hook == nullptr)                                                                   \
    GTEST_SKIP() << subject().fixture->name << " has no hook " #hook

TEST_P(BackendRemote, PeerDiedBefore_elementsAreDisconnected) {
    NEED_HOOK(kill_latest);
    Work work = make_work();
    hooks().kill_latest(); // the rig opens the owner last

    ASSERT_TRUE(rig_->finish(work));

    EXPECT_EQ(work.count(NIXL_DISCONNECTED), 16u) << work.summary();
    EXPECT_TRUE(target_->read() == Bytes(16 * 1024));
}

TEST_P(BackendRemote, PeerDiesInFlight_elementsAreDisconnected) {
    NEED_HOOK(hold);
    NEED_HOOK(kill_latest);
    hooks().hold(true);
    Work work = make_work();
    rig_->submit(work);
    hooks().kill_latest();

    ASSERT_TRUE(rig_->drive([&] { return work.finished(); })) << work.summary();

    EXPECT_EQ(work.count(NIXL_DISCONNECTED), 16u) << work.summary();
}

TEST_P(BackendRemote, PeerDiesAfterwards_whatIsDoneStaysDone) {
    NEED_HOOK(kill_latest);
    Work work = make_work(), late = make_work();
    ASSERT_TRUE(rig_->finish(work));
    hooks().kill_latest();
    ASSERT_TRUE(rig_->finish(late));

    EXPECT_EQ(work.count(NIXL_OK), 16u);
    EXPECT_EQ(late.count(NIXL_DISCONNECTED), 16u);
    EXPECT_TRUE(target_->read() == content_);
}

TEST_P(BackendRemote, DisconnectInFlight_elementsAreDisconnected) {
    NEED_HOOK(hold);
    hooks().hold(true);
    Work work = make_work();
    rig_->submit(work);
    rig_->table().disconnect(rig_->instance(), BackendRig::OWNER);

    ASSERT_TRUE(rig_->drive([&] { return work.finished(); })) << work.summary();

    EXPECT_EQ(work.count(NIXL_DISCONNECTED), 16u) << work.summary();
}

TEST_P(BackendRemote, CancelInFlight_endsWithoutThePeer) {
    NEED_HOOK(hold);
    hooks().hold(true);
    Work work = make_work();
    rig_->submit(work);
    rig_->cancel(work);

    ASSERT_TRUE(rig_->drive([&] { return work.finished(); })) << work.summary();

    EXPECT_EQ(work.count(NIXL_CANCELLED), 16u) << work.summary();
}

TEST_P(BackendRemote, RegionTakenBack_elementsAreStale) {
    Work work = make_work();
    rig_->take_back(subject().source_remote() ? work.pairs[0].source : work.pairs[0].target);

    ASSERT_TRUE(rig_->finish(work));

    EXPECT_EQ(work.count(NIXL_STALE), 16u) << work.summary();
}

TEST_P(BackendRemote, DamagedBlobs_areRefused) {
    const nixl_backend_v1& table = rig_->table();
    nixl_region_desc desc = source_->description();
    void* own = nullptr;
    ASSERT_EQ(table.attach(rig_->owner(), &desc, &own, nullptr), NIXL_OK);
    uint8_t blob[256], address[256];
    uint64_t bytes = sizeof blob, address_bytes = sizeof address;
    ASSERT_EQ(table.export_region(rig_->owner(), own, blob, &bytes, nullptr), NIXL_OK);
    ASSERT_EQ(table.address(rig_->owner(), address, &address_bytes, nullptr), NIXL_OK);
    for (uint64_t i = 0; i < bytes; ++i) {
        blob[i] ^= 0x40;
        void* imported = nullptr;
        EXPECT_LT(table.import_region(rig_->instance(), BackendRig::OWNER, -1, &desc, blob, bytes,
                                      &imported, nullptr),
                  0)
            << "byte " << i;
        blob[i] ^= 0x40;
    }
    for (uint64_t i = 0; i < address_bytes; ++i) {
        address[i] ^= 0x40;
        EXPECT_LT(table.connect(rig_->instance(), 77, address, address_bytes, nullptr), 0);
        address[i] ^= 0x40;
        EXPECT_LT(table.connect(rig_->instance(), 77, address, i, nullptr), 0) << "cut to " << i;
    }
    table.detach(rig_->owner(), own);
}

TEST_P(BackendRemote, TooLittleRoom_tellsHowMuchIsNeeded) {
    uint64_t bytes = 3;
    uint8_t out[3];
    EXPECT_EQ(rig_->table().address(rig_->instance(), out, &bytes, nullptr), NIXL_OUT_OF_RANGE);
    EXPECT_GT(bytes, 3u);
}

TEST_P(BackendRemote, UnknownDevice_isRefusedWithAReason) {
    const nixl_backend_v1& table = rig_->table();
    nixl_region_desc desc = source_->description();
    void *own = nullptr, *imported = nullptr;
    ASSERT_EQ(table.attach(rig_->owner(), &desc, &own, nullptr), NIXL_OK);
    uint8_t blob[256];
    uint64_t bytes = sizeof blob;
    ASSERT_EQ(table.export_region(rig_->owner(), own, blob, &bytes, nullptr), NIXL_OK);
    char text[256] = "";
    nixl_error_text error{text, sizeof text, 0, 0};
    EXPECT_EQ(table.import_region(rig_->instance(), BackendRig::OWNER, 12345, &desc, blob, bytes,
                                  &imported, &error),
              NIXL_UNSUPPORTED);
    EXPECT_STRNE(text, "");
    table.detach(rig_->owner(), own);
}

INSTANTIATE_TEST_SUITE_P(Backends, BackendRemote, ::testing::ValuesIn(remote_subjects()),
                         subject_name);

} // namespace
} // namespace nixl::test
