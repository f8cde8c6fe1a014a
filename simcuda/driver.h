// SPDX-License-Identifier: Apache-2.0
// The state of the simulated driver: one per process.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "faults.h"
#include "handles.h"
#include "memory.h"
#include "pins.h"
#include "queue.h"

namespace nixl::simcuda {

/// A point in a stream that is recorded anew each time.
struct Record {
    Gpu& gpu;
    Position position; // without a queue: never recorded
};

struct Kernel;

/// A loaded module.
struct Image {
    Gpu& gpu;
    std::string text;
};

struct Symbol {
    std::shared_ptr<Image> image;
    const Kernel& kernel;
    unsigned shared_bytes = 48 << 10; ///< that a launch may ask for
};

/// A stream that takes what is put on it into a graph, and forbids threads what would disturb it.
struct Capture {
    std::shared_ptr<Queue> queue;
    bool is_broken = false;
};

/// Addresses for mapping, and where the host reaches what is mapped there.
struct Reservation {
    Pages forbidden, alias;
};

struct Driver {
    std::mutex mutex;                 // guards all below; no user's code runs under it
    std::condition_variable progress; // an operation has ended

    std::vector<std::shared_ptr<Gpu>> gpus; // the same ones from cuInit() on
    Memory memory;
    Pins pins;
    std::map<core::cuda::Address, Reservation> reservations;
    Faults faults;
    bool have_ways = true;         ///< whether GPUs reach each other's memory; never changes
    int version = 12080;           ///< of CUDA; never changes
    std::vector<Capture> captures; // of streams into graphs, which come to nothing

    Handles<core::cuda::Context, Gpu> contexts;
    Handles<core::cuda::Stream, Queue> streams;
    Handles<core::cuda::Event, Record> events;
    Handles<core::cuda::Module, Image> modules;
    Handles<core::cuda::Function, Symbol> functions;
    Handles<core::cuda::Allocation, Physical> physical;

    /// nullptr for an ordinal that is none.
    [[nodiscard]] Gpu* gpu(int ordinal) const;
    /// Whether the address can only be a GPU's, allocated or not.
    [[nodiscard]] bool is_device_address(core::cuda::Address address);
    /// What reserved the address, or end().
    [[nodiscard]] std::map<core::cuda::Address, Reservation>::iterator
    reservation_at(core::cuda::Address address);
};

/// Never destroyed: its threads may run when the process ends.
Driver& driver();

/// SUCCESS in a process that has called cuInit(), and not in its forked children.
core::cuda::CuResult initialised();

} // namespace nixl::simcuda
