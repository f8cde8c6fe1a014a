// SPDX-License-Identifier: Apache-2.0
// The template that new backends start from really is a backend.
#include <gtest/gtest.h>

#include "tests/unit/backends/queue_rig.h"

extern "C" nixl_status nixl_backend_entry(const nixl_host_v1* host, nixl_backend_v1* out);

namespace nixl::test::host_queues {
namespace {

TEST(TemplateBackend, Copies_andTakesNoMoreThanItsSettingSays) {
    FakeHost host(0);
    host.set("template_backend.most_elements", "7");
    const Bytes source = random_bytes(2000, 1);
    Bytes target(2000), expected = target;
    const std::vector<nixl_run> runs{strided(0, 5, 10, 20, 30, 50), single(1500, 1600, 333)};
    copy_as_told(runs, source, &expected);
    QueueRig rig(host, load(nixl_backend_entry, host));
    Transfer work(const_cast<unsigned char*>(source.data()), target.data(), runs, 1);

    EXPECT_EQ(rig.submit(work), 7u);
    ASSERT_TRUE(rig.finish(work));

    EXPECT_EQ(work.with_status(NIXL_OK), 51u);
    EXPECT_TRUE(target == expected);
}

TEST(TemplateBackend, NobodyPolls_pushesBack) {
    FakeHost host(0);
    QueueRig rig(host, load(nixl_backend_entry, host));
    Bytes memory(2);
    std::vector<std::unique_ptr<Transfer>> works;
    for (uint64_t tag = 0; tag < 1000; ++tag) {
        works.push_back(std::make_unique<Transfer>(memory.data(), memory.data() + 1,
                                                   std::vector{single(0, 0, 1)}, tag));
        if (rig.submit(*works.back()) == 0)
            break;
    }
    EXPECT_LT(works.size(), 1000u);
    for (auto& work : works)
        EXPECT_TRUE(rig.finish(*work));
}

} // namespace
} // namespace nixl::test::host_queues
