// SPDX-License-Identifier: Apache-2.0
// HOT
#include "gather.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "entry_list.h"

namespace nixl::core::cuda {
namespace {

/// Elements of one run that are worth a launch of their own: no table is written for them.
constexpr uint64_t LONG_RUN = 2048;
/// Of one launch, so that a batch ends in steps.
constexpr uint64_t FLIGHT_BYTES = uint64_t{1} << 30;
/// What an idle line starts with: the host goes on writing while the GPU copies. Four times as much
/// with every launch that is under way.
constexpr uint64_t FIRST_ENTRIES = 512, FIRST_INDICES = 4096;

uint64_t limit(const Line& line, uint64_t first) noexcept {
    return first << std::min<uint32_t>(2 * line.flights(), 16);
}

/// Puts one flight together.
class Gathering {
  public:
    Gathering(Line& line, Flight& flight, Elements& at, const GatherOptions& options) noexcept
        : line_(line), flight_(flight), at_(at), options_(options),
          for_bulk_(options.for_bulk && line.gpu().kernels.has_bulk()) {}

    bool put() noexcept;
    [[nodiscard]] bool needs_table() const noexcept {
        return !goes_as_run() && !(goes_as_lists() && at_.source_indices() == nullptr);
    }

  private:
    [[nodiscard]] bool goes_as_run() const noexcept;
    [[nodiscard]] bool goes_as_lists() const noexcept;
    void put_run() noexcept;
    void put_lists() noexcept;
    void put_indexed() noexcept;
    void put_listed() noexcept;
    void list_some(EntryList& entries) noexcept;
    bool list_single_runs(const Piece& piece, uint64_t room, EntryList& entries) noexcept;
    CuResult launch_listed(EntryList& entries) noexcept;
    CuResult launch_indexed(CopyList list) noexcept;
    CuResult launch(const CopyList& list, bool aligned) noexcept {
        return aligned && for_bulk_ ? line_.run_bulk(flight_, list, options_.sm_budget)
                                    : line_.run_plain(flight_, list, options_.sm_budget);
    }
    /// Whether elements can be copied aligned in the main, but not as they are: these are listed,
    /// with heads and tails.
    [[nodiscard]] bool has_ends(uint64_t source, uint64_t target, uint64_t bytes) const noexcept {
        return for_bulk_ && EntryList::is_in_step(source, target, bytes) &&
               !EntryList::is_aligned(source, target, bytes);
    }
    [[nodiscard]] CuResult check_alive(std::span<const Region* const> regions) const noexcept {
        return cuda::check_alive(line_.gpu(), regions, options_.occasion);
    }
    [[nodiscard]] CuResult check_alive(const Piece& piece) const noexcept {
        const Region* const both[] = {piece.source_region, piece.target_region};
        return check_alive(both);
    }
    [[nodiscard]] CuResult check_lists_alive() const noexcept {
        const CuResult source = check_alive(at_.source_list().regions());
        return source == CuResult::SUCCESS ? check_alive(at_.target_list().regions()) : source;
    }
    /// The next `count` elements, of `bytes` each, are on the line, or `why` not.
    void end(uint64_t count, uint64_t bytes, CuResult why) noexcept;

