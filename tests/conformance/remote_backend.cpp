// SPDX-License-Identifier: Apache-2.0
// One lock over everything: this is about the contract, not about speed. Work is done in poll(), so
// nothing finishes unless somebody drives.
#include "tests/conformance/remote_backend.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include <nixl/sdk/completion_ring.hpp>
#include <nixl/sdk/error_text.hpp>
#include <nixl/sdk/host.hpp>
#include <nixl/sdk/op_cursor.hpp>
#include <nixl/sdk/table.hpp>

namespace nixl::test {
namespace {

class Endpoint;

struct Exported {
    unsigned char* address;
    uint64_t bytes;
    bool read_only;
};

/// What a registration points to: memory of our own, or of a peer.
struct Reach {
    nixl_peer_id peer = 0; ///< 0: our own
    uint64_t region = 0;
};

struct Prepared {
    struct Block {
        nixl_region region;
        uint64_t offset, bytes;
    };
    std::vector<Block> blocks;
};

struct World {
    std::mutex mutex;
    uint64_t next_number = 1;
    std::map<uint64_t, Endpoint*> endpoints; ///< those that live
    std::vector<uint64_t> opened;            ///< in order
    std::set<void*> registrations;
    bool held = false;
};

World& world() {
    static World the_world;
    return the_world;
}

struct Operation {
    uint64_t tag, element;
    Reach source, target;
    unsigned char* source_base; ///< of our own memory
    unsigned char* target_base;
    uint64_t source_offset, target_offset, bytes;
    std::vector<unsigned char> message; ///< to deliver after the bytes
    nixl_peer_id message_peer = 0;
    bool moved = false;
    bool cancelled = false;
};

/// What travels as an address or an exported region: numbers and a sum over them.
struct Card {
    uint64_t magic, endpoint, region, bytes, sum;
    static constexpr uint64_t MAGIC = 0x6e69786c54455354;
    [[nodiscard]] uint64_t expected_sum() const {
        return (magic ^ endpoint * 3) + (region ^ bytes * 5) * 7 + 11;
    }
};

nixl_status write_card(Card card, void* out, uint64_t* bytes) {
    const uint64_t room = *bytes;
    *bytes = sizeof card;
    if (room < sizeof card)
        return NIXL_OUT_OF_RANGE;
    card.magic = Card::MAGIC;
    card.sum = card.expected_sum();
    std::memcpy(out, &card, sizeof card);
    return NIXL_OK;
}

bool read_card(const void* from, uint64_t bytes, Card* out) {
    if (bytes != sizeof *out)
        return false;
    std::memcpy(out, from, sizeof *out);
    return out->magic == Card::MAGIC && out->sum == out->expected_sum();
}

class Endpoint {
  public:
    static constexpr const char* NAME = "testremote";
    using Registration = Reach;
    using Prepared = test::Prepared;

    class Queue {
      public:
        Queue(Endpoint& owner, uint32_t depth, void* host_queue)
            : owner_(owner), depth_(depth == 0 ? REMOTE_DEPTH : std::min(depth, REMOTE_DEPTH)),
              host_queue_(host_queue), finished_(REMOTE_DEPTH) {
            const std::lock_guard lock(world().mutex);
            owner_.queues_.insert(this);
        }
        ~Queue() {
            const std::lock_guard lock(world().mutex);
            owner_.queues_.erase(this);
        }
        uint64_t submit(const nixl_batch& batch) noexcept;
        uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept;
        void cancel(uint64_t tag) noexcept;
        bool arm() noexcept;
        nixl_status notify(nixl_peer_id peer, const void* message, uint64_t bytes,
                           uint64_t tag) noexcept;
        void wake() { owner_.host_.wake(host_queue_); }

      private:
        void add(const nixl_batch& batch, uint64_t element);
        void advance();
        bool finish_front();
        [[nodiscard]] bool stuck() const { return operations_.empty() || world().held; }

        Endpoint& owner_;
        const uint32_t depth_;
        void* const host_queue_;
        std::deque<Operation> operations_;
        sdk::CompletionRing finished_;
        uint32_t unread_ = 0; ///< completed elements nobody polled
    };

