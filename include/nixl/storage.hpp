// SPDX-License-Identifier: Apache-2.0
// Stores with the names and rules of the Python classes: a directory of files, a device of blocks.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include <nixl/transfer.hpp>

namespace nixl {

namespace detail {

[[noreturn]] inline void throw_system(const std::string& what, int error) {
    const Code code = error == ENOENT                     ? Code::NOT_FOUND
                      : error == EACCES || error == EPERM ? Code::PERMISSION_DENIED
                      : error == ENOSPC                   ? Code::NO_SPACE
                                                          : Code::IO_ERROR;
    throw NIXLException(code, what + ": " + std::strerror(error));
}

/// Makes the names of a directory durable.
inline void sync_folder(const std::filesystem::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        throw_system(folder.string(), errno);
    const int error = ::fsync(descriptor) == 0 ? 0 : errno;
    ::close(descriptor);
    if (error != 0)
        throw_system(folder.string(), error);
}

} // namespace detail

/// Byte strings under names in a directory. Threads: any; writers of one name replace each other.
class FileBackend {
  public:
    /// The directory is made when missing.
    explicit FileBackend(const std::string& path, nixl_context context = default_context())
        : root_(std::filesystem::absolute(path)), context_(context) {
        make_folder(root_);
    }

    /// Stores all of `data` under `name`, durable on return. A reader sees the old content or all
    /// of the new one; an error leaves the old one. Returns the number of bytes.
    std::size_t write(const std::string& name, const Buffer& data) {
        const std::filesystem::path path = path_of(name);
        make_folder(path.parent_path());
        static std::atomic<unsigned> number{0};
        const std::string temporary = path.string() + '.' + std::to_string(::getpid()) + '.' +
                                      std::to_string(++number) + TEMPORARY;
        try {
            Buffer target = Buffer::open_file(temporary, OpenMode::CREATE | OpenMode::TRUNCATE, 0,
                                              data.size(), context_);
            if (data.size() != 0)
                transfer(data, target);
            target.flush();
            target.free();
            if (::rename(temporary.c_str(), path.c_str()) != 0)
                detail::throw_system(path.string(), errno);
        } catch (...) {
            ::unlink(temporary.c_str());
            throw;
        }
        detail::sync_folder(path.parent_path());
        return data.size();
    }
    std::size_t write(const std::string& name, const void* data, std::size_t bytes) {
        return write(name, Buffer::from_host(data, bytes, MemoryType::HOST, context_));
    }

    /// The bytes under `name`. NOT_FOUND when there is nothing.
    [[nodiscard]] std::vector<unsigned char> read(const std::string& name) const {
        std::vector<unsigned char> bytes(size(name));
        if (!bytes.empty())
            transfer(object(name),
                     Buffer::from_host(bytes.data(), bytes.size(), MemoryType::HOST, context_));
        return bytes;
    }
    /// Into `target`, which must be large enough. Returns the number of bytes.
    std::size_t read(const std::string& name, const Buffer& target) const {
        const std::size_t bytes = size(name);
        if (bytes > target.size())
            throw NIXLException(Code::OUT_OF_RANGE, name + ": " + std::to_string(bytes) +
                                                        " bytes do not fit into " +
                                                        std::to_string(target.size()));
        if (bytes != 0)
            transfer(object(name), target);
        return bytes;
    }
    /// The file as the source of a transfer.
    [[nodiscard]] Buffer object(const std::string& name) const {
        return Buffer::open_file(path_of(name).string(), OpenMode::READ_ONLY, 0, 0, context_);
    }
    /// The file as a target of `bytes` bytes, emptied first and written in place.
    [[nodiscard]] Buffer object(const std::string& name, std::size_t bytes) {
        const std::filesystem::path path = path_of(name);
        make_folder(path.parent_path());
        return Buffer::open_file(path.string(), OpenMode::CREATE | OpenMode::TRUNCATE, 0, bytes,
                                 context_);
    }

