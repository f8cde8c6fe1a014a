// SPDX-License-Identifier: Apache-2.0
// Which GPUs a process sees: CUDA_VISIBLE_DEVICES as the real driver reads it.
#pragma once

#include <string>
#include <vector>

#include "platform/cuda_calls.h"

namespace nixl::simcuda {

/// The machine's indexes of the visible ones, in order. `text`: nullptr shows all; an entry that
/// names no GPU, or one again, hides itself and all after it.
std::vector<int> visible_gpus(int count, const char* text);

core::cuda::Uuid uuid_of(int index);
/// "GPU-5c5c5c5c-...", as CUDA_VISIBLE_DEVICES names it.
std::string uuid_text(int index);

} // namespace nixl::simcuda
