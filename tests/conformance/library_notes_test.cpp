// SPDX-License-Identifier: Apache-2.0
// Notifications: after their data, in order per sender, copied, bounded, and refused where nobody
// delivers them. Over the test-only remote backend.
#include <cstring>

#include "tests/conformance/remote_backend.h"
#include "tests/conformance/session.h"

namespace nixl::test {
namespace {

class LibraryNotes : public ::testing::Test {
  protected:
    LibraryNotes() {
        add_remote_backend(receiver_.context());
        add_remote_backend(sender_.context());
        to_receiver_ = connect(sender_, receiver_);
        to_sender_ = connect(receiver_, sender_);
        target_ = receiver_.wrap(theirs_);
        const auto exported = export_of(receiver_.context(), target_);
        EXPECT_EQ(nixl_buffer_import(sender_.context(), to_receiver_, exported.data(),
                                     exported.size(), -1, &remote_),
                  NIXL_OK)
            << last_error().message;
        source_ = sender_.wrap(ours_);
    }
    ~LibraryNotes() override { RemoteWorld::hold(false); }

    static nixl_peer connect(Session& from, Session& to) {
        const auto metadata = metadata_of(to.context());
        nixl_peer peer{};
        EXPECT_EQ(nixl_peer_connect(from.context(), metadata.data(), metadata.size(), &peer),
                  NIXL_OK)
            << last_error().message;
        return peer;
    }
    /// `text` is borrowed.
    static nixl_post_options with(std::string_view text) {
        nixl_post_options options = NIXL_INIT(nixl_post_options);
        options.notification = text.data();
        options.notification_bytes = text.size();
        return options;
    }
    nixl_status send(const std::string& text) {
        return nixl_notification_send(sender_.context(), to_receiver_, text.data(), text.size());
    }
    /// The next message at the receiver, "" when none has arrived.
    std::string receive() {
        char text[256];
        uint64_t bytes = 0;
        nixl_peer from{};
        const nixl_status status =
            nixl_notification_receive(receiver_.context(), &from, text, sizeof text, &bytes);
        if (status == NIXL_NOT_FOUND)
            return "";
        EXPECT_EQ(status, NIXL_OK) << last_error().message;
        EXPECT_EQ(from.index, to_sender_.index);
        return {text, bytes};
    }
    std::string await_message() {
        std::string text;
        EXPECT_TRUE(eventually([&] { return !(text = receive()).empty(); }));
        return text;
    }

    Bytes ours_ = random_bytes(100000, 1), theirs_ = Bytes(100000);
    Session receiver_, sender_;
    nixl_peer to_receiver_{}, to_sender_{};
    nixl_buffer source_{}, target_{}, remote_{};
};

TEST_F(LibraryNotes, OfAPost_comesAfterItsData) {
    const Transfer transfer = sender_.request(source_, remote_);
    RemoteWorld::hold(true);
    const auto options = with("written");
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.poll(), NIXL_IN_PROGRESS);
    EXPECT_EQ(receive(), "");

    RemoteWorld::hold(false);

