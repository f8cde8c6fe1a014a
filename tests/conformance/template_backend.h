// SPDX-License-Identifier: Apache-2.0
// backends/template as a fixture: the same code, but cheaper than the built-in backend, so that the
// library chooses it.
#pragma once

#include <nixl/backend.h>

extern "C" nixl_status nixl_backend_entry_template(const nixl_host_v1* host, nixl_backend_v1* out);
