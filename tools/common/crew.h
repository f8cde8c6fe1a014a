// SPDX-License-Identifier: Apache-2.0
// A few parked threads that run the same work together, for baselines that use several.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace nixl::tools {

class Crew {
  public:
    /// `threads` counts the caller.
    explicit Crew(unsigned threads);
    ~Crew();
    Crew(const Crew&) = delete;
    Crew& operator=(const Crew&) = delete;

    [[nodiscard]] unsigned threads() const { return static_cast<unsigned>(others_.size()) + 1; }
    /// Runs work(0) here and work(1 ...) on the others; returns when all have ended. Rethrows what
    /// one of them threw.
    void run(const std::function<void(unsigned)>& work);

  private:
    void serve(unsigned number);
    void one(unsigned number) noexcept;

    const std::function<void(unsigned)>* work_ = nullptr;
    std::atomic<unsigned> round_{0}, running_{0};
    std::atomic<bool> ending_{false};
    std::mutex mutex_; // guards failure_
    std::exception_ptr failure_;
    std::vector<std::thread> others_;
};

} // namespace nixl::tools