    [[nodiscard]] bool exists(const std::string& name) const {
        std::error_code ignored;
        return std::filesystem::is_regular_file(path_of(name), ignored);
    }
    [[nodiscard]] std::size_t size(const std::string& name) const {
        std::error_code error;
        const auto bytes = std::filesystem::file_size(path_of(name), error);
        if (error)
            detail::throw_system(path_of(name).string(), error.value());
        return static_cast<std::size_t>(bytes);
    }
    void remove(const std::string& name) {
        if (::unlink(path_of(name).c_str()) != 0)
            detail::throw_system(path_of(name).string(), errno);
    }
    /// The names, sorted.
    [[nodiscard]] std::vector<std::string> list() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(root_))
            if (entry.is_regular_file() && !ends_in_temporary(entry.path().string()))
                names.push_back(std::filesystem::relative(entry.path(), root_).generic_string());
        std::sort(names.begin(), names.end());
        return names;
    }

  private:
    static constexpr const char* TEMPORARY = ".nixl-tmp";

    static bool ends_in_temporary(const std::string& name) {
        const std::string end = TEMPORARY;
        return name.size() >= end.size() &&
               name.compare(name.size() - end.size(), end.size(), end) == 0;
    }
    [[nodiscard]] std::filesystem::path path_of(const std::string& name) const {
        bool good =
            !name.empty() && name.find('\0') == std::string::npos && !ends_in_temporary(name);
        for (std::size_t begin = 0; good && begin <= name.size();) {
            const std::size_t end = std::min(name.find('/', begin), name.size());
            const std::string part = name.substr(begin, end - begin);
            good = !part.empty() && part != "." && part != "..";
            begin = end + 1;
        }
        if (!good)
            throw NIXLException(Code::INVALID_ARGUMENT, "'" + name + "' is no name in a store",
                                "names are relative, without '..' and empty parts");
        return root_ / name;
    }
    static void make_folder(const std::filesystem::path& folder) {
        std::error_code error;
        std::filesystem::create_directories(folder, error);
        if (!error && !std::filesystem::is_directory(folder))
            error = std::make_error_code(std::errc::not_a_directory);
        if (error)
            detail::throw_system(folder.string(), error.value());
    }

    std::filesystem::path root_;
    nixl_context context_;
};

/// Numbered blocks of a device, or of a file used as one. Threads: any.
class BlockBackend {
  public:
    /// `mode` FORCE allows writing to a block device; DIRECT bypasses the page cache.
    explicit BlockBackend(const std::string& path, std::size_t block_size = 4096,
                          OpenMode mode = OpenMode::READ_WRITE,
                          nixl_context context = default_context())
        : block_size_(block_size), region_(Buffer::open_block(path, mode, 0, 0, context)) {
        if (block_size == 0)
            throw NIXLException(Code::INVALID_ARGUMENT, "a block has at least one byte");
    }

    /// All of `data` from the start of a block on; the rest of its last block stays. Returns how
    /// many bytes that were.
    std::size_t write_block(std::uint64_t block_id, const Buffer& data) {
        move(data, 0, region_, offset_of(block_id, data.size()), data.size());
        return data.size();
    }
    std::size_t write_block(std::uint64_t block_id, const void* data, std::size_t bytes) {
        return write_block(block_id,
                           Buffer::from_host(data, bytes, MemoryType::HOST, region_.context()));
    }
    /// `bytes` bytes from the start of a block on, into `target`.
    void read_block(std::uint64_t block_id, const Buffer& target, std::size_t bytes) {
        move(region_, offset_of(block_id, bytes), target, 0, bytes);
    }
    /// One block.
    [[nodiscard]] std::vector<unsigned char> read_block(std::uint64_t block_id) {
        std::vector<unsigned char> bytes(block_size_);
        read_block(
            block_id,
            Buffer::from_host(bytes.data(), bytes.size(), MemoryType::HOST, region_.context()),
            bytes.size());
        return bytes;
    }
    void flush() { region_.flush(); }
    [[nodiscard]] std::size_t size() const { return region_.size(); }
    [[nodiscard]] std::size_t block_size() const noexcept { return block_size_; }

  private:
    [[nodiscard]] std::uint64_t offset_of(std::uint64_t block_id, std::size_t bytes) const {
        const std::uint64_t most = region_.size();
        if (block_id > most / block_size_ || bytes > most - block_id * block_size_)
            throw NIXLException(Code::OUT_OF_RANGE, "block " + std::to_string(block_id) + " with " +
                                                        std::to_string(bytes) +
                                                        " bytes ends beyond the device's " +
                                                        std::to_string(most));
        return block_id * block_size_;
    }
    static void move(const Buffer& source, std::uint64_t source_offset, const Buffer& target,
                     std::uint64_t target_offset, std::size_t bytes) {
        if (bytes == 0)
            return;
        const nixl_context context = detail::common_context(source, target);
        nixl_request request{};
        detail::check(nixl_request_create_range(context, source.handle(), source_offset,
                                                target.handle(), target_offset, bytes, &request));
        Transfer transfer(std::make_shared<detail::Operation>(context, request));
        transfer.post_and_wait();
    }

    std::size_t block_size_;
    Buffer region_;
};

} // namespace nixl
