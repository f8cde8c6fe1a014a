// SPDX-License-Identifier: Apache-2.0
// Every order of freeing, releasing and closing, with a request that was never posted, is through,
// or is in flight: each call gives its answer, and memory is given back as soon as it may be. Under
// AddressSanitizer these are about use after free.
#include <algorithm>
#include <array>
#include <memory>

#include "tests/conformance/session.h"

namespace nixl::test {
namespace {

enum class When { NEVER_POSTED, FINISHED, IN_FLIGHT };
enum Step : int { FREE_SOURCE, FREE_TARGET, RELEASE, RELEASE_LISTS, CLOSE_QUEUE, CLOSE_CONTEXT };
using Order = std::array<Step, 6>;

constexpr uint64_t BYTES = 8192;

/// One of everything, and what has become of it.
class World {
  public:
    World(When when, const std::string& file)
        : when_(when), session_(std::make_unique<Session>(settings())),
          context_(session_->context()), source_(session_->file(file)),
          target_(session_->wrap(*memory_)) {
        const nixl_block block{0, 64, 64, BYTES / 64, 0, 0};
        EXPECT_EQ(nixl_list_create(context_, &source_, 1, &block, 1, &lists_[0]), NIXL_OK);
        EXPECT_EQ(nixl_list_create(context_, &target_, 1, &block, 1, &lists_[1]), NIXL_OK);
        EXPECT_EQ(nixl_request_create_lists(context_, lists_[0], lists_[1], &request_), NIXL_OK);
        EXPECT_EQ(nixl_queue_open(context_, 4, &queue_), NIXL_OK);
        if (when == When::NEVER_POSTED)
            return;
        nixl_post_options options = NIXL_INIT(nixl_post_options);
        options.queue = queue_;
        EXPECT_EQ(nixl_request_post(context_, request_, &options), NIXL_OK);
        EXPECT_TRUE(when == When::IN_FLIGHT ||
                    nixl_request_wait(context_, request_, PATIENCE_NS) == NIXL_OK);
    }
    ~World() { EXPECT_TRUE(closed_ || session_->close() == NIXL_OK); }
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    void expect_step(Step step) {
        switch (step) {
        case FREE_SOURCE:
            return expect_freed(nixl_buffer_free(context_, source_, 0), &source_freed_);
        case FREE_TARGET:
            expect_freed(nixl_buffer_free(context_, target_, 0), &target_freed_);
            if (target_freed_ || closed_)
                memory_.reset(); // nobody may touch it from here on
            return;
        case RELEASE:
            EXPECT_EQ(nixl_request_release(context_, request_), closed_ ? NIXL_STALE : NIXL_OK);
            released_ = true;
            return;
        case RELEASE_LISTS:
            for (const nixl_list list : lists_)
                expect_unless_used(nixl_list_release(context_, list));
            return;
        case CLOSE_QUEUE:
            expect_unless_used(nixl_queue_close(context_, queue_));
            return;
        case CLOSE_CONTEXT:
            EXPECT_EQ(session_->close(), NIXL_OK);
            closed_ = true;
            return;
        }
    }

  private:
    [[nodiscard]] Settings settings() const {
        Settings all = {{"lanes", "1"}, {"workers", "1"}, {"drain_timeout", "0s"}};
        if (when_ == When::IN_FLIGHT) { // until it is cancelled
            all["decorators"] = "fault:posix";
            all["fault.hold_rate"] = "1";
        }
        return all;
    }
    void expect_freed(nixl_status status, bool* freed) const {
        if (closed_)
            EXPECT_EQ(status, NIXL_STALE);
        else if (when_ == When::IN_FLIGHT)
            EXPECT_TRUE(status == NIXL_BUSY || (released_ && status == NIXL_OK)) << status;
        else
            EXPECT_EQ(status, NIXL_OK) << last_error().message;
        *freed = status == NIXL_OK;
    }
    /// BUSY while the request is there, or what is left of it in flight.
    void expect_unless_used(nixl_status status) const {
        if (closed_)
            EXPECT_EQ(status, NIXL_STALE);
        else
            EXPECT_TRUE(status == NIXL_OK || (status == NIXL_BUSY && may_be_used())) << status;
    }
    [[nodiscard]] bool may_be_used() const { return !released_ || when_ == When::IN_FLIGHT; }

    const When when_;
    std::unique_ptr<Bytes> memory_ = std::make_unique<Bytes>(BYTES);
    std::unique_ptr<Session> session_;
    const nixl_context context_;
    const nixl_buffer source_, target_;
    nixl_list lists_[2]{};
    nixl_request request_{};
    nixl_queue queue_{};
    bool source_freed_ = false, target_freed_ = false, released_ = false, closed_ = false;
};

class LibraryOrder : public ::testing::TestWithParam<When> {};

// Proves: C-43
TEST_P(LibraryOrder, EveryPermutation_isSafe) {
    ScratchPath file;
    file.write(random_bytes(BYTES, 1));
    Order order = {FREE_SOURCE, FREE_TARGET, RELEASE, RELEASE_LISTS, CLOSE_QUEUE, CLOSE_CONTEXT};
    uint64_t number = 0;
    do {
        SCOPED_TRACE("permutation " + std::to_string(++number));
        World world(GetParam(), file.text());
        for (const Step step : order)
            world.expect_step(step);
    } while (!HasFailure() && std::next_permutation(order.begin(), order.end()));
    EXPECT_TRUE(HasFailure() || number == 720u);
}

INSTANTIATE_TEST_SUITE_P(Requests, LibraryOrder,
                         ::testing::Values(When::NEVER_POSTED, When::FINISHED, When::IN_FLIGHT),
                         [](const auto& info) {
                             return std::string(info.param == When::NEVER_POSTED ? "never_posted"
                                                : info.param == When::FINISHED   ? "finished"
                                                                                 : "in_flight");
                         });

} // namespace
} // namespace nixl::test
