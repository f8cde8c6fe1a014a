// SPDX-License-Identifier: Apache-2.0
#include "nixl-info/cost_fit.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace nixl::tools {

namespace {

using namespace core::cuda;

constexpr std::uint64_t KIB = 1024;
constexpr std::uint64_t COPIES = 256, COPY_BYTES = 4 * KIB;
constexpr std::uint64_t MANY = 8192, FEW_OF = 16; ///< elements, and by how much fewer are fewer
constexpr std::uint64_t TINY = 16, UNIT = 16 * KIB, LONG = 256 * KIB;
constexpr double UNKNOWN = std::numeric_limits<double>::quiet_NaN(); // and what follows from it

/// time = at_few + (elements - few) * each
struct Slope {
    double at_few, few, each;
    [[nodiscard]] double start() const { return at_few - few * each; }
};

double median(std::vector<double> values) {
    values.erase(
        std::remove_if(values.begin(), values.end(), [](double value) { return !(value > 0); }),
        values.end());
    if (values.empty())
        return UNKNOWN;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

class Fit {
  public:
    Fit(const TimeCosts& time, std::uint32_t multiprocessors, std::uint64_t large_bytes)
        : time_(time), multiprocessors_(multiprocessors), large_bytes_(large_bytes) {}

    FittedCosts run() {
        for (const NamedWay& way : NAMED_WAYS) {
            way_ = &way;
            why_not_.clear();
            fit_copies();
            fit_plain();
            fit_bulk();
        }
        way_ = nullptr;
        set(COMMON_FIGURES, &CostTable::copy_start_ns, fitted_.table, median(copy_starts_));
        set(COMMON_FIGURES, &CostTable::kernel_start_ns, fitted_.table, median(kernel_starts_));
        set(COMMON_FIGURES, &CostTable::listed_ns, fitted_.table, median(listed_));
        return std::move(fitted_);
    }

  private:
    double time(CostEngine engine, bool on_one, std::uint64_t elements, std::uint64_t bytes_each) {
        CostTime timed = time_({way_, engine, on_one, elements, bytes_each});
        if (timed.why_not.empty())
            return timed.ns;
        why_not_ = std::move(timed.why_not);
        return UNKNOWN;
    }
    Slope slope(CostEngine engine, bool on_one, std::uint64_t many, std::uint64_t bytes_each) {
        const std::uint64_t few = many / FEW_OF;
        const double at_few = time(engine, on_one, few, bytes_each);
        const double at_many = time(engine, on_one, many, bytes_each);
        return {at_few, static_cast<double>(few),
                (at_many - at_few) / static_cast<double>(many - few)};
    }

    template <typename Figures, typename Owner>
    void set(const Figures& figures, double Owner::*figure, Owner& owner, double value) {
        for (const auto& one : figures) {
            if (one.value != figure)
                continue;
            if (is_sane(value, one.most))
                owner.*figure = value;
            else
                fitted_.kept[full_name(way_ != nullptr ? way_->name : "", one.name)] =
                    std::isnan(value) && !why_not_.empty() ? why_not_
                                                           : "does not show in the times";
        }
    }
    void set(double WayCosts::*figure, double value) {
        set(WAY_FIGURES, figure, fitted_.table.*way_->costs, value);
    }

    void fit_copies();
    void fit_plain();
    void fit_bulk();
    /// Of a kernel with all multiprocessors.
    double rate(CostEngine kernel) {
        const Slope slope_long = slope(kernel, false, large_bytes_ / LONG, LONG);
        return static_cast<double>(LONG) / (slope_long.each - way_listed_);
    }

    const TimeCosts& time_;
    const double multiprocessors_;
    const std::uint64_t large_bytes_;
    FittedCosts fitted_;
    const NamedWay* way_ = nullptr;
    double way_listed_ = 0; // what listing an element takes, of this way
    std::string why_not_;   // what the last time of this way is missing for
    std::vector<double> copy_starts_, kernel_starts_, listed_;
};

void Fit::fit_copies() {
    const double one = time(CostEngine::COPY, false, 1, COPY_BYTES);
    const double many = time(CostEngine::COPY, false, COPIES, COPY_BYTES);
    const double large = time(CostEngine::COPY, false, 1, large_bytes_);
    const double bytes_per_ns = static_cast<double>(large_bytes_ - COPY_BYTES) / (large - one);
    const double bytes_ns = static_cast<double>(COPY_BYTES) / bytes_per_ns;
    const double copy_ns = (many - one) / static_cast<double>(COPIES - 1) - bytes_ns;
    set(&WayCosts::copy_bytes_per_ns, bytes_per_ns);
    set(&WayCosts::copy_ns, copy_ns);
    copy_starts_.push_back(one - copy_ns - bytes_ns);
}

/// What the host lists takes as long on one multiprocessor as on all.
void Fit::fit_plain() {
    const Slope on_all = slope(CostEngine::PLAIN, false, MANY, TINY);
    const Slope on_one = slope(CostEngine::PLAIN, true, MANY, TINY);
    const double element_ns =
        (on_one.each - on_all.each) * multiprocessors_ / (multiprocessors_ - 1);
    const double listed_ns = on_one.each - element_ns;
    way_listed_ = listed_ns > 0 ? listed_ns : 0;
    listed_.push_back(listed_ns);
    kernel_starts_.push_back(on_all.start());
    set(&WayCosts::plain_element_ns, element_ns);
    const Slope units = slope(CostEngine::PLAIN, true, MANY / 8, UNIT);
    set(&WayCosts::plain_on_one_bytes_per_ns,
        static_cast<double>(UNIT) / (units.each - way_listed_));
    set(&WayCosts::plain_bytes_per_ns, rate(CostEngine::PLAIN));
}

/// What one multiprocessor does shows where no link is in the way.
void Fit::fit_bulk() {
    set(&WayCosts::bulk_bytes_per_ns, rate(CostEngine::BULK));
    if (way_->costs != &CostTable::within)
        return;
    const double tiny = slope(CostEngine::BULK, true, MANY, TINY).each;
    const double chunk = slope(CostEngine::BULK, true, MANY / 8, COPY_BYTES).each;
    const double bytes_per_ns = static_cast<double>(COPY_BYTES - TINY) / (chunk - tiny);
    const double chunk_ns = tiny - way_listed_ - static_cast<double>(TINY) / bytes_per_ns;
    const NamedWay* const way = std::exchange(way_, nullptr); // they are of no way
    set(COMMON_FIGURES, &CostTable::bulk_on_one_bytes_per_ns, fitted_.table, bytes_per_ns);
    set(COMMON_FIGURES, &CostTable::bulk_chunk_ns, fitted_.table, chunk_ns);
    way_ = way;
}

} // namespace

std::string full_name(const std::string& way, const std::string& figure) {
    return way.empty() ? figure : way + "." + figure;
}

FittedCosts fit_costs(const TimeCosts& time, std::uint32_t multiprocessors,
                      std::uint64_t large_bytes) {
    return Fit(time, multiprocessors, large_bytes).run();
}

} // namespace nixl::tools