    static nixl_status probe(const sdk::Host&, nixl_caps* out, nixl_error_text*) {
        static constexpr nixl_kind_pair PAIRS[] = {
            {NIXL_KIND_HOST, NIXL_KIND_HOST, NIXL_PAIR_SOURCE_REMOTE, 500.0, 5.0},
            {NIXL_KIND_HOST, NIXL_KIND_HOST, NIXL_PAIR_TARGET_REMOTE, 500.0, 5.0},
        };
        out->flags = NIXL_CAP_NOTIFY | NIXL_CAP_PREPARE | NIXL_CAP_CANCEL_FENCES;
        out->pairs = PAIRS;
        out->pair_count = 2;
        out->max_depth = REMOTE_DEPTH;
        out->detail = "memcpy between instances";
        return NIXL_OK;
    }

    explicit Endpoint(const sdk::Host& host) : host_(host) {
        const std::lock_guard lock(world().mutex);
        number_ = world().next_number++;
        world().endpoints[number_] = this;
        world().opened.push_back(number_);
    }
    ~Endpoint() { die(); }

    void die();
    void tell_peers(int event);
    nixl_status attach(const nixl_region_desc& desc, std::unique_ptr<Reach>* out,
                       nixl_error_text* error);
    nixl_status prepare(const nixl_region* regions, uint32_t region_count, const nixl_block* blocks,
                        uint64_t block_count, int32_t device, std::unique_ptr<Prepared>* out,
                        nixl_error_text* error);
    void detach(Reach* reach);
    nixl_status address(void* out, uint64_t* bytes) {
        return write_card({0, number_, 0, 0, 0}, out, bytes);
    }
    nixl_status connect(nixl_peer_id peer, const void* address, uint64_t bytes,
                        nixl_error_text* error);
    void disconnect(nixl_peer_id peer);
    void wake_all() {
        for (Queue* queue : queues_)
            queue->wake();
    }
    nixl_status export_region(const Reach& reach, void* out, uint64_t* bytes,
                              nixl_error_text* error);
    nixl_status import_region(nixl_peer_id peer, int32_t device, const nixl_region_desc& desc,
                              const void* exported, uint64_t bytes, void** out,
                              nixl_error_text* error);

  private:
    friend class Queue;
    nixl_status locate(const Reach& reach, unsigned char* base, uint64_t offset, uint64_t bytes,
                       unsigned char** out);
    nixl_status deliver(nixl_peer_id peer, const std::vector<unsigned char>& message);
    Endpoint* peer_of(nixl_peer_id peer);

