// SPDX-License-Identifier: Apache-2.0
// A backend that writes files very fast, in its own opinion, and from page-locked memory alone:
// what makes a route take a third leg.
#pragma once

#include <nixl/backend.h>

namespace nixl::test {

[[nodiscard]] nixl_backend_v1 island_backend();

} // namespace nixl::test
