// SPDX-License-Identifier: Apache-2.0
// A request slot while the request is being made.
#pragma once

#include <utility>

#include "transfer/transfers.h"

namespace nixl::core {

/// Gives the slot back unless it was published.
class Transfers::SlotGuard {
  public:
    SlotGuard(Transfers& owner, Request& request) : owner_(owner), request_(&request) {}
    ~SlotGuard() {
        if (request_ == nullptr)
            return;
        let_go();
        SlotMap<Request, 64>::retire(*request_);
        owner_.free_slot(*request_);
    }
    void keep() noexcept {
        let_go();
        request_ = nullptr;
    }

  private:
    /// From here on the request's regions may be freed.
    void let_go() noexcept {
        if (!std::exchange(request_->holds_regions, false))
            return;
        for (const RegionUse& use : request_->uses())
            use.region->remove_user();
    }

    Transfers& owner_;
    Request* request_;
};

} // namespace nixl::core