    Line& line_;
    Flight& flight_;
    Elements& at_;
    const GatherOptions& options_;
    const bool for_bulk_;
    CuResult why_ended_ = CuResult::SUCCESS; ///< of a list before its first element
};

bool Gathering::put() noexcept {
    if (goes_as_run()) {
        put_run();
        return true;
    }
    const bool as_lists = goes_as_lists();
    if (as_lists && at_.source_indices() == nullptr) {
        put_lists();
        return true;
    }
    if (!line_.take_table(flight_))
        return false;
    if (as_lists)
        put_indexed();
    else
        put_listed();
    return true;
}

void Gathering::end(uint64_t count, uint64_t bytes, CuResult why) noexcept {
    at_.skip(count);
    flight_.why = why;
    if (why == CuResult::SUCCESS) {
        flight_.element_count = count;
        flight_.bytes = count * bytes;
    } else {
        flight_.failed_count = count;
    }
}

// ---- A run, as it is -------------------------------------------------------------------------

bool Gathering::goes_as_run() const noexcept {
    const Piece piece = at_.here();
    if (piece.bytes > LONG_ELEMENT)
        return true;
    if (at_.of_lists() || at_.left_in_run() < LONG_RUN)
        return false;
    const uint64_t strides = strides_of(at_.run());
    return !has_ends(piece.source | strides, piece.target | strides, piece.bytes);
}

/// Of lists one element.
void Gathering::put_run() noexcept {
    const Piece piece = at_.here();
    const nixl_run one{0, 0, piece.bytes, 0, 0, 1, 0, 0};
    const nixl_run& run = at_.of_lists() ? one : at_.run();
    const uint64_t strides = strides_of(run), left = at_.of_lists() ? 1 : at_.left_in_run();
    CopyList list{};
    list.source = {piece.source, run.source_stride, nullptr, nullptr};
    list.target = {piece.target, run.target_stride, nullptr, nullptr};
    list.bytes = piece.bytes;
    list.count = std::min(left, std::max<uint64_t>(FLIGHT_BYTES / piece.bytes, 1));
    const bool aligned =
        EntryList::is_aligned(piece.source | strides, piece.target | strides, piece.bytes);
    const CuResult alive = check_alive(piece);
    end(list.count, list.bytes, alive == CuResult::SUCCESS ? launch(list, aligned) : alive);
}

// ---- Prepared lists, whole or by index -------------------------------------------------------

bool Gathering::goes_as_lists() const noexcept {
    if (!at_.of_lists())
        return false;
    const Prepared &source = at_.source_list(), &target = at_.target_list();
    ListSide side;
    return source.bytes() != 0 && source.bytes() == target.bytes() &&
           source.side_for(line_.gpu(), &side) && target.side_for(line_.gpu(), &side) &&
           !has_ends(source.address_bits(), target.address_bits(), source.bytes());
}

/// Both sides from the block of this number on.
CopyList list_from(const Gpu& gpu, const Elements& at, uint64_t number) noexcept {
    CopyList list{};
    (void)at.source_list().side_for(gpu, &list.source);
    (void)at.target_list().side_for(gpu, &list.target);
    for (ListSide* const side : {&list.source, &list.target})
        if (side->addresses != nullptr)
            side->addresses += number;
        else
            side->base += number * static_cast<uint64_t>(side->stride);
    list.bytes = at.source_list().bytes();
    list.count = std::min(at.left(), std::max<uint64_t>(FLIGHT_BYTES / list.bytes, 1));
    return list;
}

bool are_lists_aligned(const Elements& at, uint64_t bytes) noexcept {
    return EntryList::is_aligned(at.source_list().address_bits(), at.target_list().address_bits(),
                                 bytes);
}

void Gathering::put_lists() noexcept {
    const CopyList list = list_from(line_.gpu(), at_, at_.element());
    const CuResult alive = check_lists_alive();
    end(list.count, list.bytes,
        alive == CuResult::SUCCESS ? launch(list, are_lists_aligned(at_, list.bytes)) : alive);
}

void Gathering::put_indexed() noexcept {
    CopyList list = list_from(line_.gpu(), at_, 0);
    list.count =
        std::min({list.count, Table::BYTES / (2 * sizeof(uint32_t)), limit(line_, FIRST_INDICES)});
    const CuResult alive = check_lists_alive();
    end(list.count, list.bytes, alive == CuResult::SUCCESS ? launch_indexed(list) : alive);
}

CuResult Gathering::launch_indexed(CopyList list) noexcept {
    const uint64_t bytes = list.count * sizeof(uint32_t);
    std::memcpy(flight_.table->host, at_.source_indices(), bytes);
    std::memcpy(flight_.table->host + bytes, at_.target_indices(), bytes);
    Address table = 0;
    const CuResult result = line_.upload(flight_, 2 * bytes, &table);
    list.source.index = reinterpret_cast<const uint32_t*>(table);
    list.target.index = list.source.index + list.count;
    return result == CuResult::SUCCESS ? launch(list, are_lists_aligned(at_, list.bytes)) : result;
}

// ---- Anything else, element by element -------------------------------------------------------

/// Ends before an element that does not fit, one that goes as a run, and one whose memory is gone.
void Gathering::list_some(EntryList& entries) noexcept {
    const uint64_t most = limit(line_, FIRST_ENTRIES), first = at_.element();
    const Region *source_alive = nullptr, *target_alive = nullptr;
    while (!at_.done() && flight_.bytes < FLIGHT_BYTES && entries.size() < most) {
        const Piece piece = at_.here();
        if (!entries.has_room_for(piece.bytes) || goes_as_run())
            break;
        if (piece.source_region != source_alive || piece.target_region != target_alive) {
            why_ended_ = check_alive(piece);
            if (why_ended_ != CuResult::SUCCESS)
                break;
            source_alive = piece.source_region;
            target_alive = piece.target_region;
        }
        if (list_single_runs(piece, most - entries.size(), entries))
            continue;
        entries.add(piece.source, piece.target, piece.bytes);
        flight_.bytes += piece.bytes;
        at_.next();
    }
    flight_.element_count = at_.element() - first;
}

/// The usual case in a loop of its own: short aligned elements, a run each. False: it is not that.
bool Gathering::list_single_runs(const Piece& piece, uint64_t room, EntryList& entries) noexcept {
    if (at_.of_lists() || at_.run().count != 1)
        return false;
    const nixl_run& run = at_.run();
    const uint64_t most = std::min(at_.left(), room);
    const uint64_t listed =
        entries.add_single_runs(&run, most, piece.source - run.source_offset,
                                piece.target - run.target_offset, &flight_.bytes);
    if (listed != 0)
        at_.skip_single_runs(listed);
    return listed != 0;
}

CuResult Gathering::launch_listed(EntryList& entries) noexcept {
    entries.close();
    Address table = 0;
    CuResult result = line_.upload(flight_, entries.size() * sizeof(ListEntry), &table);
    CopyList list{};
    list.entries = reinterpret_cast<const ListEntry*>(table);
    list.count = entries.front_count();
    if (result == CuResult::SUCCESS && list.count != 0)
        result = launch(list, true);
    list.entries += entries.front_count();
    list.count = entries.back_count();
    if (result == CuResult::SUCCESS && list.count != 0)
        result = launch(list, false);
    return result;
}

void Gathering::put_listed() noexcept {
    EntryList entries(flight_.table->host, Table::BYTES, for_bulk_);
    list_some(entries);
    if (flight_.element_count == 0) // there is always room for one
        return end(1, 0, why_ended_);
    flight_.why = launch_listed(entries);
    if (flight_.why == CuResult::SUCCESS)
        return;
    flight_.failed_count = flight_.element_count; // perhaps moved in part
    flight_.element_count = flight_.bytes = 0;
}

} // namespace

bool needs_table(Line& line, Elements& at, const GatherOptions& options) noexcept {
    return Gathering(line, line.next(), at, options).needs_table();
}

bool gather_some(Line& line, Flight& flight, Elements& at, const GatherOptions& options) noexcept {
    return Gathering(line, flight, at, options).put();
}

} // namespace nixl::core::cuda
