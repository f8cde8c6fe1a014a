// SPDX-License-Identifier: Apache-2.0
// Times copies to, from, within and between GPUs 0 and 1, through the library as programs use it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include <nixl/context.hpp>

#include "nixl-info/cost_fit.h"

namespace nixl::tools {

/// Threads: one thread. Holds memory of the GPUs and page-locked memory until its end.
class CostTimer {
  public:
    struct Options {
        std::uint32_t gpus;         ///< that there are
        std::uint64_t large_bytes;  ///< of each buffer, a power of two
        std::uint64_t ns_per_probe; ///< about what one time may take
    };

    /// Throws NIXLException: too little memory, most of all.
    explicit CostTimer(const Options& options);

    /// The median of several runs, once what moves the bytes is what was asked for. Throws
    /// NIXLException; Failure after Ctrl-C.
    CostTime time(const CostProbe& probe);

  private:
    enum Place { HOST, FIRST, SECOND, OTHER, PLACES };
    struct Ends {
        Place source, target;
    };
    /// A context that moves everything by one engine, and the buffers as it knows them.
    struct Session {
        explicit Session(const Config& config) : context(config) {}
        Context context;
        std::array<nixl_buffer, PLACES> buffers{};
    };

    static Ends ends_of(const CostProbe& probe);
    Session& session_for(const CostProbe& probe);
    void allocate(Place place, std::uint32_t kind, std::int32_t device);

    const Options options_;
    Context owner_;
    std::array<nixl_buffer_description, PLACES> memory_{};
    std::map<std::string, Session> sessions_; // ends before owner_, whose memory they wrap
};

} // namespace nixl::tools
