// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/baseline.h"

#include <algorithm>
#include <cstring>

#include "common/clock.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

// Memory of one machine is saturated by two threads, a disk by more.
constexpr unsigned MEMORY_THREADS = 2, FILE_THREADS = 4;
// Below this a second thread costs more than it brings.
constexpr std::uint64_t SHARED_FROM_BYTES = 64 << 10;
constexpr std::uint64_t CALL_BYTES = 1 << 20, PAGE = 4096;

} // namespace

Baseline::Baseline(const Shape& shape, const End& source, const End& target)
    : shape_(shape), source_(source), target_(target), ways_(0) {
    const bool files = source.is_file() || target.is_file();
    const bool from_gpu = source.wish().kind == EndKind::GPU;
    if (from_gpu || target.wish().kind == EndKind::GPU) {
        if (!files)
            driver_ = DriverCopy::open((from_gpu ? source : target).wish().device);
        ways_ = driver_ ? 1 : 0;
        return;
    }
    ways_ = shape.bytes() < SHARED_FROM_BYTES ? 1 : 2;
    crew_ = std::make_unique<Crew>(ways_ == 1 ? 1 : files ? FILE_THREADS : MEMORY_THREADS);
    call_ = !files              ? "memcpy"
            : !target.is_file() ? "pread"
            : !source.is_file() ? "pwrite"
                                : "pread and pwrite";
    if (source.is_file() && target.is_file())
        between_ = std::make_unique<Memory>(CALL_BYTES * crew_->threads());
    if (files)
        call_ += " of " + std::string(shape.block_bytes() < CALL_BYTES ? "one element" : "1 MB") +
                 " a call";
}

void Baseline::move(std::uint64_t source_offset, std::uint64_t target_offset, std::uint64_t bytes,
                    char* between) {
    char* from = source_.memory();
    char* to = target_.memory();
    if (from != nullptr && to != nullptr) {
        std::memcpy(to + target_offset, from + source_offset, bytes);
        return;
    }
    for (std::uint64_t done = 0; done < bytes; done += CALL_BYTES) {
        const std::uint64_t piece = std::min(CALL_BYTES, bytes - done);
        char* memory = from != nullptr ? from + source_offset + done
                       : to != nullptr ? to + target_offset + done
                                       : between;
        if (from == nullptr)
            source_.read(source_offset + done, memory, piece);
        if (to == nullptr)
            target_.write(target_offset + done, memory, piece);
    }
}

void Baseline::job(unsigned thread, unsigned threads) {
    char* between = between_ ? between_->data() + thread * CALL_BYTES : nullptr;
    if (shape_.count() == 1) {
        const std::uint64_t share = (shape_.bytes() / threads + PAGE - 1) / PAGE * PAGE;
        const std::uint64_t first = std::min(share * thread, shape_.bytes());
        const std::uint64_t last =
            thread + 1 == threads ? shape_.bytes() : std::min(first + share, shape_.bytes());
        if (first < last)
            move(first, first, last - first, between);
        return;
    }
    const std::uint64_t first = shape_.count() * thread / threads;
    const std::uint64_t last = shape_.count() * (thread + 1) / threads;
    for (std::uint64_t i = first; i < last; ++i)
        move(shape_.source_offset(i), shape_.target_offset(i), shape_.block_bytes(), between);
}

void Baseline::measure(unsigned way) {
    const std::uint64_t start_ns = now_ns();
    if (driver_) {
        const auto address = [](const End& end) {
            return reinterpret_cast<std::uint64_t>(end.buffer().data());
        };
        refused_ = !driver_->copy(address(target_), address(source_), shape_.bytes()) || refused_;
    } else if (way == 0)
        job(0, 1);
    else
        crew_->run([this](unsigned thread) { job(thread, crew_->threads()); });
    latencies_[way].add(now_ns() - start_ns);
}

Baseline::Best Baseline::best() const {
    Best best;
    if (driver_)
        return refused_ ? best
                        : Best{latencies_[0].percentile_ns(0.5),
                               shape_.count() == 1 ? "the driver's copy"
                                                   : "one copy of all bytes by the driver",
                               latencies_[0].count()};
    for (unsigned way = 0; way < ways_; ++way) {
        const double median_ns = latencies_[way].percentile_ns(0.5);
        if (median_ns <= 0 || (best.median_ns > 0 && median_ns >= best.median_ns))
            continue;
        const unsigned threads = way == 0 ? 1 : crew_->threads();
        best = {median_ns, call_ + format(" with %u thread%s", threads, threads == 1 ? "" : "s"),
                latencies_[way].count()};
    }
    return best;
}

} // namespace nixl::tools
