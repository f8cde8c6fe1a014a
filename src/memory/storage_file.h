// SPDX-License-Identifier: Apache-2.0
// Opens a file or a block device as a region and says how large it is.
#pragma once

#include <cstdint>

#include "base/descriptor.h"

namespace nixl::core {

struct FileOptions;

struct StorageFile {
    Descriptor descriptor;
    uint64_t bytes = 0; ///< of the region, from its offset

    /// Errors: NOT_FOUND, PERMISSION_DENIED and so on with the path and the system's words;
    /// INVALID_ARGUMENT the path is a folder, or no block device; OUT_OF_RANGE the offset lies past
    /// the end, or a device is smaller than asked; PERMISSION_DENIED writing to a device without
    /// `force`.
    static Result<StorageFile> open(const FileOptions& options);
};

} // namespace nixl::core