    EXPECT_EQ(await_message(), "written");
    EXPECT_TRUE(ours_ == theirs_);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(receive(), "") << "once";
    EXPECT_EQ(transfer.describe().bytes_done, ours_.size());
    EXPECT_EQ(transfer.describe().elements_done, transfer.describe().elements);
}

TEST_F(LibraryNotes, OfAPost_isCopied) {
    const Transfer transfer = sender_.request(source_, remote_);
    RemoteWorld::hold(true);
    std::string text = "first";
    const auto options = with(text);
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    text.assign("XXXXX");
    RemoteWorld::hold(false);
    EXPECT_EQ(await_message(), "first");
    EXPECT_EQ(transfer.wait(), NIXL_OK);
}

TEST_F(LibraryNotes, PostedAgainAndAgain_eachBringsItsOwn) {
    const Transfer transfer = sender_.range(source_, 0, remote_, 0, 1000);
    for (int round = 0; round < 50; ++round) {
        ours_[0] = static_cast<unsigned char>(round);
        const std::string text = "round " + std::to_string(round);
        const auto options = with(text);
        ASSERT_EQ(transfer.post(round % 3 == 0 ? nullptr : &options), NIXL_OK);
        ASSERT_EQ(transfer.wait(), NIXL_OK);
        ASSERT_EQ(theirs_[0], ours_[0]);
        ASSERT_EQ(receive(), round % 3 == 0 ? "" : text);
    }
}

TEST_F(LibraryNotes, OfARead_goesToTheOwner) {
    const Transfer transfer = sender_.range(remote_, 0, source_, 0, 1000);
    const auto options = with("read it");
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(await_message(), "read it");
}

TEST_F(LibraryNotes, OfAnEmptyTransfer_comesToo) {
    const Transfer transfer = sender_.range(source_, 0, remote_, 0, 0);
    const auto options = with("nothing to move");
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
    EXPECT_EQ(await_message(), "nothing to move");
}

TEST_F(LibraryNotes, SentAlone_waitsForTheDataPostedBefore) {
    const Transfer transfer = sender_.request(source_, remote_);
    RemoteWorld::hold(true);
    ASSERT_EQ(transfer.post(), NIXL_OK);
    ASSERT_EQ(send("all of it"), NIXL_OK);
    for (int i = 0; i < 100; ++i) {
        EXPECT_EQ(transfer.poll(), NIXL_IN_PROGRESS);
        EXPECT_EQ(receive(), "");
    }

    RemoteWorld::hold(false);

    EXPECT_EQ(await_message(), "all of it");
    EXPECT_TRUE(ours_ == theirs_);
    EXPECT_EQ(transfer.wait(), NIXL_OK);
}

TEST_F(LibraryNotes, ManySentAlone_comeInOrder) {
    for (int i = 0; i < 300; ++i)
        ASSERT_EQ(send(std::to_string(i)), NIXL_OK) << last_error().message;
    for (int i = 0; i < 300; ++i)
        ASSERT_EQ(await_message(), std::to_string(i));
}

TEST_F(LibraryNotes, MoreThanTheReceiverHolds_waitAtTheSender) {
    constexpr int COUNT = 4096 + 200; // the receiver holds 4096 that nobody has taken
    int sent = 0, taken = 0;
    nixl_status refused = NIXL_OK;
    while (sent < COUNT && (refused = send(std::to_string(sent))) == NIXL_OK)
        ++sent;
    EXPECT_TRUE(refused == NIXL_OK || refused == NIXL_AGAIN) << last_error().message;

    for (; taken < COUNT; ++taken) {
        ASSERT_EQ(await_message(), std::to_string(taken));
        if (sent < COUNT && send(std::to_string(sent)) == NIXL_OK)
            ++sent;
    }
    EXPECT_EQ(sent, COUNT);
    EXPECT_EQ(receive(), "");
}

TEST_F(LibraryNotes, Longest_arrivesWholeAndOneMoreByteIsRefused) {
    std::string text(64u << 10, 'x');
    EXPECT_EQ(send(text + "x"), NIXL_OUT_OF_RANGE);
    ASSERT_EQ(send(text), NIXL_OK);
    uint64_t bytes = 0;
    nixl_peer from{};
    std::vector<char> room(64u << 10);
    EXPECT_TRUE(eventually([&] {
        return nixl_notification_receive(receiver_.context(), &from, room.data(), 10, &bytes) ==
               NIXL_OUT_OF_RANGE;
    }));
    EXPECT_EQ(bytes, text.size());
    ASSERT_EQ(
        nixl_notification_receive(receiver_.context(), &from, room.data(), room.size(), &bytes),
        NIXL_OK);
    EXPECT_EQ(std::string(room.data(), bytes), text);

    const Transfer transfer = sender_.request(source_, remote_);
    text += "x";
    const auto options = with(text);
    EXPECT_EQ(transfer.post(&options), NIXL_OUT_OF_RANGE);
    EXPECT_EQ(transfer.poll(), NIXL_OK) << "nothing was posted";
}

TEST_F(LibraryNotes, WithoutAPeer_isRefusedAndPostsNothing) {
    Bytes target(100000);
    const Transfer transfer = sender_.request(source_, sender_.wrap(target));
    const auto options = with("to whom?");
    EXPECT_EQ(transfer.post(&options), NIXL_UNSUPPORTED);
    EXPECT_NE(std::string(last_error().message).find("notification"), std::string::npos);
    EXPECT_FALSE(ours_ == target);
    EXPECT_EQ(transfer.run(), NIXL_OK);
}

TEST_F(LibraryNotes, ToAPeerThatDied_isToldAndNothingHangs) {
    RemoteWorld::kill_latest(1); // the receiver's instance was opened first
    const Transfer transfer = sender_.request(source_, remote_);
    const auto options = with("too late");
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    EXPECT_EQ(transfer.wait(), NIXL_DISCONNECTED);
    EXPECT_EQ(send("too late as well"), NIXL_DISCONNECTED);
    EXPECT_EQ(sender_.close(), NIXL_OK);
}

TEST_F(LibraryNotes, ReleasedInFlight_bringsNone) {
    Transfer transfer = sender_.request(source_, remote_);
    RemoteWorld::hold(true);
    const auto options = with("never");
    ASSERT_EQ(transfer.post(&options), NIXL_OK);
    ASSERT_EQ(transfer.release(), NIXL_OK);
    RemoteWorld::hold(false);
    EXPECT_TRUE(eventually([&] { return sender_.users(source_) == 0; }));
    ASSERT_EQ(send("next"), NIXL_OK);
    EXPECT_EQ(await_message(), "next");
}

} // namespace
} // namespace nixl::test
