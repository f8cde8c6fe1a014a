// SPDX-License-Identifier: Apache-2.0
// HOT
#if NIXL_HAVE_IO_URING // else there is nothing to compile
#include "uring_queue.h"

#include <algorithm>
#include <cerrno>

#include "blocking_calls.h"
#include "options.h"
#include "ring_tables.h"

namespace nixl::core::posix {
namespace {

constexpr uint64_t CANCEL_RESULT = UINT64_MAX; // user_data of cancel requests

// The part of what is in the kernel whose results end assist(). More would leave the device idle: a
// sixteenth cost 2 % of the rate, and saved no processor time beside this.
constexpr uint32_t ASSIST_PART_OF_DEPTH = 64;

// Operations given to the kernel by one call. It starts the device when it has taken the last one,
// so a full queue in one call leaves the device idle for as long as the call takes.
constexpr uint32_t SUBMIT_OPS = 8;

/// Owns a ring.
class Ring {
  public:
    Ring() = default;
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() {
        if (open_)
            io_uring_queue_exit(&ring_);
    }
    /// Errors: that of the system call, named.
    Result<void> open(uint32_t entries) {
        // No SINGLE_ISSUER, DEFER_TASKRUN or COOP_TASKRUN: threads take turns at driving a queue,
        // and results must not depend on the one that submitted entering the kernel again.
        io_uring_params params = {};
        params.flags = IORING_SETUP_CLAMP;
        const int result = io_uring_queue_init_params(entries, &ring_, &params);
        open_ = result == 0;
        if (!open_)
            return Error::system("io_uring_setup", -result);
        // Sandboxes may forbid this call alone. A request that does nothing shows it.
        io_uring_prep_nop(io_uring_get_sqe(&ring_));
        io_uring_cqe* done = nullptr;
        int entered = io_uring_submit_and_wait(&ring_, 1);
        while (entered == -EINTR)
            entered = io_uring_submit_and_wait(&ring_, 1);
        if (entered < 0)
            return Error::system("io_uring_enter", -entered);
        if (io_uring_peek_cqe(&ring_, &done) == 0)
            io_uring_cqe_seen(&ring_, done);
        return {};
    }
    io_uring& get() noexcept { return ring_; }

  private:
    io_uring ring_ = {};
    bool open_ = false;
};

class UringQueue final : public Queue {
  public:
    explicit UringQueue(const QueueParts& parts)
        : host_(parts.host),
          flow_(parts.depth_ops, parts.options.merge_bytes, parts.waiting, parts.number),
          calls_(parts.host, parts.host_queue, parts.pool, flow_.operation_count()),
          pinned_bytes_limit_(parts.options.pinned_bytes) {}
    ~UringQueue() override;

    Result<void> open();
    uint64_t submit(const nixl_batch& batch) noexcept override;
    uint32_t poll(nixl_completion* out, uint32_t capacity) noexcept override;
    void cancel(uint64_t tag) noexcept override;
    bool arm() noexcept override;
    int fd() noexcept override { return ring_.get().ring_fd; }
    int assist() noexcept override;
    void attached(const Region& region) noexcept override { tables_->add_files(region); }
    void detaching(const Region& region) noexcept override { tables_->remove(region); }

  private:
    void raise_worker_limit() noexcept;
    uint32_t reap(Sink& sink) noexcept; ///< results
    void refill() noexcept;
    bool enter() noexcept;
    void take_back(int error) noexcept;
    void prepare(const Operation& operation) noexcept;

