// SPDX-License-Identifier: Apache-2.0
// What the library exports: the driver's calls and GDRCopy's, under their names, and a few of its
// own for tests. Declared from the loaders' tables, so a definition of another type does not
// compile.
#pragma once

#include "platform/cuda_calls.h"
#include "platform/gdr_calls.h"

#define NIXL_SIMCUDA_EXPORT __attribute__((visibility("default")))

namespace nixl::simcuda {

using namespace core::cuda;

extern "C" {
#define NIXL_DECLARE(member, symbol, parameters) NIXL_SIMCUDA_EXPORT CuResult symbol parameters;
NIXL_CUDA_CALLS(NIXL_DECLARE)
NIXL_CUDA_LATER_CALLS(NIXL_DECLARE)
#undef NIXL_DECLARE
#define NIXL_DECLARE(member, result, symbol, parameters)                                           \
    NIXL_SIMCUDA_EXPORT result symbol parameters;
NIXL_GDR_CALLS(NIXL_DECLARE)
#undef NIXL_DECLARE

/// How many GPUs there are, instead of NIXL_SIM_GPUS. Counts before cuInit() alone.
NIXL_SIMCUDA_EXPORT void nixl_simcuda_set_devices(int count);
/// Replaces the faults to come, see faults.h. 0, or -1 for a text that cannot be read.
NIXL_SIMCUDA_EXPORT int nixl_simcuda_faults(const char* text);
/// Calls of the driver made in this process so far.
NIXL_SIMCUDA_EXPORT long nixl_simcuda_calls(void);
/// Copies through mappings of GDRCopy made in this process so far.
NIXL_SIMCUDA_EXPORT long nixl_simcuda_gdr_copies(void);
}

} // namespace nixl::simcuda
