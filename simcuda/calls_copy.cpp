// SPDX-License-Identifier: Apache-2.0
// Copies and fills. Ranges are checked at the call as far as the driver knows them, and again when
// the work runs.
#include <cstring>
#include <vector>

#include "call.h"
#include "work.h"

namespace nixl::simcuda {
namespace {

/// A copy from pageable memory of up to so many bytes takes them at the call; a longer one, and any
/// copy to pageable memory, returns when it is done.
constexpr size_t STAGED_BYTES = 64 << 10;

enum class Side { DEVICE, HOST, EITHER };

struct Operand {
    Address address;
    Side side;
    bool pageable = false; ///< memory that the driver does not know
};

/// The bytes of an operand, or nullptr where this GPU may not touch them (any more).
std::byte* reach(Work& work, const Operand& operand, size_t bytes, bool writes) {
    if (operand.pageable)
        return reinterpret_cast<std::byte*>(operand.address);
    return work.reach(operand.address, bytes, writes, Engine::COPY);
}

/// What the call itself refuses: also memory that has a list of GPUs, without this one. Finds out
/// whether the operand is pageable.
CuResult check(Call& call, const Gpu& gpu, Operand& operand, size_t bytes, bool writes) {
    Memory& memory = call.driver.memory;
    if (const Range* const range = memory.at(operand.address)) {
        const bool fits = memory.covers(operand.address, bytes, [&](const Range& part) {
            return !part.is_closed_to(gpu, writes);
        });
        const bool wrong_side = operand.side == Side::HOST && range->is_device_only();
        return fits && !wrong_side ? CuResult::SUCCESS : CuResult::INVALID_VALUE;
    }
    if (operand.side == Side::DEVICE || operand.address == 0 ||
        call.driver.is_device_address(operand.address))
        return CuResult::INVALID_VALUE;
    // What begins in pageable memory may end in memory that is registered, as on an H200.
    operand.pageable = true;
    return CuResult::SUCCESS;
}

Operation copy_operation(const Operand& target, const Operand& source, size_t bytes) {
    Operation copy;
    copy.moves_bytes = true;
    if (source.pageable && bytes <= STAGED_BYTES) {
        const auto* const first = reinterpret_cast<const std::byte*>(source.address);
        copy.run = [target, bytes, staged = std::vector(first, first + bytes)](Work& work) {
            std::byte* const to = reach(work, target, bytes, true);
            if (to == nullptr)
                return CuResult::ILLEGAL_ADDRESS;
            std::memcpy(to, staged.data(), bytes);
            return CuResult::SUCCESS;
        };
        return copy;
    }
    copy.run = [target, source, bytes](Work& work) {
        const std::byte* const from = reach(work, source, bytes, false);
        std::byte* const to = from != nullptr ? reach(work, target, bytes, true) : nullptr;
        if (to == nullptr)
            return CuResult::ILLEGAL_ADDRESS;
        std::memcpy(to, from, bytes);
        return CuResult::SUCCESS;
    };
    return copy;
}

CuResult check(Call& call, const Gpu& gpu, Operand& target, Operand& source, size_t bytes) {
    const CuResult wrong = check(call, gpu, target, bytes, true);
    return wrong != CuResult::SUCCESS ? wrong : check(call, gpu, source, bytes, false);
}

/// Puts a copy that was checked on the queue; waits for it where it has to.
CuResult start(Call& call, Queue& queue, const Operand& target, const Operand& source,
               size_t bytes) {
    const CuResult failed =
        enqueue(call.driver, call.lock, queue, copy_operation(target, source, bytes));
    if (failed != CuResult::SUCCESS)
        return failed;
    if (target.pageable || (source.pageable && bytes > STAGED_BYTES)) {
        wait_for(call.driver, call.lock, {queue.end()});
        return queue.gpu.fault;
    }
    return CuResult::SUCCESS;
}

CuResult copy(Operand target, Operand source, size_t bytes, Stream stream) {
    return in_context([&](Call& call) {
        const auto queue = queue_of(call, stream);
        if (!queue)
            return CuResult::INVALID_HANDLE;
        if (queue->gpu.fault != CuResult::SUCCESS || bytes == 0)
            return queue->gpu.fault;
        const CuResult wrong = check(call, queue->gpu, target, source, bytes);
        return wrong != CuResult::SUCCESS ? wrong : start(call, *queue, target, source, bytes);
    });
}

Address address_of(const void* host) { return reinterpret_cast<uintptr_t>(host); }

} // namespace

extern "C" {

CuResult cuMemcpyAsync(Address target, Address source, size_t bytes, Stream stream) {
    return copy({target, Side::EITHER}, {source, Side::EITHER}, bytes, stream);
}

CuResult cuMemcpyHtoDAsync_v2(Address target, const void* source, size_t bytes, Stream stream) {
    return copy({target, Side::DEVICE}, {address_of(source), Side::HOST}, bytes, stream);
}

CuResult cuMemcpyDtoHAsync_v2(void* target, Address source, size_t bytes, Stream stream) {
    return copy({address_of(target), Side::HOST}, {source, Side::DEVICE}, bytes, stream);
}

CuResult cuMemcpyDtoDAsync_v2(Address target, Address source, size_t bytes, Stream stream) {
    return copy({target, Side::DEVICE}, {source, Side::DEVICE}, bytes, stream);
}

/// A batch with a copy that cannot be made does nothing. The attributes say nothing that matters
/// here: everything happens in the order of the stream.
CuResult cuMemcpyBatchAsync(Address* targets, Address* sources, size_t* bytes, size_t count,
                            CopyAttributes* attributes, size_t* attribute_starts,
                            size_t attribute_count, size_t* failed, Stream stream) {
    return in_context([&](Call& call) {
        *failed = SIZE_MAX;
        const bool has_attributes = attribute_count != 0 && attributes != nullptr &&
                                    attribute_starts != nullptr && attribute_starts[0] == 0;
        if (stream == nullptr || count == 0 || !has_attributes)
            return CuResult::INVALID_VALUE;
        const auto queue = queue_of(call, stream);
        if (!queue)
            return CuResult::INVALID_HANDLE;
        if (queue->gpu.fault != CuResult::SUCCESS)
            return queue->gpu.fault;
        std::vector<Operand> to, from;
        for (size_t i = 0; i < count; ++i) {
            to.push_back({targets[i], Side::EITHER});
            from.push_back({sources[i], Side::EITHER});
            const CuResult wrong = check(call, queue->gpu, to[i], from[i], bytes[i]);
            if (wrong != CuResult::SUCCESS) {
                *failed = i;
                return wrong;
            }
        }
        for (size_t i = 0; i < count; ++i)
            if (const CuResult why = start(call, *queue, to[i], from[i], bytes[i]);
                why != CuResult::SUCCESS) {
                *failed = i;
                return why;
            }
        return CuResult::SUCCESS;
    });
}

CuResult cuMemsetD8Async(Address target, unsigned char value, size_t bytes, Stream stream) {
    return in_context([&](Call& call) {
        const auto queue = queue_of(call, stream);
        if (!queue)
            return CuResult::INVALID_HANDLE;
        if (queue->gpu.fault != CuResult::SUCCESS || bytes == 0)
            return queue->gpu.fault;
        Operand operand = {target, Side::DEVICE};
        const CuResult wrong = check(call, queue->gpu, operand, bytes, true);
        if (wrong != CuResult::SUCCESS)
            return wrong;
        Operation fill;
        fill.moves_bytes = true;
        fill.run = [operand, value, bytes](Work& work) {
            std::byte* const to = reach(work, operand, bytes, true);
            if (to == nullptr)
                return CuResult::ILLEGAL_ADDRESS;
            std::memset(to, value, bytes);
            return CuResult::SUCCESS;
        };
        return enqueue(call.driver, call.lock, *queue, std::move(fill));
    });
}
}

} // namespace nixl::simcuda