    const sdk::Host& host_;
    Ring ring_;
    Flow flow_;
    BlockingCalls calls_; // what takes turns
    const uint64_t pinned_bytes_limit_;
    std::unique_ptr<RingTables> tables_;
    uint32_t cancels_ = 0; // cancel requests whose answers are still to come
};

Result<void> UringQueue::open() {
    // Room for one operation and one cancel request each; the completion ring is twice as large, so
    // it cannot overflow.
    auto opened = ring_.open(2 * flow_.operation_count());
    if (!opened.ok()) {
        opened.error().hint = "posix.engine=threads works without io_uring";
        return opened;
    }
    raise_worker_limit();
    // allow(hot): once, when the queue is opened
    tables_ = std::make_unique<RingTables>(ring_.get(), pinned_bytes_limit_);
    return {};
}

/// What cannot go on without blocking gets a thread of the kernel, by default at most four per CPU,
/// and all of them may hang in operations of one dead device. The limit is that of the thread, for
/// all rings that it submits to: the application's own keep what they have, and one thread may
/// drive all lanes. It stays as it is before Linux 5.15, and for a thread that had a ring of its
/// own before it came to drive this one.
void UringQueue::raise_worker_limit() noexcept {
    constexpr unsigned LANES = 8; // the most that a context has by default
    unsigned limits[2] = {0, 0};  // only asked for: {bounded, unbounded}
    if (io_uring_register_iowq_max_workers(&ring_.get(), limits) != 0)
        return;
    limits[0] = std::max(limits[0], LANES * flow_.operation_count());
    limits[1] = 0;
    (void)io_uring_register_iowq_max_workers(&ring_.get(), limits);
}

UringQueue::~UringQueue() {
    if (tables_ != nullptr && tables_->refusal() != 0)
        host_.log(NIXL_LOG_DEBUG, __FILE__, __LINE__,
                  "posix: a buffer was used unregistered: io_uring_register: %s (see ulimit -l)",
                  errno_text(tables_->refusal()).c_str());
}

uint64_t UringQueue::submit(const nixl_batch& batch) noexcept {
    const uint64_t accepted = flow_.accept(batch);
    if (accepted > 0)
        refill();
    return accepted;
}

uint32_t UringQueue::poll(nixl_completion* out, uint32_t capacity) noexcept {
    Sink sink(out, capacity);
    flow_.collect(sink);
    calls_.collect(flow_, sink);
    reap(sink);
    refill();
    if (sink.used() == 0) { // what the page cache had is done by now, and what was refused
        const uint32_t results = reap(sink); // some may be of operations that go on
        flow_.collect(sink);
        if (results > 0 || sink.used() > 0)
            refill();
    }
    return sink.used();
}

uint32_t UringQueue::reap(Sink& sink) noexcept {
    io_uring& ring = ring_.get();
    unsigned head = 0, seen = 0;
    io_uring_cqe* cqe = nullptr;
    io_uring_for_each_cqe(&ring, head, cqe) {
        if (!sink.has_room())
            break;
        ++seen;
        if (cqe->user_data == CANCEL_RESULT)
            --cancels_;
        else
            flow_.finish(flow_.operation(static_cast<uint32_t>(cqe->user_data)), cqe->res, sink);
    }
    io_uring_cq_advance(&ring, seen);
    return seen;
}

void UringQueue::refill() noexcept {
    // next() hands out an operation once at a time, and the submission ring holds twice as many.
    while (io_uring_sq_space_left(&ring_.get()) > 0) {
        Operation* const operation = flow_.next();
        if (operation == nullptr)
            break;
        if (operation->takes_turns) {
            calls_.start(*operation);
            continue;
        }
        prepare(*operation);
        if (io_uring_sq_ready(&ring_.get()) >= SUBMIT_OPS && !enter())
            return;
    }
    enter();
}

/// False: the kernel takes no more for now.
bool UringQueue::enter() noexcept {
    if (io_uring_sq_ready(&ring_.get()) == 0)
        return true;
    const int result = io_uring_submit(&ring_.get());
    // These leave the rest in the submission ring for the next poll(); see arm(). Any other would
    // come back for ever.
    if (result < 0 && result != -EAGAIN && result != -EBUSY && result != -EINTR)
        take_back(-result);
    return io_uring_sq_ready(&ring_.get()) == 0;
}

/// Cold: the kernel does not take what is in the submission ring, which ends with that error.
void UringQueue::take_back(int error) noexcept {
    io_uring_sq& ring = ring_.get().sq;
    // Nobody else touches the ring: there is no kernel thread that polls it. Both sides count
    // through the same places.
    const unsigned first = *ring.khead;
    for (unsigned i = first; i != ring.sqe_tail; ++i) {
        const uint64_t user_data = ring.sqes[i & *ring.kring_mask].user_data;
        if (user_data == CANCEL_RESULT)
            --cancels_;
        else
            flow_.refuse(flow_.operation(static_cast<uint32_t>(user_data)), error);
    }
    ring.sqe_head = ring.sqe_tail = first;
    *ring.ktail = first;
}

void UringQueue::prepare(const Operation& operation) noexcept {
    io_uring_sqe* const sqe = io_uring_get_sqe(&ring_.get());
    const uint32_t file = tables_->file_slot(operation);
    const uint32_t buffer = tables_->buffer_slot(operation);
    const int fd = file != NO_SLOT ? static_cast<int>(file) : operation.fd();
    int opcode = operation.is_write ? IORING_OP_WRITE : IORING_OP_READ;
    const void* address = operation.vectors->iov_base;
    auto length = static_cast<unsigned>(operation.call_bytes());
    if (operation.call_vectors() > 1) {
        opcode = operation.is_write ? IORING_OP_WRITEV : IORING_OP_READV;
        address = operation.vectors;
        length = operation.call_vectors();
    } else if (buffer != NO_SLOT) {
        opcode = operation.is_write ? IORING_OP_WRITE_FIXED : IORING_OP_READ_FIXED;
    }
    io_uring_prep_rw(opcode, sqe, fd, address, length, operation.file_offset);
    if (buffer != NO_SLOT)
        sqe->buf_index = static_cast<uint16_t>(buffer);
    if (file != NO_SLOT)
        sqe->flags |= IOSQE_FIXED_FILE;
    sqe->user_data = flow_.number(operation);
}

void UringQueue::cancel(uint64_t tag) noexcept {
    flow_.cancel(tag);
    const uint32_t all = flow_.operation_count();
    for (uint32_t i = 0; i < all && cancels_ < all; ++i) {
        if (!flow_.is_in_kernel(i, tag))
            continue;
        if (flow_.operation(i).takes_turns) {
            BlockingCalls::drop(flow_.operation(i));
            continue;
        }
        io_uring_sqe* const sqe = io_uring_get_sqe(&ring_.get());
        if (sqe == nullptr)
            break; // best effort: the operation completes as it goes
        io_uring_prep_rw(IORING_OP_ASYNC_CANCEL, sqe, -1, nullptr, 0, 0);
        sqe->addr = i; // the user_data of the operation
        sqe->user_data = CANCEL_RESULT;
        ++cancels_;
    }
    enter();
}

bool UringQueue::arm() noexcept {
    return !flow_.has_work() && !calls_.has_work() && io_uring_sq_ready(&ring_.get()) == 0;
}

int UringQueue::assist() noexcept {
    io_uring& ring = ring_.get();
    // Others are not worth waiting for: large ones come back so seldom that the device would run
    // dry meanwhile.
    const uint32_t in_kernel = flow_.brisk_in_kernel();
    if (calls_.small_in_flight() > in_kernel)
        return calls_.assist();
    // Without EXT_ARG (Linux before 5.11) liburing would spend a request on the time limit.
    if (in_kernel <= 1 || (ring.features & IORING_FEAT_EXT_ARG) == 0)
        return 0;
    __kernel_timespec limit = {0, ASSIST_NS};
    io_uring_cqe* cqe = nullptr;
    const uint32_t wanted = in_kernel / ASSIST_PART_OF_DEPTH + 1;
    if (io_uring_wait_cqes(&ring, &cqe, wanted, &limit, nullptr) == -EINTR)
        return 2;
    return io_uring_cq_ready(&ring) > 0 ? 1 : 0;
}

} // namespace

// allow(hot): text of a control call
std::string uring_refusal() {
    Ring ring;
    const auto opened = ring.open(2);
    if (opened.ok())
        return {};
    return opened.error().message;
}

Result<std::unique_ptr<Queue>> open_uring_queue(const QueueParts& parts) {
    // allow(hot): the control call that opens a queue
    auto queue = std::make_unique<UringQueue>(parts);
    NIXL_RETURN_IF_ERROR(queue->open());
    return std::unique_ptr<Queue>(std::move(queue));
}

} // namespace nixl::core::posix

#endif // NIXL_HAVE_IO_URING
