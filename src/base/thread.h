// SPDX-License-Identifier: Apache-2.0
// Threads of the library: named, with all signals blocked so that handlers run on the user's
// threads.
#pragma once

#include <csignal>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include <pthread.h>

#include "base/status.h"

namespace nixl::core {

/// `name`: at most 15 characters.
template <typename Body> Result<std::thread> start_thread(const char* name, Body body) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // the new thread inherits the mask
    std::thread thread;
    int failed = 0;
    try { // std::thread reports EAGAIN by throwing; nothing else here does
        thread = std::thread(std::move(body));
        pthread_setname_np(thread.native_handle(), name);
    } catch (const std::system_error& error) {
        failed = error.code().value();
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (failed != 0)
        return Error::system(std::string("start thread ") + name, failed,
                             "raise the limit on threads (ulimit -u)");
    return thread;
}

} // namespace nixl::core
