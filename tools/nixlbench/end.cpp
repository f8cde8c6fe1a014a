// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/end.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nixl/machine.hpp>

#include "common/failure.h"
#include "common/text.h"
#include "common/units.h"

namespace nixl::tools {

namespace {

constexpr std::uint64_t DIRECT_ALIGNMENT = 4096;

struct KindName {
    const char* name;
    EndKind kind;
};
constexpr KindName KIND_NAMES[] = {{"cpu", EndKind::CPU},
                                   {"cpu-pinned", EndKind::CPU_PINNED},
                                   {"cpu-pageable", EndKind::CPU_PAGEABLE},
                                   {"file", EndKind::FILE},
                                   {"gpu", EndKind::GPU},
                                   {"dram", EndKind::CPU},
                                   {"vram", EndKind::GPU}};

bool exists(const std::string& path, struct stat& figures) {
    return ::stat(path.c_str(), &figures) == 0;
}

void check_target(const EndWish& wish, bool there, const struct stat& figures,
                  std::uint64_t bytes) {
    const bool block = there && S_ISBLK(figures.st_mode);
    if (there && !wish.overwrite && (block || figures.st_size != 0))
        throw Failure(EXIT_ERROR, wish.path + " exists; --overwrite allows writing to it");
    if (block)
        return;
    const std::uint64_t held_bytes = there ? std::uint64_t(figures.st_blocks) * 512 : 0;
    const std::string folder = std::filesystem::path(wish.path).parent_path().string();
    check_disk_space(folder.empty() ? "." : folder, bytes, held_bytes,
                     "; --dst-path names another file");
}

/// `error`: of looking at the path, where nothing is there.
void check_source(const std::string& path, bool there, int error, const struct stat& figures,
                  std::uint64_t bytes) {
    if (!there)
        throw Failure(EXIT_ERROR, system_failure("--src-path " + path, error).what() +
                                      std::string("; name a file to read, or a folder, where a "
                                                  "temporary one is made"));
    if (!S_ISBLK(figures.st_mode) && static_cast<std::uint64_t>(figures.st_size) < bytes)
        throw Failure(EXIT_ERROR, path + " has " + format_size(std::uint64_t(figures.st_size)) +
                                      ", which is less than the " + format_size(bytes) +
                                      " to read");
}

} // namespace

EndKind parse_end_kind(const std::string& text, const std::string& option) {
    const std::string wanted = lower_case(text);
    for (const KindName& known : KIND_NAMES)
        if (wanted == known.name)
            return known.kind;
    const bool later = wanted == "s3" || wanted == "remote" || wanted == "obj";
    throw Failure(later ? EXIT_UNAVAILABLE : EXIT_USAGE,
                  "--" + option + ": \"" + text + "\" is " +
                      (later ? "not part of this build; it has " : "none of ") +
                      "cpu, cpu-pinned, cpu-pageable, file, gpu");
}

const char* end_kind_name(EndKind kind) {
    return KIND_NAMES[static_cast<int>(kind)].name; // the first five are in order
}

bool is_cpu(EndKind kind) { return kind != EndKind::FILE && kind != EndKind::GPU; }

End::End(const EndWish& wish, Role role, std::uint64_t bytes, nixl_context context)
    : wish_(wish), context_(context) {
    switch (wish.kind) {
    case EndKind::FILE:
        open_file(role, bytes, context);
        return;
    case EndKind::GPU:
        open_device(bytes, context);
        return;
    case EndKind::CPU:
    case EndKind::CPU_PAGEABLE:
    case EndKind::CPU_PINNED:
        break;
    }
    memory_ = std::make_unique<Memory>(bytes);
    const bool pinned = wish.kind == EndKind::CPU_PINNED;
    buffer_ = Buffer::from_host(static_cast<void*>(memory_->data()), bytes,
                                pinned ? MemoryType::HOST_PINNED : MemoryType::HOST, context);
}

void End::open_device(std::uint64_t bytes, nixl_context context) {
    const unsigned count = get_device_count();
    const std::string missing = format("GPU %d is not present (%u found)", wish_.device, count);
    try {
        buffer_ = Buffer::allocate(bytes, MemoryType::DEVICE, wish_.device, context);
    } catch (const NIXLException& error) {
        const bool absent = static_cast<unsigned>(wish_.device) >= count;
        throw Failure(EXIT_UNAVAILABLE, (absent ? missing + ": " : "") + error.what());
    }
}

void End::open_file(Role role, std::uint64_t bytes, nixl_context context) {
    struct stat figures {};
    const bool target = role == Role::TARGET;
    path_ = wish_.path;
    const bool there = !path_.empty() && exists(path_, figures);
    const int error = errno; // of a path that is not there
    const bool block = there && S_ISBLK(figures.st_mode);
    if (there && !block && !S_ISREG(figures.st_mode) && !S_ISDIR(figures.st_mode))
        throw Failure(EXIT_ERROR, path_ + " is neither a file nor a block device nor a folder");
    OpenMode mode = wish_.direct ? OpenMode::DIRECT : OpenMode::READ_WRITE;
    if (path_.empty() || (there && S_ISDIR(figures.st_mode))) {
        scratch_.emplace(path_, bytes);
        path_ = scratch_->path();
    } else if (target) {
        check_target(wish_, there, figures, bytes);
        if (!there)
            mode = mode | OpenMode::CREATE; // a symbolic link to nothing; else main() made it
        mode = block ? mode | OpenMode::FORCE : mode;
    } else {
        is_given_ = true;
        mode = mode | OpenMode::READ_ONLY;
        check_source(path_, there, error, figures, bytes);
    }
    // The library opens first: it says best what is wrong.
    buffer_ = block ? Buffer::open_block(path_, mode, 0, bytes, context)
                    : Buffer::open_file(path_, mode, 0, bytes, context);
    const int flags = is_given_ ? O_RDONLY : O_RDWR;
    cached_ = open_descriptor(path_, flags);
    if (wish_.direct)
        direct_ = Descriptor(::open(path_.c_str(), flags | O_DIRECT | O_CLOEXEC));
    if (scratch_)
        scratch_->remove(); // all that need it have it open: even a killed run leaves nothing
}

const Descriptor& End::descriptor_for(std::uint64_t offset, const void* memory,
                                      std::uint64_t bytes) const {
    const auto address = reinterpret_cast<std::uintptr_t>(memory);
    const bool aligned = (offset | bytes | address) % DIRECT_ALIGNMENT == 0;
    return direct_.is_open() && aligned ? direct_ : cached_;
}

char* End::mirror() const {
    if (wish_.kind != EndKind::GPU)
        return nullptr;
    if (mirror_ == nullptr) {
        mirror_ = std::make_unique<Memory>(buffer_->size());
        mirror_buffer_ = Buffer::from_host(static_cast<void*>(mirror_->data()), buffer_->size(),
                                           MemoryType::HOST_PINNED, context_);
    }
    return mirror_->data();
}

void End::store_all() const { copy_mirror(true, 0, buffer_->size()); }
void End::fetch_all() const { copy_mirror(false, 0, buffer_->size()); }

void End::copy_mirror(bool to_gpu, std::uint64_t offset, std::uint64_t bytes) const {
    (void)mirror();
    const nixl_buffer host = mirror_buffer_->handle(), gpu = buffer_->handle();
    nixl_request request{};
    detail::check(nixl_request_create_range(context_, to_gpu ? host : gpu, offset,
                                            to_gpu ? gpu : host, offset, bytes, &request));
    nixl_status status = nixl_request_post(context_, request, nullptr);
    while (status == NIXL_OK || status == NIXL_INTERRUPTED || status == NIXL_IN_PROGRESS) {
        status = nixl_request_wait(context_, request, -1); // also after Ctrl-C: it is soon over
        if (status == NIXL_OK)
            break;
    }
    (void)nixl_request_release(context_, request);
    if (status != NIXL_OK)
        throw Failure(EXIT_ERROR, std::string(to_gpu ? "filling " : "reading ") + describe() +
                                      " to verify it: " + nixl_status_name(status));
}

void End::read(std::uint64_t offset, char* out, std::uint64_t bytes) const {
    if (const char* const copy = mirror(); copy != nullptr) {
        copy_mirror(false, offset, bytes);
        std::memcpy(out, copy + offset, bytes);
        return;
    }
    while (bytes > 0) {
        const Descriptor& file = descriptor_for(offset, out, bytes);
        const ssize_t moved = ::pread(file.get(), out, bytes, static_cast<off_t>(offset));
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved <= 0)
            throw system_failure("reading " + path_, moved == 0 ? ENODATA : errno);
        offset += static_cast<std::uint64_t>(moved);
        out += moved;
        bytes -= static_cast<std::uint64_t>(moved);
    }
}

void End::write(std::uint64_t offset, const char* data, std::uint64_t bytes) const {
    if (char* const copy = mirror(); copy != nullptr) {
        std::memcpy(copy + offset, data, bytes);
        copy_mirror(true, offset, bytes);
        return;
    }
    while (bytes > 0) {
        const Descriptor& file = descriptor_for(offset, data, bytes);
        const ssize_t moved = ::pwrite(file.get(), data, bytes, static_cast<off_t>(offset));
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved < 0)
            throw system_failure("writing " + path_, errno);
        offset += static_cast<std::uint64_t>(moved);
        data += moved;
        bytes -= static_cast<std::uint64_t>(moved);
    }
}

std::string End::describe() const {
    std::string out = end_kind_name(wish_.kind);
    if (wish_.kind == EndKind::GPU)
        out += ":" + std::to_string(wish_.device);
    if (is_file())
        out += " " + printable(path_) + (wish_.direct ? " (direct)" : " (cached)");
    return out;
}

} // namespace nixl::tools
