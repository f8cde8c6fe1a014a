// SPDX-License-Identifier: Apache-2.0
// Log lines: where they go, that they stay whole, and what the sink may rely on.
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <poll.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/log.h"

namespace nixl::core {
namespace {

struct Line {
    int level;
    std::string file;
    int number;
    std::string text;
};

void collect(void* lines, int level, const char* file, int number, const char* text) {
    static_cast<std::vector<Line>*>(lines)->push_back({level, file, number, text});
}

/// Puts level and sink back, whatever a test does.
class Log : public testing::Test {
  protected:
    void TearDown() override {
        log_set_sink(nullptr, nullptr);
        log_set_level(before_);
    }
    Level before_ = log_level();
};

/// What `write` sends to a standard stream, by way of a pipe.
template <typename Write> std::string captured(int stream, Write write) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    const int saved = dup(stream);
    dup2(ends[1], stream);
    write();
    dup2(saved, stream);
    close(saved);
    close(ends[1]);
    std::string out;
    char part[4096];
    for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;)
        out.append(part, static_cast<size_t>(n));
    close(ends[0]);
    return out;
}

// Proves: S-036
TEST_F(Log, Level_filtersLinesAndDoesNotBuildTheirText) {
    std::vector<Line> lines;
    log_set_sink(collect, &lines);
    log_set_level(Level::WARN);
    bool built = false;

    NIXL_LOG(INFO, (built = true, std::string("quiet")));
    NIXL_LOG(WARN, "heard");
    log_write(Level::DEBUG, "x.cpp", 1, "quiet as well");

    ASSERT_EQ(lines.size(), 1u);
    EXPECT_FALSE(built);
    EXPECT_EQ(lines[0].level, NIXL_LOG_WARN);
    EXPECT_EQ(lines[0].text, "heard");
    EXPECT_EQ(lines[0].file, "log_test.cpp");
    EXPECT_GT(lines[0].number, 0);
}

// Proves: S-036
TEST_F(Log, WithoutSink_linesGoToStandardErrorAndNowhereElse) {
    log_set_level(Level::WARN);
    std::string out;

    const std::string error = captured(STDERR_FILENO, [&] {
        out = captured(STDOUT_FILENO, [] { NIXL_LOG(WARN, "two\nlines"); });
    });

    EXPECT_EQ(error, "nixl WARN: two lines\n");
    EXPECT_EQ(out, "");
}

TEST_F(Log, DebugLevel_addsWhereTheLineWasWritten) {
    log_set_level(Level::DEBUG);

    const std::string error =
        captured(STDERR_FILENO, [] { log_write(Level::INFO, "/a/b/c.cpp", 7, "text"); });

    EXPECT_EQ(error, "nixl INFO: text [c.cpp:7]\n");
}

TEST_F(Log, WritingALine_keepsErrno) {
    captured(STDERR_FILENO, [] {
        errno = ENOSPC;
        NIXL_LOG(ERROR, "x");
        EXPECT_EQ(errno, ENOSPC);
    });
}

TEST_F(Log, ManyThreads_linesStayWhole) {
    log_set_level(Level::WARN);
    const std::string body(500, 'x');

    const std::string error = captured(STDERR_FILENO, [&] {
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; ++t)
            threads.emplace_back([&] {
                for (int i = 0; i < 25; ++i)
                    NIXL_LOG(WARN, body);
            });
        for (auto& thread : threads)
            thread.join();
    });

    std::string expected;
    for (int i = 0; i < 100; ++i)
        expected += "nixl WARN: " + body + "\n";
    EXPECT_EQ(error, expected);
}

void count_overlap(void* inside, int, const char*, int, const char*) {
    auto& calls = *static_cast<std::atomic<int>*>(inside);
    EXPECT_EQ(calls.fetch_add(1), 0) << "two lines at a time";
    std::this_thread::yield();
    calls.fetch_sub(1);
}

TEST_F(Log, Sink_seesOneLineAtATimeAndNoneAfterItWasReplaced) {
    log_set_level(Level::WARN);
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> inside{0};
        std::atomic<bool> stop{false};
        std::vector<Line> others;
        log_set_sink(count_overlap, &inside);
        std::vector<std::thread> threads;
        for (int t = 0; t < 3; ++t)
            threads.emplace_back([&] {
                do
                    NIXL_LOG(WARN, "line");
                while (!stop);
            });

        log_set_sink(collect, &others);
        inside = 1; // a call from here on would fail the sink's own check

        stop = true;
        for (auto& thread : threads)
            thread.join();
        log_set_sink(nullptr, nullptr);
    }
}

TEST_F(Log, Cause_isNewOnlyOnce) {
    EXPECT_TRUE(log_first_time("log_test: gdrdrv missing"));
    EXPECT_FALSE(log_first_time("log_test: gdrdrv missing"));
    EXPECT_TRUE(log_first_time("log_test: another"));
}

TEST_F(Log, CausesBeyondTheLimit_areNotNew) {
    const pid_t child = fork(); // the limit is the process's; other tests need it unused
    ASSERT_GE(child, 0);
    if (child == 0) {
        int fresh = 0;
        for (int i = 0; i < 5000; ++i)
            fresh += log_first_time("log_test: many " + std::to_string(i)) ? 1 : 0;
        _exit(fresh > 900 && fresh <= 1024 ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

void block_until_written(void* pipe_end, int, const char*, int, const char*) {
    char byte;
    ASSERT_EQ(write(static_cast<int*>(pipe_end)[3], "x", 1), 1);
    ASSERT_EQ(read(static_cast<int*>(pipe_end)[0], &byte, 1), 1);
}

TEST_F(Log, ForkWhileASinkRuns_childCanStillLog) {
    log_set_level(Level::WARN);
    int pipes[4]; // [0], [1]: lets the sink go on; [2], [3]: says that it runs
    ASSERT_EQ(pipe(pipes), 0);
    ASSERT_EQ(pipe(pipes + 2), 0);
    log_set_sink(block_until_written, pipes);
    std::thread logger([] { NIXL_LOG(WARN, "held"); });
    char byte;
    ASSERT_EQ(read(pipes[2], &byte, 1), 1);

    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        log_set_sink(nullptr, nullptr); // would wait for ever if the lock had come along
        _exit(log_first_time("log_test: in the child") ? 0 : 1);
    }

    int status = -1;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(write(pipes[1], "x", 1), 1);
    logger.join();
    for (const int end : pipes)
        close(end);
}

} // namespace
} // namespace nixl::core
