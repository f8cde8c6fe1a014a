// SPDX-License-Identifier: Apache-2.0
// Memory that keeps a list of the GPUs that may touch it: mappings, side by side as PyTorch's
// expandable segments are, and pools. Over the simulated driver, or the machine's with
// NIXL_TEST_GPU.
#include "tests/support/mapped_row.h"
#include "tests/unit/backends/cuda_gather_rig.h"

namespace nixl::test::host_queues {
namespace {

constexpr uint64_t PART = MappedRow::PART, BYTES = 2 * PART;

class CudaOpenings : public CudaGather {
  protected:
    nixl_region attached(uint64_t address, uint64_t bytes, int device) {
        nixl_region region{};
        EXPECT_EQ(attach(NIXL_KIND_DEVICE, address, bytes, device, &region), NIXL_OK) << why;
        return region;
    }
    /// Some thousand blocks, some of them across a border of mappings.
    static std::vector<nixl_run> scattered() { return {strided(8, 24, 512, 1024, 1024, 4000)}; }

    void expect_scattered(const std::vector<nixl_run>& runs) {
        for (const nixl_status status : moved(batch_of(runs)))
            ASSERT_EQ(status, NIXL_OK);
    }
};

class CudaOpeningsBetween : public CudaOpenings, public ::testing::WithParamInterface<bool> {
  protected:
    void SetUp() override {
        CudaOpenings::SetUp();
        if (instance != nullptr && test_driver().devices < 2)
            GTEST_SKIP() << "needs two GPUs";
    }
};

INSTANTIATE_TEST_SUITE_P(All, CudaOpeningsBetween, ::testing::Bool(), [](const auto& info) {
    return std::string(info.param ? "towards" : "back");
});

// Each is open to its own GPU alone, so that no GPU could copy between the two.
TEST_P(CudaOpeningsBetween, MappingsOfTwoGpus_areOpenedToEachOther) {
    const MappedRow near(0, 2), far(1, 2);
    const Bytes content = random_bytes(BYTES, 1);
    near.write(content);
    const nixl_region there = attached(near.address(), BYTES, 0); // GPU 1 is not in use yet
    const nixl_region here = attached(far.address(), BYTES, 1);

    ASSERT_EQ(copy(there, here, BYTES), NIXL_OK);
    EXPECT_EQ(far.read(), content);
    pair = GetParam() ? nixl_region_pair{there, here} : nixl_region_pair{here, there};
    EXPECT_NE(engine(batch_of(scattered())).find("kernel"), std::string::npos);
    expect_scattered(scattered());
    const MappedRow& into = GetParam() ? far : near;
    const Bytes after = into.read();
    EXPECT_TRUE(std::equal(content.begin() + 8, content.begin() + 8 + 512, after.begin() + 24));
}

TEST_P(CudaOpeningsBetween, PoolsOfTwoGpus_areOpenedToEachOther) {
    const auto& call = test_driver().call;
    Address addresses[2] = {};
    for (const int device : {0, 1}) {
        Context context = nullptr;
        ASSERT_EQ(call.context_retain(&context, device), CuResult::SUCCESS);
        const CudaScope scope(test_driver(), context);
        ASSERT_EQ(call.pool_alloc(&addresses[device], BYTES, nullptr), CuResult::SUCCESS);
        ASSERT_EQ(
            call.fill(addresses[device], static_cast<unsigned char>(7 + device), BYTES, nullptr),
            CuResult::SUCCESS);
        ASSERT_EQ(call.context_synchronize(), CuResult::SUCCESS);
    }
    const nixl_region near = attached(addresses[0], BYTES, 0),
                      far = attached(addresses[1], BYTES, 1);
    const int from = GetParam() ? 0 : 1;
    ASSERT_EQ(GetParam() ? copy(near, far, BYTES) : copy(far, near, BYTES), NIXL_OK);
    pair = GetParam() ? nixl_region_pair{near, far} : nixl_region_pair{far, near};
    EXPECT_NE(engine(batch_of(scattered())).find("kernel"), std::string::npos);
    expect_scattered(scattered());
    for (const int device : {0, 1}) {
        Context context = nullptr;
        ASSERT_EQ(call.context_retain(&context, device), CuResult::SUCCESS);
        {
            const CudaScope scope(test_driver(), context);
            Bytes all(BYTES);
            ASSERT_EQ(call.copy_to_host(all.data(), addresses[device], BYTES, nullptr),
                      CuResult::SUCCESS);
            ASSERT_EQ(call.context_synchronize(), CuResult::SUCCESS);
            EXPECT_EQ(all, Bytes(BYTES, static_cast<unsigned char>(7 + from)));
            EXPECT_EQ(call.memory_free(addresses[device]), CuResult::SUCCESS);
        }
        (void)call.context_release(device); // twice: once for each retain
        (void)call.context_release(device);
    }
}

// Where a GPU comes into use later than the memory, and goes beside memory of cuMemAlloc().
TEST_P(CudaOpeningsBetween, OneMappingAndOneAllocation_areCopiedEitherWay) {
    const MappedRow mapped(0, 2);
    const GpuMemory plain(BYTES, NIXL_KIND_DEVICE, 1);
    const Bytes content = random_bytes(BYTES, 2);
    mapped.write(content);
    plain.write(0, content);
    const nixl_region there = attached(mapped.address(), BYTES, 0), here = on_gpu(plain, BYTES);
    ASSERT_EQ(GetParam() ? copy(there, here, BYTES) : copy(here, there, BYTES), NIXL_OK);
    pair = GetParam() ? nixl_region_pair{there, here} : nixl_region_pair{here, there};
    expect_scattered(scattered());
}

// Access for GPU 1 alone, as where another process gave it to that GPU.
TEST_F(CudaOpenings, MappingThatIsClosedToItsOwnGpu_isOpenedToIt) {
    if (test_driver().devices < 2)
        GTEST_SKIP() << "needs two GPUs";
    const MappedRow mapped(0, 2, 1);
    const GpuMemory near(BYTES, NIXL_KIND_DEVICE, 0), far(BYTES, NIXL_KIND_DEVICE, 1);
    const Bytes content = random_bytes(BYTES, 5);
    near.write(0, content);
    const nixl_region target = attached(mapped.address(), BYTES, 0);
    ASSERT_EQ(copy(on_gpu(near, BYTES), target, BYTES), NIXL_OK);
    EXPECT_EQ(mapped.read(), content);
    ASSERT_EQ(copy(target, on_gpu(far, BYTES), BYTES), NIXL_OK);
    EXPECT_EQ(far.read(0, BYTES), content);
}

TEST_F(CudaOpenings, NothingOfAMapping_isFine) {
    const MappedRow mapped(0, 1);
    const GpuMemory near(BYTES, NIXL_KIND_DEVICE, 0);
    const nixl_region empty = attached(mapped.address(), 0, 0);
    EXPECT_NE(empty.registration, nullptr);
    EXPECT_FALSE(host.logged("not let into"));
}

TEST_F(CudaOpenings, MappingsInARow_areOneRegion) {
    const MappedRow row(0, 3);
    const GpuMemory plain(BYTES, NIXL_KIND_DEVICE, 0);
    const Bytes content = random_bytes(BYTES, 3);
    plain.write(0, content);
    // From within the first to within the third.
    const nixl_region target = attached(row.address() + PART / 2, BYTES, 0);
    const nixl_region source = on_gpu(plain, BYTES);
    ASSERT_EQ(copy(source, target, BYTES), NIXL_OK);
    const Bytes all = row.read();
    EXPECT_TRUE(std::equal(content.begin(), content.end(), all.begin() + PART / 2));
    pair = {source, target};
    EXPECT_NE(engine(batch_of(scattered())).find("kernel"), std::string::npos);
    expect_scattered(scattered());
}

// A kernel in the hole would end the context of its GPU.
TEST_F(CudaOpenings, HoleBetweenMappings_isToldAtOnce) {
    MappedRow row(0, 3);
    row.unmap(1);
    nixl_region region{};
    EXPECT_EQ(attach(NIXL_KIND_DEVICE, row.address() + 100, 3 * PART - 100, 0, &region),
              NIXL_INVALID_ARGUMENT);
    EXPECT_NE(why.find("there is no memory at byte " + std::to_string(PART - 100) + " of the " +
                       std::to_string(3 * PART - 100)),
              std::string::npos)
        << why;
    EXPECT_EQ(attach(NIXL_KIND_DEVICE, row.address() + 2 * PART, PART, 0, &region), NIXL_OK);
}

TEST_F(CudaOpenings, MappingThatWentFromTheMiddle_isRefusedBeforeAKernelSeesIt) {
    MappedRow row(0, 3);
    const GpuMemory plain(3 * PART, NIXL_KIND_DEVICE, 0);
    pair = {attached(row.address(), 3 * PART, 0), on_gpu(plain, 3 * PART)};
    row.unmap(1);
    for (const nixl_status status : moved(batch_of({strided(0, 0, 512, 1024, 1024, 6000)})))
        ASSERT_EQ(status, NIXL_INVALID_ARGUMENT);
    const Bytes content = random_bytes(PART, 4);
    ASSERT_EQ(copy(pinned(content, 0, PART), pair.target, PART), NIXL_OK) << "the GPU is lost";
}

} // namespace
} // namespace nixl::test::host_queues
