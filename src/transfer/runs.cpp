// SPDX-License-Identifier: Apache-2.0
#include "transfer/runs.h"

#include <algorithm>

#include "base/checked.h"

namespace nixl::core {

namespace {

/// Whether elements at offset + k * stride, k < count, of `bytes` each lie in [0, limit).
bool side_fits(uint64_t offset, uint64_t bytes, int64_t stride, uint64_t count,
               uint64_t limit) noexcept {
    if (count == 1)
        return in_range(offset, bytes, limit);
    uint64_t span = 0;
    const uint64_t step =
        stride >= 0 ? static_cast<uint64_t>(stride) : ~static_cast<uint64_t>(stride) + 1;
    if (!checked_mul(count - 1, step, &span))
        return false;
    if (stride < 0) // the first element is the highest
        return span <= offset && in_range(offset, bytes, limit);
    uint64_t last = 0;
    return checked_add(offset, span, &last) && in_range(last, bytes, limit);
}

Singles singles_of(std::span<const nixl_run> runs) noexcept {
    Singles all;
    for (const nixl_run& run : runs) {
        all.add(run.source_offset, run.target_offset, run.bytes);
        all.others |= (run.count ^ 1) | run.pair;
    }
    return all;
}

/// False: it is not the usual case, or something is wrong.
bool check_singles(const Singles& all, const PairSizes& sizes, RunCheck* check) noexcept {
    uint64_t most = 0; // no sum of so many can have wrapped
    if (all.count == 0 || all.signs >> 63 != 0 || all.others != 0 ||
        all.source_end > sizes.source_bytes || all.target_end > sizes.target_bytes ||
        !checked_mul(all.longest, all.count, &most))
        return false;
    check->bytes = all.bytes;
    check->longest = all.longest;
    check->elements = all.count;
    check->shape = all.count == 1 ? RunShape::ONE : RunShape::FLAT;
    return true;
}

} // namespace

RunPosition find_element(const RunView& view, uint64_t element) noexcept {
    switch (view.shape) {
    case RunShape::ONE:
        return {0, element};
    case RunShape::FLAT:
        return {element, 0};
    case RunShape::MIXED:
        break;
    }
    const uint64_t* begin = view.first_elements;
    const uint64_t* after = std::upper_bound(begin, begin + view.run_count, element);
    const auto run = static_cast<uint64_t>(after - begin) - 1;
    return {run, element - begin[run]};
}

RunPosition advance(const RunView& view, RunPosition from, uint64_t elements) noexcept {
    if (view.shape == RunShape::FLAT)
        return {from.run + elements, 0};
    while (from.run < view.run_count) {
        const uint64_t left = view.runs[from.run].count - from.in_run;
        if (elements < left)
            return {from.run, from.in_run + elements};
        elements -= left;
        from = {from.run + 1, 0};
    }
    return from;
}

RunCheck check_runs(std::span<const nixl_run> runs, std::span<const PairSizes> pairs,
                    const Singles* singles) noexcept {
    RunCheck check;
    const bool is_added_up = singles != nullptr && singles->count == runs.size();
    if (pairs.size() == 1 &&
        check_singles(is_added_up ? *singles : singles_of(runs), pairs[0], &check))
        return check;
    bool flat = true;
    for (uint64_t i = 0; i < runs.size(); ++i) {
        const nixl_run& run = runs[i];
        check.bad_run = i;
        if (run.count == 0 || run.bytes == 0 || run.pair >= pairs.size()) {
            check.code = Code::INVALID_ARGUMENT;
            return check;
        }
        const PairSizes& sizes = pairs[run.pair];
        check.bad_source = !side_fits(run.source_offset, run.bytes, run.source_stride, run.count,
                                      sizes.source_bytes);
        if (check.bad_source || !side_fits(run.target_offset, run.bytes, run.target_stride,
                                           run.count, sizes.target_bytes)) {
            check.code = Code::OUT_OF_RANGE;
            return check;
        }
        uint64_t bytes = 0;
        // Elements may overlap or repeat, so the sums can pass 2^64 though every range fits.
        if (!checked_mul(run.bytes, run.count, &bytes) ||
            !checked_add(check.bytes, bytes, &check.bytes) ||
            !checked_add(check.elements, run.count, &check.elements)) {
            check.code = Code::OUT_OF_RANGE;
            return check;
        }
        check.longest = std::max(check.longest, run.bytes);
        flat = flat && run.count == 1;
    }
    check.shape = runs.size() <= 1 ? RunShape::ONE : flat ? RunShape::FLAT : RunShape::MIXED;
    return check;
}

bool split_long_elements(std::span<const nixl_run> runs, uint64_t max_bytes,
                         std::vector<nixl_run>& out, std::vector<uint64_t>& origins) {
    uint64_t element = 0, made = 0;
    for (const nixl_run& run : runs) {
        const uint64_t each = run.bytes % max_bytes != 0 ? 2 : 1;
        if (run.bytes > max_bytes && run.count > MAX_SPLIT_RUNS)
            return false;
        made += run.bytes > max_bytes ? run.count * each : 1;
        if (made > MAX_SPLIT_RUNS)
            return false;
    }
    out.reserve(made);
    origins.reserve(made);
    for (const nixl_run& run : runs) {
        if (run.bytes <= max_bytes) {
            out.push_back(run);
            origins.push_back(element);
            element += run.count;
            continue;
        }
        for (uint64_t k = 0; k < run.count; ++k, ++element) {
            nixl_run body = element_of(run, k, 0);
            body.count = run.bytes / max_bytes;
            body.bytes = max_bytes;
            body.source_stride = body.target_stride = static_cast<int64_t>(max_bytes);
            out.push_back(body);
            origins.push_back(element);
            if (run.bytes % max_bytes != 0) {
                out.push_back(element_of(run, k, body.count * max_bytes));
                origins.push_back(element);
            }
        }
    }
    return true;
}

std::vector<uint64_t> count_first_elements(std::span<const nixl_run> runs) {
    std::vector<uint64_t> firsts;
    firsts.reserve(runs.size());
    uint64_t element = 0;
    for (const nixl_run& run : runs) {
        firsts.push_back(element);
        element += run.count;
    }
    return firsts;
}

} // namespace nixl::core
