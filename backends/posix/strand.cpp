// SPDX-License-Identifier: Apache-2.0
// HOT
#include "strand.h"

#include "operation.h"

namespace nixl::core::posix {

bool Strand::push(Operation& operation) noexcept {
    uintptr_t newest = newest_.load();
    do
        operation.next_in_turn = newest > EMPTY ? reinterpret_cast<Operation*>(newest) : nullptr;
    while (!newest_.compare_exchange_weak(newest, reinterpret_cast<uintptr_t>(&operation)));
    return newest == UNSERVED;
}

Operation* Strand::take() noexcept {
    const uintptr_t newest = newest_.exchange(EMPTY);
    Operation* oldest = nullptr;
    auto* operation = newest > EMPTY ? reinterpret_cast<Operation*>(newest) : nullptr;
    while (operation != nullptr) {
        Operation* const older = operation->next_in_turn;
        operation->next_in_turn = oldest;
        oldest = operation;
        operation = older;
    }
    return oldest;
}

} // namespace nixl::core::posix
