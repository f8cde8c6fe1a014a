// SPDX-License-Identifier: Apache-2.0
// Stores with the names and rules of the Python classes: a directory of files, a device of blocks.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nixl/machine.hpp>
#include <nixl/transfer.hpp>

namespace nixl {

namespace detail {

[[noreturn]] inline void throw_system(const std::string& what, int error) {
    const Code code = error == ENOENT                     ? Code::NOT_FOUND
                      : error == EACCES || error == EPERM ? Code::PERMISSION_DENIED
                      : error == ENOSPC                   ? Code::NO_SPACE
                      : error == ENAMETOOLONG             ? Code::INVALID_ARGUMENT
                                                          : Code::IO_ERROR;
    throw NIXLException(code, what + ": " + std::strerror(error));
}

/// Makes a file at least `bytes` long; never shorter, whoever else makes it longer.
inline void grow_file(const std::string& path, std::uint64_t bytes) {
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0)
        throw_system(path, errno);
    (void)::flock(descriptor, LOCK_EX); // among all that grow it this way
    struct stat found {};
    int error = 0;
    if (::fstat(descriptor, &found) != 0 ||
        (static_cast<std::uint64_t>(found.st_size) < bytes &&
         ::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0))
        error = errno;
    (void)::flock(descriptor, LOCK_UN); // a child that was forked meanwhile keeps it open
    ::close(descriptor);
    if (error != 0)
        throw_system(path, error);
}

/// Makes a file at most `bytes` long, and one that is missing.
inline void cut_file(const std::string& path, std::uint64_t bytes) {
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor < 0)
        throw_system(path, errno);
    struct stat found {};
    int error = 0;
    if (::fstat(descriptor, &found) != 0 ||
        (static_cast<std::uint64_t>(found.st_size) > bytes &&
         ::ftruncate(descriptor, static_cast<off_t>(bytes)) != 0))
        error = errno;
    ::close(descriptor);
    if (error != 0)
        throw_system(path, error);
}

/// Makes the names of a directory durable.
inline void sync_folder(const std::filesystem::path& folder) {
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0 && errno == EACCES) { // may be written to, but not read
        ::sync();
        return;
    }
    if (descriptor < 0)
        throw_system(folder.string(), errno);
    const int error = ::fsync(descriptor) == 0 ? 0 : errno;
    ::close(descriptor);
    if (error != 0)
        throw_system(folder.string(), error);
}

/// Makes an empty file that no other writer has: by chance, as containers that share a folder have
/// the same numbers of processes. Short, as names may be as long as the system allows.
inline std::string new_temporary(const std::filesystem::path& folder, const char* suffix) {
    constexpr int NAMES_TRIED = 16; // each is taken with a chance of one in 2^64
    for (int attempt = 1;; ++attempt) {
        unsigned long long number = 0;
        char name[20] = "";
        if (::getentropy(&number, sizeof number) != 0)
            throw_system("getentropy", errno);
        std::snprintf(name, sizeof name, ".%016llx", number);
        const std::string path = (folder / (std::string(name) + suffix)).string();
        const int made = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (made >= 0) {
            ::close(made);
            return path;
        }
        if (errno != EEXIST || attempt == NAMES_TRIED)
            throw_system(path, errno);
    }
}

} // namespace detail

