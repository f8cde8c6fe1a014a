// SPDX-License-Identifier: Apache-2.0
// The simulated driver in a child process: a driver stays as it was first loaded, so each test has
// a process of its own. It is loaded as the library loads it.
#pragma once

#include <condition_variable>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <ostream>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "platform/cuda_driver.h"
#include "tests/support/child.h"

namespace nixl::core::cuda {

inline void PrintTo(CuResult result, std::ostream* out) { *out << static_cast<int>(result); }

} // namespace nixl::core::cuda

namespace nixl::test {

using namespace core::cuda;

using Environment = std::initializer_list<std::pair<const char*, const char*>>;

/// PTX with one kernel that the simulation has, and one that it has not.
extern const char* const PTX;

/// Two simulated GPUs; the first one's context is current on the child's first thread.
struct Rig {
    explicit Rig(const core::CudaDriver& loaded);

    [[nodiscard]] Address device_bytes(size_t bytes) const;
    [[nodiscard]] Stream stream(unsigned flags = STREAM_NON_BLOCKING) const;
    [[nodiscard]] Event event() const;
    [[nodiscard]] Function fill_words() const;
    /// Launches it with one thread.
    [[nodiscard]] CuResult launch_fill(Function function, Address target, uint32_t value,
                                       uint32_t count, Stream on) const;
    /// The bytes at a device address. Waits for the copy.
    [[nodiscard]] std::string read(Address source, size_t bytes) const;
    [[nodiscard]] size_t free_bytes() const;
    /// Gives other streams the time to run what they should not run yet.
    void let_run() const;
    [[nodiscard]] int faults(const char* text) const;

    const core::CudaDriver& driver;
    const Calls& call;
    Context contexts[2] = {};
};

/// "" or what went wrong in a child that has the rig and the variables.
std::string with_gpus(Environment environment, const std::function<void(Rig&)>& body);
/// The same as an expectation.
inline void on_gpus(Environment environment, const std::function<void(Rig&)>& body) {
    const std::string wrong = with_gpus(environment, body);
    EXPECT_EQ(wrong, "");
}
inline void on_gpus(const std::function<void(Rig&)>& body) { on_gpus({}, body); }

/// Another context, while the object lives.
struct Current {
    Current(const Rig& of, Context context) : rig(of) {
        EXPECT_EQ(rig.call.context_push(context), CuResult::SUCCESS);
    }
    ~Current() { EXPECT_EQ(rig.call.context_pop(nullptr), CuResult::SUCCESS); }
    Current(const Current&) = delete;
    Current& operator=(const Current&) = delete;

    const Rig& rig;
};

/// Holds a stream up at a host function until it is opened.
class Gate {
  public:
    Gate(const Rig& rig, Stream stream) {
        EXPECT_EQ(rig.call.stream_callback(stream, &Gate::pass, this, 0), CuResult::SUCCESS);
    }
    /// Opens it, and waits until the stream has passed.
    ~Gate() {
        open();
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return passed_; });
    }
    Gate(const Gate&) = delete;
    Gate& operator=(const Gate&) = delete;
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

  private:
    static void pass(Stream, CuResult, void* self) {
        Gate& gate = *static_cast<Gate*>(self);
        std::unique_lock lock(gate.mutex_);
        gate.changed_.wait(lock, [&] { return gate.open_; });
        gate.passed_ = true;
        gate.changed_.notify_all();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false, passed_ = false; // guarded by mutex_
};

} // namespace nixl::test
