// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/measure.h"

#include <algorithm>
#include <cstring>

#include <nixl/machine.hpp>
#include <nixl/prepared.hpp>

#include "common/clock.h"
#include "common/failure.h"
#include "common/interrupt.h"
#include "common/json_reader.h"
#include "nixlbench/progress.h"

namespace nixl::tools {

namespace {

constexpr std::uint64_t TOUCH_BYTES = 64 << 20; // between two looks for Ctrl-C
constexpr std::uint64_t LEAST_ITERATIONS = 3, SURE_RAW_ROUNDS = 21;
// Ours and the baseline take turns after this long, so that both see the same machine.
constexpr std::uint64_t TURN_NS = 10'000'000;
// Checking pushes the library out of the CPU's caches, which shows in short iterations. Of those
// the first ones are checked, then one in so many.
constexpr double SHORT_NS = 20'000;
constexpr std::uint64_t FIRST_CHECKED = 16, CHECKED_ONE_IN = 64;
// Left to the system and to the library's own buffers.
constexpr std::uint64_t MEMORY_RESERVE_BYTES = 256ull << 20;

class Request {
  public:
    Request(const Shape& shape, const End& source, const End& target, nixl_context context)
        : context_(context) {
        const nixl_buffer from = source.buffer().handle(), to = target.buffer().handle();
        if (shape.is_one_piece()) {
            detail::check(
                nixl_request_create_range(context, from, 0, to, 0, shape.bytes(), &handle_));
            return;
        }
        const std::vector<nixl_run> runs = shape.runs();
        detail::check(nixl_request_create_runs(context, &from, &to, 1, runs.data(), runs.size(), 0,
                                               &handle_));
    }
    ~Request() { (void)nixl_request_release(context_, handle_); }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;

    /// Moves the bytes once; nanoseconds from the post to its end.
    std::uint64_t run() {
        const std::uint64_t start_ns = now_ns();
        nixl_status status = nixl_request_post(context_, handle_, &options_);
        while (status == NIXL_INTERRUPTED || status == NIXL_IN_PROGRESS)
            status = nixl_request_wait(context_, handle_, -1); // it goes on: see it through
        const std::uint64_t end_ns = now_ns();
        if (status != NIXL_OK)
            fail(status);
        return end_ns - start_ns;
    }

    [[nodiscard]] std::string path() const {
        return detail::read_text([this](char* out, std::size_t capacity, std::size_t* needed) {
            return nixl_request_path(context_, handle_, out, capacity, needed);
        });
    }

  private:
    static nixl_post_options waiting() {
        nixl_post_options options = NIXL_INIT(nixl_post_options);
        options.flags = NIXL_POST_WAIT;
        return options;
    }
    /// The request's own error when the transfer failed, the call's when it was refused.
    [[noreturn]] void fail(nixl_status status) const {
        nixl_error error = NIXL_INIT(nixl_error);
        if (nixl_request_error(context_, handle_, &error) == NIXL_OK && error.code == status)
            throw TransferError(error);
        detail::throw_last_error(status);
    }

    nixl_context context_;
    nixl_request handle_{};
    nixl_post_options options_ = waiting();
};

class Measurement {
  public:
    Measurement(const Plan& plan, const NamedSize& size, const Shape& shape, nixl_context context)
        : plan_(plan), shape_(shape),
          source_(plan.source, End::Role::SOURCE, shape.span_bytes(), context),
          target_(plan.target, End::Role::TARGET, shape.span_bytes(), context),
          request_(shape, source_, target_, context),
          verifier_(shape, source_, target_, plan.verify), baseline_(shape, source_, target_) {
        result_.size = size;
        result_.block_bytes = shape.block_bytes();
        result_.elements = shape.count();
        result_.source = source_.describe();
        result_.target = target_.describe();
    }

    Result take() {
        describe_path();
        touch_everything();
        if (verify_whole() && warm_up()) {
            timed_rounds();
            if (!result_.interrupted && !result_.mismatch)
                (void)verify_whole();
        }
        finish();
        return std::move(result_);
    }

