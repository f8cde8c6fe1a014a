// SPDX-License-Identifier: Apache-2.0
#include "common/crew.h"

#include <utility>

namespace nixl::tools {

Crew::Crew(unsigned threads) {
    for (unsigned i = 1; i < threads; ++i)
        others_.emplace_back([this, i] { serve(i); });
}

Crew::~Crew() {
    ending_.store(true);
    round_.fetch_add(1);
    round_.notify_all();
    for (std::thread& thread : others_)
        thread.join();
}

void Crew::one(unsigned number) noexcept {
    try {
        (*work_)(number);
    } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
    }
}

void Crew::serve(unsigned number) {
    for (unsigned seen = 0;;) {
        round_.wait(seen);
        seen = round_.load();
        if (ending_.load())
            return;
        one(number);
        if (running_.fetch_sub(1) == 1)
            running_.notify_one();
    }
}

void Crew::run(const std::function<void(unsigned)>& work) {
    work_ = &work;
    running_.store(static_cast<unsigned>(others_.size()));
    round_.fetch_add(1);
    round_.notify_all();
    one(0);
    for (unsigned left = running_.load(); left != 0; left = running_.load())
        running_.wait(left);
    const std::lock_guard lock(mutex_);
    if (failure_)
        std::rethrow_exception(std::exchange(failure_, nullptr));
}

} // namespace nixl::tools
