// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/made_file.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "common/failure.h"
#include "common/scratch_file.h"

namespace nixl::tools {

MadeFile::MadeFile(const std::string& path) {
    if (path.empty())
        return;
    const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (file.is_open())
        path_ = path;
    else if (errno != EEXIST)
        throw system_failure("making --dst-path " + path, errno);
    else if (std::error_code error; !std::filesystem::exists(path, error))
        // A link, of which nothing could be taken away.
        throw Failure(EXIT_ERROR, "--dst-path " + path +
                                      (error ? ": " + error.message()
                                             : " is a symbolic link to what is not there") +
                                      "; name the file itself");
}

MadeFile::~MadeFile() {
    if (is_made() && !kept_)
        ::unlink(path_.c_str());
}

} // namespace nixl::tools
