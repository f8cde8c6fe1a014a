// SPDX-License-Identifier: Apache-2.0
// Every test has a deadline. One that hangs ends its program, which says which test it was and
// where each thread and child stands; else the run would end an hour later, without a word.
// Linked into every test program: nothing calls it. NIXL_TEST_LIMIT_S changes the deadline.
#include <gtest/gtest.h>

#include <climits>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <dirent.h>
#include <execinfo.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

constexpr int DEFAULT_LIMIT_S = 300;
constexpr int MOST_FRAMES = 48;
const int over = SIGRTMAX, tell_stack = SIGRTMAX - 1; // no code under test uses real-time signals

volatile std::sig_atomic_t told = 0;

/// Frames as FILE(+OFFSET), which addr2line -e FILE OFFSET turns into lines.
void print_stack(int /*signal*/) {
    void* frames[MOST_FRAMES];
    dprintf(STDERR_FILENO, "thread %ld:\n", ::syscall(SYS_gettid));
    ::backtrace_symbols_fd(frames, ::backtrace(frames, MOST_FRAMES), STDERR_FILENO);
    told = told + 1;
}

/// Waits a while for the answer, so that one tells after the other. What the kernel holds (its
/// io_uring workers too) never answers.
void wait_for_more_than(int before) {
    for (int i = 0; i < 100 && told == before; ++i) {
        const timespec moment{0, 10'000'000};
        ::nanosleep(&moment, nullptr); // allow(sleep): a handler may wait for nothing else
    }
}

/// Those that were forked by `thread` and still run.
void tell_children(const char* thread) {
    char path[sizeof "/proc/self/task//children" + NAME_MAX];
    std::snprintf(path, sizeof path, "/proc/self/task/%s/children", thread);
    FILE* const children = std::fopen(path, "r");
    for (int child = 0; children != nullptr && std::fscanf(children, "%d", &child) == 1;)
        if (::kill(child, tell_stack) == 0)
            wait_for_more_than(told); // it counts for itself: this only gives it time
}

void tell_all() {
    DIR* tasks = ::opendir("/proc/self/task");
    while (const dirent* task = tasks == nullptr ? nullptr : ::readdir(tasks)) {
        const long thread = std::atol(task->d_name);
        const auto before = told;
        if (thread != 0 && ::syscall(SYS_tgkill, ::getpid(), thread, tell_stack) == 0)
            wait_for_more_than(before);
        tell_children(task->d_name);
    }
}

/// The process is lost: what it may not call in a handler is called all the same.
void end_of_patience(int /*signal*/) {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    dprintf(STDERR_FILENO, "%s.%s hangs: not over at its deadline (NIXL_TEST_LIMIT_S)\n",
            test == nullptr ? "?" : test->test_suite_name(), test == nullptr ? "?" : test->name());
    tell_all();
    ::_exit(1);
}

int limit_s() {
    const char* given = std::getenv("NIXL_TEST_LIMIT_S");
    const int limit = given == nullptr ? 0 : std::atoi(given);
    return limit > 0 ? limit : DEFAULT_LIMIT_S;
}

class Deadline : public ::testing::EmptyTestEventListener {
  public:
    Deadline() {
        void* frame = nullptr;
        (void)::backtrace(&frame, 1); // loads what it needs now, not in a handler
        std::signal(over, end_of_patience);
        std::signal(tell_stack, print_stack);
        sigevent event{};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = over;
        if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0)
            std::perror("no deadline for tests: timer_create");
    }
    void OnTestStart(const ::testing::TestInfo& /*test*/) override { arm(limit_s()); }
    void OnTestEnd(const ::testing::TestInfo& /*test*/) override { arm(0); }

  private:
    void arm(time_t seconds) {
        const itimerspec once{{0, 0}, {seconds, 0}};
        ::timer_settime(timer_, 0, &once, nullptr);
    }
    timer_t timer_{};
};

[[maybe_unused]] const bool listening = [] {
    // allow(naked-new): GoogleTest owns its listeners.
    ::testing::UnitTest::GetInstance()->listeners().Append(new Deadline);
    return true;
}();

} // namespace