    const sdk::Host host_;
    uint64_t number_ = 0;
    uint64_t next_region_ = 1;
    std::map<uint64_t, Exported> regions_;
    std::map<nixl_peer_id, uint64_t> peers_; ///< endpoint numbers
    std::set<Queue*> queues_;
};

// ---- Regions and peers
// ----------------------------------------------------------------------------

void Endpoint::die() {
    const std::lock_guard lock(world().mutex);
    if (world().endpoints.erase(number_) != 0)
        tell_peers(NIXL_PEER_DOWN);
}

/// With the lock of the world.
void Endpoint::tell_peers(int event) {
    for (const auto& [number, other] : world().endpoints)
        for (const auto& [peer, endpoint] : other->peers_) {
            if (endpoint != number_)
                continue;
            const nixl_host_v1& services = other->host_.services();
            if (services.peer_event != nullptr)
                services.peer_event(services.host, peer, event, 0);
            for (Queue* queue : other->queues_)
                queue->wake();
        }
}

nixl_status Endpoint::attach(const nixl_region_desc& desc, std::unique_ptr<Reach>* out,
                             nixl_error_text* error) {
    if (desc.kind != NIXL_KIND_HOST && desc.kind != NIXL_KIND_PINNED)
        return sdk::fail(error, NIXL_UNSUPPORTED, 0, "only host memory, not kind %u", desc.kind);
    const std::lock_guard lock(world().mutex);
    *out = std::make_unique<Reach>(Reach{0, next_region_++});
    regions_[(*out)->region] = {reinterpret_cast<unsigned char*>(desc.address), desc.bytes,
                                (desc.flags & NIXL_REGION_READ_ONLY) != 0};
    world().registrations.insert(out->get());
    return NIXL_OK;
}

void Endpoint::detach(Reach* reach) {
    const std::lock_guard lock(world().mutex);
    world().registrations.erase(reach);
    if (reach->peer == 0)
        regions_.erase(reach->region);
    sdk::detail::adopt<Reach>(reach);
}

nixl_status Endpoint::prepare(const nixl_region* regions, uint32_t, const nixl_block* blocks,
                              uint64_t block_count, int32_t device, std::unique_ptr<Prepared>* out,
                              nixl_error_text* error) {
    if (device != -1)
        return sdk::fail(error, NIXL_UNSUPPORTED, 0, "there is no device %d", device);
    *out = std::make_unique<Prepared>();
    for (uint64_t i = 0; i < block_count; ++i)
        for (uint64_t k = 0; k < blocks[i].count; ++k)
            (*out)->blocks.push_back(
                {regions[blocks[i].buffer],
                 blocks[i].offset + k * static_cast<uint64_t>(blocks[i].stride), blocks[i].bytes});
    return NIXL_OK;
}

nixl_status Endpoint::connect(nixl_peer_id peer, const void* address, uint64_t bytes,
                              nixl_error_text* error) {
    Card card;
    if (!read_card(address, bytes, &card))
        return sdk::fail(error, NIXL_CORRUPT, 0, "the address fails its check");
    const std::lock_guard lock(world().mutex);
    if (world().endpoints.count(card.endpoint) == 0)
        return sdk::fail(error, NIXL_DISCONNECTED, 0, "nobody listens there any more");
    peers_[peer] = card.endpoint;
    return NIXL_OK;
}

void Endpoint::disconnect(nixl_peer_id peer) {
    const std::lock_guard lock(world().mutex);
    peers_.erase(peer);
    for (Queue* queue : queues_)
        queue->wake();
}

Endpoint* Endpoint::peer_of(nixl_peer_id peer) {
    const auto known = peers_.find(peer);
    if (known == peers_.end())
        return nullptr;
    const auto living = world().endpoints.find(known->second);
    return living == world().endpoints.end() ? nullptr : living->second;
}

nixl_status Endpoint::export_region(const Reach& reach, void* out, uint64_t* bytes,
                                    nixl_error_text* error) {
    const std::lock_guard lock(world().mutex);
    if (reach.peer != 0)
        return sdk::fail(error, NIXL_UNSUPPORTED, 0, "a peer's region cannot be exported again");
    return write_card({0, number_, reach.region, regions_.at(reach.region).bytes, 0}, out, bytes);
}

nixl_status Endpoint::import_region(nixl_peer_id peer, int32_t device, const nixl_region_desc& desc,
                                    const void* exported, uint64_t bytes, void** out,
                                    nixl_error_text* error) {
    Card card;
    if (!read_card(exported, bytes, &card) || card.bytes != desc.bytes)
        return sdk::fail(error, NIXL_CORRUPT, 0, "the exported region fails its check");
    if (device != -1)
        return sdk::fail(error, NIXL_UNSUPPORTED, 0, "there is no device %d to map it for", device);
    const std::lock_guard lock(world().mutex);
    const Endpoint* const owner = peer_of(peer);
    if (owner == nullptr || owner->number_ != card.endpoint)
        return sdk::fail(error, NIXL_DISCONNECTED, 0, "its owner is not peer %u", peer);
    if (owner->regions_.count(card.region) == 0)
        return sdk::fail(error, NIXL_STALE, 0, "its owner has taken the region back");
    auto made = std::make_unique<Reach>(Reach{peer, card.region});
    world().registrations.insert(made.get());
    *out = made.release();
    return NIXL_OK;
}

/// Where the bytes are, or why they cannot be reached.
nixl_status Endpoint::locate(const Reach& reach, unsigned char* base, uint64_t offset,
                             uint64_t bytes, unsigned char** out) {
    if (reach.peer == 0) {
        *out = base + offset;
        return NIXL_OK;
    }
    Endpoint* const owner = peer_of(reach.peer);
    if (owner == nullptr)
        return NIXL_DISCONNECTED;
    const auto found = owner->regions_.find(reach.region);
    if (found == owner->regions_.end())
        return NIXL_STALE;
    if (offset > found->second.bytes || bytes > found->second.bytes - offset)
        return NIXL_OUT_OF_RANGE;
    *out = found->second.address + offset;
    return NIXL_OK;
}

nixl_status Endpoint::deliver(nixl_peer_id peer, const std::vector<unsigned char>& message) {
    Endpoint* const target = peer_of(peer);
    if (target == nullptr)
        return NIXL_DISCONNECTED;
    for (const auto& [id, endpoint] : target->peers_) {
        const nixl_host_v1& services = target->host_.services();
        if (endpoint == number_ && services.notified != nullptr)
            return services.notified(services.host, id, message.data(), message.size());
    }
    return NIXL_DISCONNECTED; // it does not know us
}

// ---- Queues
// ---------------------------------------------------------------------------------------

void Endpoint::Queue::add(const nixl_batch& batch, uint64_t element) {
    Operation operation{};
    operation.tag = batch.tag;
    operation.element = element;
    nixl_region source{}, target{};
    if (batch.runs != nullptr) {
        sdk::OpCursor at(batch);
        at.skip(element - batch.first_element);
        source = at.pair().source;
        target = at.pair().target;
        operation.source_offset = at.source_offset();
        operation.target_offset = at.target_offset();
        operation.bytes = at.bytes();
    } else {
        const bool by_index = batch.source_indices != nullptr;
        const auto& from = static_cast<Prepared*>(batch.prepared_source)
                               ->blocks[by_index ? batch.source_indices[element] : element];
        const auto& to = static_cast<Prepared*>(batch.prepared_target)
                             ->blocks[by_index ? batch.target_indices[element] : element];
        source = from.region;
        target = to.region;
        operation.source_offset = from.offset;
        operation.target_offset = to.offset;
        operation.bytes = from.bytes;
    }
    operation.source = *static_cast<Reach*>(source.registration);
    operation.target = *static_cast<Reach*>(target.registration);
    operation.source_base = static_cast<unsigned char*>(source.base);
    operation.target_base = static_cast<unsigned char*>(target.base);
    operations_.push_back(std::move(operation));
}

uint64_t Endpoint::Queue::submit(const nixl_batch& batch) noexcept {
    const std::lock_guard lock(world().mutex);
    const uint64_t used = operations_.size() + unread_;
    const uint64_t accepted =
        std::min<uint64_t>(batch.element_count, depth_ - std::min<uint64_t>(used, depth_));
    for (uint64_t i = 0; i < accepted; ++i)
        add(batch, batch.first_element + i);
    return accepted;
}

nixl_status Endpoint::Queue::notify(nixl_peer_id peer, const void* message, uint64_t bytes,
                                    uint64_t tag) noexcept {
    const std::lock_guard lock(world().mutex);
    if (operations_.size() + unread_ >= depth_)
        return NIXL_AGAIN;
    if (owner_.peer_of(peer) == nullptr)
        return NIXL_DISCONNECTED;
    Operation operation{};
    operation.tag = tag;
    operation.moved = true;
    const auto* const text = static_cast<const unsigned char*>(message);
    operation.message.assign(text, text + bytes);
    operation.message_peer = peer;
    operations_.push_back(std::move(operation));
    return NIXL_OK;
}

/// False when it has to stay: its peer takes no notification now.
bool Endpoint::Queue::finish_front() {
    Operation& front = operations_.front();
    unsigned char *from = nullptr, *to = nullptr;
    nixl_status status = front.cancelled ? NIXL_CANCELLED : NIXL_OK;
    if (status == NIXL_OK && !front.moved) {
        status =
            owner_.locate(front.source, front.source_base, front.source_offset, front.bytes, &from);
        if (status == NIXL_OK)
            status = owner_.locate(front.target, front.target_base, front.target_offset,
                                   front.bytes, &to);
        if (status == NIXL_OK)
            std::memmove(to, from, front.bytes);
        front.moved = status == NIXL_OK;
    }
    if (status == NIXL_OK && front.message_peer != 0) {
        const nixl_status delivered = owner_.deliver(front.message_peer, front.message);
        if (delivered == NIXL_AGAIN)
            return false;
        status = delivered;
    }
    if (status == NIXL_OK)
        finished_.add_whole(sdk::whole(front.tag, front.element, 1, front.bytes));
    else
        finished_.add_single(sdk::failed(front.tag, front.element, 1, status, 0));
    ++unread_;
    operations_.pop_front();
    return true;
}

void Endpoint::Queue::advance() {
    const auto ended = [this](const Operation& operation) {
        const auto gone = [this](nixl_peer_id peer) {
            return peer != 0 && owner_.peer_of(peer) == nullptr;
        };
        return operation.cancelled || gone(operation.source.peer) || gone(operation.target.peer) ||
               gone(operation.message_peer);
    };
    // Cancelled and disconnected work ends even while the rest is held.
    std::deque<Operation> kept;
    while (world().held && !operations_.empty()) {
        if (ended(operations_.front())) {
            finish_front();
            continue;
        }
        kept.push_back(std::move(operations_.front()));
        operations_.pop_front();
    }
    if (world().held)
        operations_ = std::move(kept);
    constexpr int ELEMENTS_PER_POLL = 16;
    for (int i = 0; i < ELEMENTS_PER_POLL && !stuck() && finish_front();)
        ++i;
}

uint32_t Endpoint::Queue::poll(nixl_completion* out, uint32_t capacity) noexcept {
    const std::lock_guard lock(world().mutex);
    advance();
    const uint32_t count = finished_.take(out, capacity);
    for (uint32_t i = 0; i < count; ++i)
        unread_ -= static_cast<uint32_t>(out[i].element_count);
    return count;
}

void Endpoint::Queue::cancel(uint64_t tag) noexcept {
    const std::lock_guard lock(world().mutex);
    for (Operation& operation : operations_)
        operation.cancelled = operation.cancelled || (operation.tag == tag && !operation.moved);
}

bool Endpoint::Queue::arm() noexcept {
    const std::lock_guard lock(world().mutex);
    const bool ended = std::any_of(operations_.begin(), operations_.end(),
                                   [](const Operation& each) { return each.cancelled; });
    return finished_.empty() && stuck() && !ended;
}

} // namespace

// ---- Control by tests
// -----------------------------------------------------------------------------

void RemoteWorld::hold(bool on) {
    const std::lock_guard lock(world().mutex);
    world().held = on;
    for (const auto& [number, endpoint] : world().endpoints)
        endpoint->wake_all();
}

namespace {

/// With the lock of the world. NULL: it does not live.
Endpoint* opened_before(unsigned back) {
    if (back >= world().opened.size())
        return nullptr;
    const auto found = world().endpoints.find(*(world().opened.rbegin() + back));
    return found == world().endpoints.end() ? nullptr : found->second;
}

} // namespace

void RemoteWorld::kill_latest(unsigned back) {
    Endpoint* victim = nullptr;
    {
        const std::lock_guard lock(world().mutex);
        victim = opened_before(back);
    }
    if (victim != nullptr)
        victim->die();
}

void RemoteWorld::tell(int event, unsigned back) {
    const std::lock_guard lock(world().mutex);
    if (Endpoint* const teller = opened_before(back); teller != nullptr)
        teller->tell_peers(event);
}

uint64_t RemoteWorld::objects() {
    const std::lock_guard lock(world().mutex);
    return world().endpoints.size() + world().registrations.size();
}

} // namespace nixl::test

