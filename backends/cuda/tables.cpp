// SPDX-License-Identifier: Apache-2.0
// HOT
#include "tables.h"

#include <algorithm>

namespace nixl::core::cuda {

// allow(hot): at the first work of this kind.
CuResult Tables::make() noexcept {
    const Calls& call = gpu_.driver.call;
    void* host = nullptr;
    CuResult result = call.host_alloc(&host, COUNT * Table::BYTES, HOST_PORTABLE | HOST_DEVICE_MAP);
    host_ = static_cast<std::byte*>(host);
    int least = 0, greatest = 0;
    (void)call.context_priorities(&least, &greatest);
    if (result == CuResult::SUCCESS)
        result = call.stream_create(&stream_, STREAM_NON_BLOCKING, greatest);
    if (result == CuResult::SUCCESS &&
        call.memory_alloc(&on_gpu_, COUNT * Table::BYTES) != CuResult::SUCCESS)
        on_gpu_ = 0; // full: slower, but it works
    for (uint32_t i = 0; i < COUNT && result == CuResult::SUCCESS; ++i) {
        tables_[i].host = host_ + i * Table::BYTES;
        tables_[i].on_gpu = on_gpu_ == 0 ? 0 : on_gpu_ + i * Table::BYTES;
        result = call.event_create(&tables_[i].uploaded, EVENT_DISABLE_TIMING);
    }
    return result;
}

bool Tables::open() noexcept {
    if (state_ == State::UNTRIED) {
        state_ = make() == CuResult::SUCCESS ? State::OPEN : State::FAILED;
        if (state_ == State::FAILED)
            close();
    }
    return state_ == State::OPEN;
}

void Tables::close() noexcept {
    const Calls& call = gpu_.driver.call;
    if (stream_ != nullptr)
        (void)call.stream_destroy(stream_);
    for (Table& table : tables_) {
        if (table.uploaded != nullptr)
            (void)call.event_destroy(table.uploaded);
        table = {};
    }
    if (on_gpu_ != 0)
        (void)call.memory_free(on_gpu_);
    if (host_ != nullptr)
        (void)call.host_free(host_);
    stream_ = nullptr;
    on_gpu_ = 0;
    host_ = nullptr;
}

Tables::~Tables() {
    const CudaScope scope(gpu_.driver, gpu_.context);
    close();
}

bool Tables::has_free() const noexcept {
    return std::any_of(tables_.begin(), tables_.end(),
                       [](const Table& table) { return !table.is_lent; });
}

Table* Tables::take() noexcept {
    const auto found = std::find_if(tables_.begin(), tables_.end(),
                                    [](const Table& table) { return !table.is_lent; });
    if (found == tables_.end())
        return nullptr;
    found->is_lent = true;
    return &*found;
}

CuResult Tables::upload(const Table& table, uint64_t bytes, Stream stream, Address* out) noexcept {
    if (bytes <= SMALL_BYTES || table.on_gpu == 0) {
        *out = reinterpret_cast<uintptr_t>(table.host);
        return CuResult::SUCCESS;
    }
    const Calls& call = gpu_.driver.call;
    *out = table.on_gpu;
    CuResult result = call.copy_to_device(table.on_gpu, table.host, bytes, stream_);
    if (result == CuResult::SUCCESS)
        result = call.event_record(table.uploaded, stream_);
    return result == CuResult::SUCCESS ? call.stream_wait_event(stream, table.uploaded, 0) : result;
}

} // namespace nixl::core::cuda
