// SPDX-License-Identifier: Apache-2.0
// Which backends the kit runs over. A backend gets in with one entry in fixtures.cpp.
#pragma once

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include <nixl/backend.h>

namespace nixl::test {

/// What tests ask of a backend that reaches peers, beside its table: its world, seen from outside.
struct RemoteHooks {
    /// Accepted elements stay where they are until this is taken back; cancel and disconnect still
    /// end them. NULL: it cannot be held, and tests that need it are skipped.
    void (*hold)(bool on) = nullptr;
    /// As if the process behind the instance that was opened last had died.
    void (*kill_latest)() = nullptr;
    /// Instances and registrations, own and imported, that exist now. NULL: it does not count.
    uint64_t (*objects)() = nullptr;
};

struct Fixture {
    std::string name;    ///< [a-z_0-9]
    std::string backend; ///< as its table calls itself
    nixl_backend_entry_fn entry;
    std::vector<std::pair<std::string, std::string>> settings; ///< the same at both levels
    bool built_in = true;    ///< else the library is given its table
    bool moves_bytes = true; ///< false: contents are not looked at
    bool direct = false;     ///< files and block devices are opened to bypass the page cache
    RemoteHooks hooks = {};
    bool in_fault = false; ///< behind the `fault` decorator, which perturbs what is no error
};

/// One ordered pair of kinds of one fixture, as probe() tells them.
struct Subject {
    const Fixture* fixture;
    uint16_t source_kind;
    uint16_t target_kind;
    uint32_t pair_flags; ///< NIXL_PAIR_*
    uint32_t cap_flags;  ///< NIXL_CAP_*
    uint32_t max_depth;
    std::string refused; ///< why it cannot run here; else ""

    [[nodiscard]] bool source_remote() const { return (pair_flags & NIXL_PAIR_SOURCE_REMOTE) != 0; }
    [[nodiscard]] bool target_remote() const { return (pair_flags & NIXL_PAIR_TARGET_REMOTE) != 0; }
    [[nodiscard]] bool remote() const { return source_remote() || target_remote(); }
    /// Of a target on a GPU: another one than the source's, but where both have to be the same.
    [[nodiscard]] int target_device() const {
        return source_kind == NIXL_KIND_DEVICE && (pair_flags & NIXL_PAIR_SAME_DEVICE) == 0 ? 1 : 0;
    }
};

[[nodiscard]] const std::vector<Fixture>& fixtures();
[[nodiscard]] const Fixture& fixture(const std::string& name);
/// Every pair of every fixture. Pinned memory is host memory to local backends and is left out.
/// What the machine cannot do is in the list as well, with the reason, to be seen as skipped.
[[nodiscard]] const std::vector<Subject>& subjects();

/// Why the fixture's backend cannot serve memory and files here; "": it can.
[[nodiscard]] std::string refusal_of(const std::string& fixture);

[[nodiscard]] std::string name_of(const Subject& subject);
std::ostream& operator<<(std::ostream& out, const Subject& subject);

/// How many seeds seeded tests run: NIXL_TEST_SEEDS, else 200.
[[nodiscard]] uint64_t seed_count();
/// Sizes and lengths of runs are divided by this: 1 in a plain build, more under a sanitizer.
[[nodiscard]] uint64_t slowdown();

} // namespace nixl::test
