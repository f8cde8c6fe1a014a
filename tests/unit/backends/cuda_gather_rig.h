// SPDX-License-Identifier: Apache-2.0
// Scattered work for the cuda backend: whole batches, whatever room there is.
#pragma once

#include "tests/unit/backends/cuda_rig.h"

namespace nixl::test::host_queues {

class CudaGather : public CudaBackend {
  protected:
    static bool has_batches() { return test_driver().call.copy_batch != nullptr; }
    std::string engine(const nixl_batch& batch) { return table.engine_of(instance, &batch); }

    /// Submits all of it as room comes, until every element is over; how each ended.
    std::vector<nixl_status> moved(nixl_batch batch) {
        std::vector<nixl_status> ended(batch.element_count, NIXL_IN_PROGRESS);
        uint64_t left = batch.element_count;
        const uint64_t count = batch.element_count;
        const auto end = std::chrono::steady_clock::now() + PATIENCE;
        while (left != 0 && std::chrono::steady_clock::now() < end) {
            if (batch.element_count != 0)
                advance(&batch, table.submit(queue, &batch));
            nixl_completion entries[16];
            const uint32_t found = table.poll(queue, entries, 16);
            for (uint32_t i = 0; i < found; ++i)
                for (uint64_t k = 0; k < entries[i].element_count; ++k) {
                    EXPECT_EQ(ended.at(entries[i].first_element + k), NIXL_IN_PROGRESS) << "twice";
                    ended.at(entries[i].first_element + k) = entries[i].status;
                    --left;
                }
        }
        EXPECT_EQ(left, 0u) << "of " << count;
        return ended;
    }
    static void advance(nixl_batch* batch, uint64_t accepted) {
        if (batch->runs == nullptr) {
            batch->first_element += accepted;
        } else {
            sdk::OpCursor at(*batch);
            at.skip(accepted);
            if (!at.done())
                at.store_position(batch, batch->runs);
        }
        batch->element_count -= accepted;
    }

    void* prepare(const nixl_region& region, const std::vector<nixl_block>& blocks, int device) {
        void* prepared = nullptr;
        EXPECT_EQ(table.prepare(instance, &region, 1, blocks.data(), blocks.size(), device,
                                &prepared, nullptr),
                  NIXL_OK);
        return prepared;
    }
};

} // namespace nixl::test::host_queues
