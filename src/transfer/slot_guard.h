// SPDX-License-Identifier: Apache-2.0
// A request slot while the request is being made.
#pragma once

#include "transfer/transfers.h"

namespace nixl::core {

/// Gives the slot back unless it was published.
class Transfers::SlotGuard {
  public:
    SlotGuard(Transfers& owner, Request& request) : owner_(owner), request_(&request) {}
    ~SlotGuard() {
        if (request_ == nullptr)
            return;
        SlotMap<Request, 64>::retire(*request_);
        owner_.free_slot(*request_);
    }
    void keep() noexcept { request_ = nullptr; }

  private:
    Transfers& owner_;
    Request* request_;
};

} // namespace nixl::core
