// SPDX-License-Identifier: Apache-2.0
// For tests of work that never comes back: what it may touch is kept for ever, on purpose.
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace nixl::test {

/// What is made while this lives may be quarantined, which a leak checker cannot know.
class Quarantine {
  public:
#if defined(__SANITIZE_ADDRESS__)
    Quarantine() { __lsan_disable(); }
    ~Quarantine() { __lsan_enable(); }
#else
    Quarantine() {} // NOLINT: a destructor of its own keeps it from looking unused
    ~Quarantine() {}
#endif
    Quarantine(const Quarantine&) = delete;
    Quarantine& operator=(const Quarantine&) = delete;
};

} // namespace nixl::test