extern "C" nixl_status nixl_backend_entry_remote(const nixl_host_v1* host, nixl_backend_v1* out) {
    using nixl::test::Endpoint;
    const nixl_status status = nixl::sdk::fill_table<Endpoint>(host, out);
    if (status != NIXL_OK || out->struct_size < sizeof *out)
        return status;
    using nixl::test::Reach;
    static const auto of = [](void* instance) -> Endpoint& {
        return *static_cast<Endpoint*>(instance);
    };
    out->detach = [](void* instance, void* registration) {
        of(instance).detach(static_cast<Reach*>(registration));
    };
    out->address = [](void* instance, void* bytes, uint64_t* count, nixl_error_text*) {
        return of(instance).address(bytes, count);
    };
    out->connect = [](void* instance, nixl_peer_id peer, const void* address, uint64_t bytes,
                      nixl_error_text* error) {
        return of(instance).connect(peer, address, bytes, error);
    };
    out->disconnect = [](void* instance, nixl_peer_id peer) { of(instance).disconnect(peer); };
    out->export_region = [](void* instance, void* registration, void* bytes, uint64_t* count,
                            nixl_error_text* error) {
        return of(instance).export_region(*static_cast<Reach*>(registration), bytes, count, error);
    };
    out->import_region = [](void* instance, nixl_peer_id peer, int32_t device,
                            const nixl_region_desc* desc, const void* exported, uint64_t bytes,
                            void** registration, nixl_error_text* error) {
        return of(instance).import_region(peer, device, *desc, exported, bytes, registration,
                                          error);
    };
    return NIXL_OK;
}
