// SPDX-License-Identifier: Apache-2.0
#include "tests/support/child.h"

#include <csignal>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace nixl::test {
namespace {

/// Of the running test; NULL outside of one.
const ::testing::TestResult* running() {
    const ::testing::TestInfo* const test = ::testing::UnitTest::GetInstance()->current_test_info();
    return test != nullptr ? test->result() : nullptr;
}

bool write_all(int fd, const std::string& text) {
    for (size_t done = 0; done < text.size();) {
        const ssize_t written = ::write(fd, text.data() + done, text.size() - done);
        if (written <= 0)
            return false;
        done += static_cast<size_t>(written);
    }
    return true;
}

std::string read_all(int fd) {
    std::string text;
    char part[256];
    for (ssize_t got = 0; (got = ::read(fd, part, sizeof part)) > 0;)
        text.append(part, static_cast<size_t>(got));
    return text;
}

} // namespace

std::string failures_from(int first) {
    std::string text;
    const ::testing::TestResult* const result = running();
    for (int i = first; result != nullptr && i < result->total_part_count(); ++i) {
        const ::testing::TestPartResult& part = result->GetTestPartResult(i);
        if (part.failed())
            text += std::string(" [") + (part.file_name() != nullptr ? part.file_name() : "") +
                    ":" + std::to_string(part.line_number()) + ": " + part.message() + "]";
    }
    return text;
}

std::string in_child(const std::function<std::string()>& body) {
    int pipe_fds[2];
    if (::pipe(pipe_fds) != 0)
        return "pipe failed";
    const int parts_before = running() != nullptr ? running()->total_part_count() : 0;
    const pid_t child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL); // a parent that hangs is ended by its deadline
        std::string text = body();
        // A child that found something wrong has not skipped.
        if (const std::string failures = failures_from(parts_before); !failures.empty())
            text = "the child failed: " + text + failures;
        ::_exit(write_all(pipe_fds[1], text) ? 0 : 1);
    }
    ::close(pipe_fds[1]);
    std::string text = child < 0 ? "fork failed" : read_all(pipe_fds[0]);
    ::close(pipe_fds[0]);
    int status = 0;
    if (child > 0 && ::waitpid(child, &status, 0) != child)
        return text + " (waitpid failed)";
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        text = "the child ended with status " + std::to_string(status) + ": " + text;
    return text;
}

} // namespace nixl::test