  private:
    void describe_path() {
        result_.path_json = request_.path();
        const Json path = Json::read(result_.path_json);
        result_.path_name = path["name"].text();
        result_.direct_path = path["direct"].is_true();
        result_.simulated = path["simulated"].is_true();
        for (const auto& [unused, leg] : path["legs"].members()) {
            const char* between = result_.backend.empty() ? "" : " + ";
            result_.backend += between + leg["backend"].text();
            result_.engine += between + leg["engine"].text();
        }
    }

    /// No page is touched for the first time while the clock runs.
    void touch_everything() {
        for (const End* end : {&source_, &target_})
            for (std::uint64_t at = 0;
                 end->memory() != nullptr && at < shape_.span_bytes() && !is_interrupted();
                 at += TOUCH_BYTES)
                std::memset(end->memory() + at, 0, std::min(TOUCH_BYTES, shape_.span_bytes() - at));
        verifier_.prepare(0, Verifier::Extent::WHOLE);
        if (!verifier_.is_on())
            result_.not_verified = "--verify off";
    }

    /// Sends once, not timed, and checks every byte.
    bool verify_whole() {
        const std::uint64_t number = next_++;
        if (verifier_.is_on())
            verifier_.prepare(number, Verifier::Extent::WHOLE);
        if (is_interrupted_now())
            return false;
        request_.run();
        if (verifier_.is_on() && !is_interrupted_now())
            result_.mismatch = verifier_.check(number, Verifier::Extent::WHOLE);
        return !result_.mismatch && !is_interrupted_now();
    }

    bool is_interrupted_now() { return result_.interrupted = is_interrupted(); }

    /// Whether the `number`th iteration, timed or raw, is prepared and checked.
    [[nodiscard]] bool is_checked(std::uint64_t number) const {
        return verifier_.is_on() &&
               (plan_.verify == VerifyMode::FULL || number < FIRST_CHECKED ||
                number % CHECKED_ONE_IN == 0 || result_.latencies.mean_ns() >= SHORT_NS);
    }

    /// One iteration with all that belongs to it; its latency.
    std::uint64_t iterate(bool checked) {
        if (!checked)
            return request_.run();
        const std::uint64_t number = next_++;
        verifier_.prepare(number, verifier_.usual_extent());
        const std::uint64_t ns = request_.run();
        result_.mismatch = verifier_.check(number, verifier_.usual_extent());
        return ns;
    }

    bool warm_up() {
        const std::uint64_t start_ns = now_ns();
        const std::uint64_t count = std::max<std::uint64_t>(plan_.warmup, 1); // measures the pace
        for (std::uint64_t i = 0; i < count && !result_.mismatch; ++i) {
            iterate(verifier_.is_on());
            if (is_interrupted()) {
                result_.interrupted = true;
                return false;
            }
        }
        pace_ns_ = std::max<std::uint64_t>((now_ns() - start_ns) / count, 1);
        return !result_.mismatch;
    }

    [[nodiscard]] bool is_done(std::uint64_t start_ns) const {
        const std::uint64_t count = result_.latencies.count();
        if (plan_.iterations != 0)
            return count >= plan_.iterations;
        return count >= LEAST_ITERATIONS && now_ns() - start_ns >= plan_.target_ns;
    }

    void timed_rounds() {
        Progress progress(plan_, shape_.bytes());
        const std::uint64_t start_ns = now_ns();
        std::uint64_t raw_ns = 0, ours_ns = 0, raw_rounds = 0;
        while (!is_done(start_ns)) {
            std::uint64_t turn = std::clamp<std::uint64_t>(TURN_NS / pace_ns_, 1, 1 << 16);
            if (plan_.iterations != 0)
                turn = std::min(turn, plan_.iterations - result_.latencies.count());
            const std::uint64_t turn_start_ns = now_ns();
            for (std::uint64_t i = 0; i < turn; ++i) {
                const bool checked = is_checked(result_.latencies.count());
                const std::uint64_t ns = iterate(checked);
                if (result_.mismatch)
                    return;
                result_.latencies.add(ns);
                result_.verified += checked;
                if (is_interrupted()) {
                    result_.interrupted = true;
                    return;
                }
            }
            const std::uint64_t turn_end_ns = now_ns();
            ours_ns += turn_end_ns - turn_start_ns;
            progress.show(result_.latencies, turn_end_ns - start_ns);
            // Enough turns for a median first; then about a third of the time.
            if (raw_rounds >= SURE_RAW_ROUNDS * baseline_.ways() && raw_ns * 2 > ours_ns)
                continue;
            raw_turn(turn, static_cast<unsigned>(raw_rounds++));
            raw_ns += now_ns() - turn_end_ns;
        }
    }

