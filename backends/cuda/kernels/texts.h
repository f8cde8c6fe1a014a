// SPDX-License-Identifier: Apache-2.0
// The kernels as PTX, which the driver compiles for its GPU. The kept .ptx files are made by
// scripts/check_kernels.py; embed.py turns them into the arrays declared here.
#pragma once

namespace nixl::core::cuda {

extern const char GATHER_BULK_PTX[];  ///< for compute capability 9.0 and later
extern const char GATHER_PLAIN_PTX[]; ///< 7.0 and later

inline constexpr const char* GATHER_BULK_NAME = "nixl_gather_bulk";
inline constexpr const char* GATHER_PLAIN_NAME = "nixl_gather_plain";

} // namespace nixl::core::cuda
