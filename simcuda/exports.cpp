// SPDX-License-Identifier: Apache-2.0
// Proves at compile time that what is exported is what the loader will call, and at link time that
// all of it is defined.
#include "exports.h"

#include <type_traits>

namespace nixl::simcuda {
namespace {

#define NIXL_SAME_TYPE(member, symbol, parameters)                                                 \
    static_assert(std::is_same_v<decltype(&symbol), decltype(Calls::member)>);
NIXL_CUDA_CALLS(NIXL_SAME_TYPE)
NIXL_CUDA_LATER_CALLS(NIXL_SAME_TYPE)
#undef NIXL_SAME_TYPE
#define NIXL_SAME_TYPE(member, result, symbol, parameters)                                         \
    static_assert(std::is_same_v<decltype(&symbol), decltype(core::gdr::Calls::member)>);
NIXL_GDR_CALLS(NIXL_SAME_TYPE)
#undef NIXL_SAME_TYPE

[[maybe_unused, gnu::used]] const Calls EXPORTED = {
#define NIXL_ADDRESS(member, symbol, parameters) &symbol,
    NIXL_CUDA_CALLS(NIXL_ADDRESS) NIXL_CUDA_LATER_CALLS(NIXL_ADDRESS)
#undef NIXL_ADDRESS
};

} // namespace
} // namespace nixl::simcuda