    /// As many times as ours just ran, prepared as often.
    void raw_turn(std::uint64_t turn, unsigned round) {
        if (baseline_.ways() == 0)
            return;
        for (std::uint64_t i = 0; i < turn && !is_interrupted(); ++i) {
            if (is_checked(raw_number_++))
                verifier_.prepare(next_++, verifier_.usual_extent());
            baseline_.measure(round % baseline_.ways());
        }
    }

    void finish() {
        result_.raw = baseline_.best();
        if (target_.is_file() && result_.latencies.count() != 0) {
            const std::uint64_t start_ns = now_ns();
            target_.buffer().flush();
            result_.flush_ns = static_cast<double>(now_ns() - start_ns);
        }
        RatedRun run;
        run.bytes_per_ns = result_.bandwidth();
        run.between_cpu_and_gpu =
            plan_.source.kind != plan_.target.kind &&
            (is_cpu(plan_.source.kind) || is_cpu(plan_.target.kind)) &&
            (plan_.source.kind == EndKind::GPU || plan_.target.kind == EndKind::GPU);
        run.median_ns = result_.latencies.percentile_ns(0.5);
        run.raw_median_ns = result_.raw.median_ns;
        run.raw_name = result_.raw.name;
        run.variation = result_.latencies.variation();
        run.simulated = result_.simulated;
        result_.rating = rate(run);
    }

    const Plan& plan_;
    const Shape& shape_;
    End source_, target_;
    Request request_;
    Verifier verifier_;
    Baseline baseline_;
    Result result_;
    std::uint64_t next_ = 1, raw_number_ = 0, pace_ns_ = 1;
};

/// Fails before memory is touched that is not there: touching it could end other processes.
void check_memory(const Plan& plan, const NamedSize& size, const Shape& shape) {
    const bool verifies = plan.verify != VerifyMode::OFF; // in a copy of what is on a GPU
    const auto takes_memory = [&](EndKind kind) {
        return is_cpu(kind) || (kind == EndKind::GPU && verifies) ? 1u : 0u;
    };
    const bool takes_copy =
        verifies && (plan.source.kind == EndKind::GPU || plan.target.kind == EndKind::GPU);
    const unsigned ends = takes_memory(plan.source.kind) + takes_memory(plan.target.kind);
    const std::uint64_t free_bytes = get_free_memory();
    const std::uint64_t usable =
        free_bytes > MEMORY_RESERVE_BYTES ? free_bytes - MEMORY_RESERVE_BYTES : 0;
    if (ends == 0 || shape.span_bytes() <= usable / ends)
        return;
    const std::uint64_t gaps = shape.span_bytes() / shape.bytes() + 1; // a strided end holds both
    const std::uint64_t most = usable / ends / (shape.layout() == Layout::STRIDED ? gaps : 1);
    throw Failure(
        EXIT_ERROR,
        "a size of " + size.text + " needs " + format_size(shape.span_bytes()) + " of memory at " +
            (ends == 2 ? "each of 2 ends" : "1 end") +
            (takes_copy ? " (a GPU's is verified in host memory: not with --verify off)" : "") +
            "; the largest size that fits here is " + format_size(most, plan.units) + " (" +
            std::to_string(most) + " bytes)");
}

} // namespace

Result measure(const Plan& plan, const NamedSize& size, nixl_context context) {
    const std::uint64_t block = plan.block_bytes != 0 ? plan.block_bytes : size.bytes;
    const Shape shape(block, size.bytes / block, plan.layout);
    check_memory(plan, size, shape);
    return Measurement(plan, size, shape, context).take();
}

} // namespace nixl::tools
