// SPDX-License-Identifier: Apache-2.0
// The figures of the cost model, their names in files, and what is built in. The backend reads such
// files and nixl-info writes them, so this includes nothing of either.
#pragma once

namespace nixl::core::cuda {

/// Of one way that bytes go. "On one": by one multiprocessor alone.
struct WayCosts {
    double copy_bytes_per_ns;  ///< of copy engines
    double copy_ns;            ///< each copy more: the driver's call and the engine's own time
    double bulk_bytes_per_ns;  ///< of the bulk kernel with as many multiprocessors as it takes
    double plain_bytes_per_ns; ///< of the plain one ...
    double plain_element_ns;   ///< ... on one: each element at least ...
    double plain_on_one_bytes_per_ns; ///< ... and its bytes
};

/// What choose() goes by; the model is in choice.cpp.
struct CostTable {
    WayCosts in, out, within, written, read; ///< between GPUs: at the source's kernel, the target's
    double copy_start_ns;
    double kernel_start_ns;
    double listed_ns;                ///< each element, on the host
    double bulk_chunk_ns;            ///< the bulk kernel on one: each BULK_CHUNK_BYTES or less ...
    double bulk_on_one_bytes_per_ns; ///< ... and its bytes
};

inline constexpr double BULK_CHUNK_BYTES = 4096; ///< BulkShape's

/// Measured on H200, driver 580; see docs/decisions/0012-scattered-on-gpus.md.
inline constexpr CostTable BUILT_IN_COSTS = {{55.0, 2'600, 51.2, 51.1, 105, 26.0},   // in
                                             {55.0, 2'150, 52.4, 52.4, 47, 26.0},    // out
                                             {1'350.0, 4'100, 1'930, 1'910, 50, 47}, // within
                                             {390.0, 1'900, 343.0, 355.0, 49, 47.0}, // written
                                             {390.0, 1'900, 369.0, 368.0, 86, 40.0}, // read
                                             4'500,
                                             11'000,
                                             3,
                                             53,
                                             132.0};

/// A figure as files have it.
template <typename Owner> struct Figure {
    const char* name;
    double Owner::*value;
    double most; ///< more is absurd, as is less than LEAST_FIGURE
};
struct NamedWay {
    const char* name;
    WayCosts CostTable::*costs;
};

inline constexpr double LEAST_FIGURE = 1e-3, MOST_RATE = 1e5, MOST_TIME = 1e9;
inline constexpr NamedWay NAMED_WAYS[] = {{"host_to_gpu", &CostTable::in},
                                          {"gpu_to_host", &CostTable::out},
                                          {"within_gpu", &CostTable::within},
                                          {"gpu_to_gpu_written", &CostTable::written},
                                          {"gpu_to_gpu_read", &CostTable::read}};
inline constexpr Figure<CostTable> COMMON_FIGURES[] = {
    {"copy_start_ns", &CostTable::copy_start_ns, MOST_TIME},
    {"kernel_start_ns", &CostTable::kernel_start_ns, MOST_TIME},
    {"listed_ns", &CostTable::listed_ns, MOST_TIME},
    {"bulk_chunk_ns", &CostTable::bulk_chunk_ns, MOST_TIME},
    {"bulk_on_one_bytes_per_ns", &CostTable::bulk_on_one_bytes_per_ns, MOST_RATE}};
inline constexpr Figure<WayCosts> WAY_FIGURES[] = {
    {"copy_bytes_per_ns", &WayCosts::copy_bytes_per_ns, MOST_RATE},
    {"copy_ns", &WayCosts::copy_ns, MOST_TIME},
    {"bulk_bytes_per_ns", &WayCosts::bulk_bytes_per_ns, MOST_RATE},
    {"plain_bytes_per_ns", &WayCosts::plain_bytes_per_ns, MOST_RATE},
    {"plain_element_ns", &WayCosts::plain_element_ns, MOST_TIME},
    {"plain_on_one_bytes_per_ns", &WayCosts::plain_on_one_bytes_per_ns, MOST_RATE}};

inline constexpr const char* COSTS_FORMAT = "nixl GPU costs"; ///< what such a file calls itself
inline constexpr unsigned COSTS_VERSION = 1;

/// False also for what is no number.
inline constexpr bool is_sane(double value, double most) noexcept {
    return value >= LEAST_FIGURE && value <= most;
}

/// visit(way, figure's name, value, most); the way is "" for what all have in common.
template <typename Table, typename Visit> void for_each_figure(Table& table, Visit visit) {
    for (const auto& figure : COMMON_FIGURES)
        visit("", figure.name, table.*figure.value, figure.most);
    for (const NamedWay& way : NAMED_WAYS)
        for (const auto& figure : WAY_FIGURES)
            visit(way.name, figure.name, (table.*way.costs).*figure.value, figure.most);
}

} // namespace nixl::core::cuda
