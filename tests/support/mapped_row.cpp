// SPDX-License-Identifier: Apache-2.0
#include "tests/support/mapped_row.h"

#include <gtest/gtest.h>

#include "tests/support/gpu_memory.h"

namespace nixl::test {
namespace {

using core::CudaScope;
using core::cuda::CuResult;

void expect(CuResult result) { EXPECT_EQ(result, CuResult::SUCCESS); }

core::cuda::Context retained(int device) {
    core::cuda::Context context = nullptr;
    expect(test_driver().call.context_retain(&context, device));
    return context;
}

} // namespace

MappedRow::MappedRow(int device, unsigned parts, int reader)
    : device_(device), context_(retained(device)), is_mapped_(parts, true) {
    const auto& call = test_driver().call;
    core::cuda::AllocationOptions options{};
    options.type = core::cuda::PINNED_PHYSICAL;
    options.location = {core::cuda::ON_DEVICE, device};
    options.gpu_direct_rdma = 1; // so that GDRCopy may pin it
    expect(call.map_reserve(&address_, reserved(), 0, 0, 0));
    for (unsigned part = 0; part < parts; ++part) {
        core::cuda::Allocation physical = 0;
        expect(call.map_create(&physical, PART, &options, 0));
        expect(call.map(address_ + part * PART, PART, 0, physical, 0));
        expect(call.map_release(physical));
    }
    const core::cuda::Access access{{core::cuda::ON_DEVICE, reader < 0 ? device : reader},
                                    core::cuda::ALL_ACCESS};
    expect(call.map_access(address_, parts * PART, &access, 1));
}

MappedRow::~MappedRow() {
    for (unsigned part = 0; part < is_mapped_.size(); ++part)
        if (is_mapped_[part])
            unmap(part);
    expect(test_driver().call.map_release_range(address_, reserved()));
    (void)test_driver().call.context_release(device_);
}

void MappedRow::unmap(unsigned part) {
    wait_for_gpus();
    expect(test_driver().call.unmap(address_ + part * PART, PART));
    is_mapped_[part] = false;
}

void MappedRow::write(const std::vector<unsigned char>& content) const {
    const CudaScope scope(test_driver(), context_);
    expect(test_driver().call.copy_to_device(address_, content.data(), content.size(), nullptr));
    expect(test_driver().call.context_synchronize());
}

std::vector<unsigned char> MappedRow::read() const {
    std::vector<unsigned char> content(is_mapped_.size() * PART);
    const CudaScope scope(test_driver(), context_);
    expect(test_driver().call.copy_to_host(content.data(), address_, content.size(), nullptr));
    expect(test_driver().call.context_synchronize());
    return content;
}

} // namespace nixl::test
