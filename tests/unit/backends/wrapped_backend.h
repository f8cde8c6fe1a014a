// SPDX-License-Identifier: Apache-2.0
// A backend inside a decorator, released at the end of a test.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "backends/decorators/decorator.h"
#include "tests/unit/backends/queue_rig.h"

namespace nixl::test::host_queues {

class WrappedBackend {
  public:
    WrappedBackend(const std::string& decorator, const nixl_backend_v1& inner) {
        for (const core::Decorator& candidate : core::decorators())
            if (decorator == candidate.name)
                decorator_ = &candidate;
        table_.struct_size = sizeof table_;
        EXPECT_NE(decorator_, nullptr);
        EXPECT_EQ(decorator_->wrap(&inner, &table_), NIXL_OK);
    }
    ~WrappedBackend() { decorator_->release(&table_); }
    WrappedBackend(const WrappedBackend&) = delete;
    WrappedBackend& operator=(const WrappedBackend&) = delete;

    [[nodiscard]] const nixl_backend_v1& table() const { return table_; }

  private:
    const core::Decorator* decorator_ = nullptr;
    nixl_backend_v1 table_{};
};

} // namespace nixl::test::host_queues