/// Byte strings under names in a directory. Threads: any; writers of one name replace each other.
/// A process that is killed while it writes leaves a hidden file that ends in .nixl-tmp. It is
/// never listed, and may be removed while nobody writes.
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
        const std::filesystem::path path = path_of(name, false);
        make_folder(path.parent_path());
        const std::string temporary = detail::new_temporary(path.parent_path(), TEMPORARY);
        try {
            Buffer target =
                Buffer::open_file(temporary, OpenMode::CREATE, 0, data.size(), context_);
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
    /// The file as a target of `bytes` bytes, made when missing, written in place. What it holds
    /// beyond them is cut off now.
    [[nodiscard]] Buffer object(const std::string& name, std::size_t bytes) {
        const std::filesystem::path path = path_of(name);
        make_folder(path.parent_path());
        detail::cut_file(path.string(), bytes);
        return Buffer::open_file(path.string(), OpenMode::CREATE, 0, bytes, context_);
    }

    [[nodiscard]] bool exists(const std::string& name) const {
        try {
            std::error_code ignored;
            return std::filesystem::is_regular_file(path_of(name), ignored);
        } catch (const NIXLException& error) {
            if (error.code() != Code::PERMISSION_DENIED)
                throw;
            return false; // a link that leaves the folder
        }
    }
    [[nodiscard]] std::size_t size(const std::string& name) const {
        std::error_code error;
        const auto bytes = std::filesystem::file_size(path_of(name), error);
        if (error)
            detail::throw_system(path_of(name).string(), error.value());
        return static_cast<std::size_t>(bytes);
    }
    void remove(const std::string& name) {
        const std::filesystem::path path = path_of(name, false);
        if (::unlink(path.c_str()) != 0)
            detail::throw_system(path.string(), errno);
    }
    /// The names, sorted. NOT_FOUND when the directory was removed; PERMISSION_DENIED or IO_ERROR
    /// when a folder cannot be read, but for the `lost+found` of a disk that is mounted there.
    [[nodiscard]] std::vector<std::string> list() const {
        std::vector<std::string> names;
        std::vector<std::filesystem::path> folders{root_};
        while (!folders.empty()) {
            const std::filesystem::path folder = std::move(folders.back());
            folders.pop_back();
            std::error_code error;
            std::filesystem::directory_iterator entry(folder, error);
            for (const std::filesystem::directory_iterator end; !error && entry != end;
                 entry.increment(error)) {
                std::error_code gone; // meanwhile
                if (!entry->is_symlink(gone) && entry->is_directory(gone))
                    folders.push_back(entry->path());
                else if (entry->is_regular_file(gone) && !ends_in_temporary(entry->path().string()))
                    names.push_back(entry->path().lexically_relative(root_).generic_string());
            }
            const bool removed = error.value() == ENOENT && folder != root_;
            const bool of_the_disk = error.value() == EACCES && folder == root_ / "lost+found";
            if (error && !removed && !of_the_disk)
                detail::throw_system(folder.string(), error.value());
        }
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
    /// With `follow` what lies there is used, else it is replaced.
    [[nodiscard]] std::filesystem::path path_of(const std::string& name, bool follow = true) const {
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
        const std::filesystem::path path = root_ / name;
        std::error_code error;
        const auto inside =
            std::filesystem::weakly_canonical(follow ? path : path.parent_path(), error);
        const auto root = error ? root_ : std::filesystem::weakly_canonical(root_, error);
        if (!error && std::mismatch(root.begin(), root.end(), inside.begin(), inside.end()).first !=
                          root.end())
            throw NIXLException(Code::PERMISSION_DENIED,
                                path.string() + ": a symbolic link leaves the store's folder");
        return path;
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

/// Numbered blocks of a device, or of a file used as one, which grows as needed. Threads: any.
class BlockBackend {
  public:
    /// The arguments of the Python class. `use_gds` prefers GPUDirect Storage, with a warning where
    /// it is not there; `force` allows writing to a block device, as NIXL_ALLOW_RAW_WRITE=1 does;
    /// `direct` bypasses the page cache.
    explicit BlockBackend(const std::string& path, bool use_gds = false,
                          std::size_t block_size = 4096, bool force = false, bool direct = false,
                          nixl_context context = default_context())
        : path_(path), block_size_(block_size), context_(context),
          mode_((force ? OpenMode::FORCE : OpenMode::READ_WRITE) |
                (direct ? OpenMode::DIRECT : OpenMode::READ_WRITE)) {
        if (block_size == 0)
            throw NIXLException(Code::INVALID_ARGUMENT, "a block has at least one byte");
        struct stat found {};
        if (::stat(path.c_str(), &found) != 0)
            detail::throw_system(path, errno);
        regular_ = S_ISREG(found.st_mode);
        if (!regular_ && !S_ISBLK(found.st_mode))
            throw NIXLException(Code::INVALID_ARGUMENT,
                                path + " is neither a block device nor a regular file");
        if (use_gds && !(gds_active_ = get_capabilities(context).gds))
            detail::warn(path + ": GPUDirect Storage is not used: it is not there");
        open();
    }
    /// A number is no `use_gds`.
    template <typename Number, typename = std::enable_if_t<std::is_integral_v<Number> &&
                                                           !std::is_same_v<Number, bool>>>
    BlockBackend(const std::string& path, Number, std::size_t = 0, bool = false,
                 bool = false) = delete;

    /// All of `data` from the start of a block on; the rest of its last block stays. Returns how
    /// many bytes that were.
    std::size_t write_block(std::uint64_t block_id, const Buffer& data) {
        const Part part = part_of(block_id, data.size(), true);
        move(data, 0, part.region.get(), part.offset, data.size());
        return data.size();
    }
    std::size_t write_block(std::uint64_t block_id, const void* data, std::size_t bytes) {
        return write_block(block_id, Buffer::from_host(data, bytes, MemoryType::HOST, context_));
    }
    /// `bytes` bytes from the start of a block on, into `target`.
    void read_block(std::uint64_t block_id, const Buffer& target, std::size_t bytes) {
        const Part part = part_of(block_id, bytes, false);
        if (bytes != 0)
            move(*part.region, part.offset, &target, 0, bytes);
    }
    /// `bytes` bytes from the start of a block on; 0: one block.
    [[nodiscard]] std::vector<unsigned char> read_block(std::uint64_t block_id,
                                                        std::size_t bytes = 0) {
        std::vector<unsigned char> result(bytes != 0 ? bytes : block_size_);
        read_block(block_id,
                   Buffer::from_host(result.data(), result.size(), MemoryType::HOST, context_),
                   result.size());
        return result;
    }
    void flush() {
        if (const std::shared_ptr<const Buffer> region = current())
            region->flush();
    }
    /// Bytes of the device or file.
    [[nodiscard]] std::size_t size() const {
        if (regular_)
            return static_cast<std::size_t>(file_bytes());
        return current()->size();
    }
    [[nodiscard]] std::size_t block_size() const noexcept { return block_size_; }
    [[nodiscard]] bool gds_active() const noexcept { return gds_active_; }

  private:
    struct Part {
        std::shared_ptr<const Buffer> region; // stays while a transfer uses it
        std::uint64_t offset;
    };

    /// Looks at the device or file as it is now.
    void open() {
        if (regular_ && file_bytes() == 0)
            return; // there is no region of no bytes
        try {
            region_ = std::make_shared<Buffer>(Buffer::open_block(path_, mode_, 0, 0, context_));
        } catch (const NIXLException& error) {
            if (error.code() != Code::PERMISSION_DENIED)
                throw;
            region_ = std::make_shared<Buffer>(
                Buffer::open_block(path_, mode_ | OpenMode::READ_ONLY, 0, 0, context_));
        }
    }
    [[nodiscard]] std::uint64_t file_bytes() const {
        struct stat found {};
        if (::stat(path_.c_str(), &found) != 0)
            detail::throw_system(path_, errno);
        return static_cast<std::uint64_t>(found.st_size);
    }
    [[nodiscard]] std::shared_ptr<const Buffer> current() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return region_;
    }
    [[nodiscard]] std::uint64_t known() const { return region_ == nullptr ? 0 : region_->size(); }

    [[nodiscard]] Part part_of(std::uint64_t block_id, std::uint64_t bytes, bool write) {
        constexpr std::uint64_t MOST = std::uint64_t{1} << 62;
        const std::lock_guard<std::mutex> lock(mutex_);
        if (block_id > MOST / block_size_ || bytes > MOST - block_id * block_size_)
            throw NIXLException(Code::OUT_OF_RANGE,
                                "there is no block " + std::to_string(block_id));
        const std::uint64_t offset = block_id * block_size_, end = offset + bytes;
        if (bytes == 0 && write)
            return {region_, offset};
        if (end > known() && regular_) {
            if (write) { // whole blocks, so that every block that was written can be read
                check_writable();
                detail::grow_file(path_, (end + block_size_ - 1) / block_size_ * block_size_);
            }
            open();
        }
        if (end > known())
            throw NIXLException(Code::OUT_OF_RANGE,
                                path_ + " has " + std::to_string(known()) + " bytes; block " +
                                    std::to_string(block_id) + " with " + std::to_string(bytes) +
                                    " bytes ends at " + std::to_string(end));
        if (write)
            check_writable();
        return {region_, offset};
    }
    void check_writable() const {
        if (region_ == nullptr || !region_->is_read_only())
            return;
        if (regular_)
            throw NIXLException(Code::PERMISSION_DENIED, path_ + " is not writable");
        throw NIXLException(Code::PERMISSION_DENIED,
                            path_ + " is a block device: writing to it destroys what it holds",
                            "pass force = true, or set NIXL_ALLOW_RAW_WRITE=1, when you mean it");
    }
    static void move(const Buffer& source, std::uint64_t source_offset, const Buffer* target,
                     std::uint64_t target_offset, std::size_t bytes) {
        if (bytes == 0)
            return;
        const nixl_context context = detail::common_context(source, *target);
        nixl_request request{};
        detail::check(nixl_request_create_range(context, source.handle(), source_offset,
                                                target->handle(), target_offset, bytes, &request));
        Transfer transfer(std::make_shared<detail::Operation>(context, request));
        transfer.post_and_wait();
    }

    std::string path_;
    std::size_t block_size_;
    nixl_context context_;
    OpenMode mode_;
    bool regular_ = false;
    bool gds_active_ = false;
    mutable std::mutex mutex_;
    std::shared_ptr<Buffer> region_; // of an empty file: none
};

} // namespace nixl
