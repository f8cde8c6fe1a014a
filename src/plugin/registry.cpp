// SPDX-License-Identifier: Apache-2.0
#include "plugin/registry.h"

#include <algorithm>
#include <filesystem>

#include <dlfcn.h>

#include "base/log.h"
#include "base/text.h"

namespace nixl::core {

namespace {

/// A plug-in stays loaded while its table is used. RTLD_LOCAL: two plug-ins never see each other.
Result<TableOwner> open_library(const std::string& path) {
    void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        const char* why = dlerror();
        return Error(Code::INVALID_ARGUMENT, why != nullptr ? why : path + ": dlopen failed");
    }
    return TableOwner(handle, [](void* library) { dlclose(library); });
}

std::string backend_of(std::string_view wrapped_name) {
    const size_t colon = wrapped_name.rfind(':');
    return std::string(colon == std::string_view::npos ? wrapped_name
                                                       : wrapped_name.substr(colon + 1));
}

} // namespace

Result<void> BackendRegistry::set_decorators(const std::string& text,
                                             const std::vector<DecoratorEntry>& known) {
    for (const std::string_view view : split(text, ',')) {
        const std::string part(view);
        const size_t colon = part.find(':');
        const std::string name = part.substr(0, colon);
        const auto found = std::find_if(known.begin(), known.end(),
                                        [&](const auto& entry) { return name == entry.name; });
        if (found == known.end() || colon == std::string::npos) {
            std::string names;
            for (const auto& entry : known)
                names += (names.empty() ? "" : ", ") + std::string(entry.name);
            return Error(Code::INVALID_ARGUMENT,
                         "decorators: '" + part + "' is not DECORATOR:BACKEND",
                         "decorators are " + names + "; example: fault:posix");
        }
        decorations_.push_back({*found, part.substr(colon + 1)});
    }
    return {};
}

Result<void> BackendRegistry::decorate(nixl_backend_v1& table, TableOwner& owner) const {
    for (auto wanted = decorations_.rbegin(); wanted != decorations_.rend(); ++wanted) {
        if (wanted->backend != backend_of(table.name))
            continue;
        nixl_backend_v1 wrapped{};
        wrapped.struct_size = sizeof wrapped;
        const nixl_status status = wanted->decorator.wrap(&table, &wrapped);
        if (status != NIXL_OK)
            return Error(static_cast<Code>(status), std::string("decorator ") +
                                                        wanted->decorator.name + " refused " +
                                                        table.name);
        // The owner of the inner table lives in the deleter of the outer one.
        auto kept = std::make_unique<nixl_backend_v1>(wrapped);
        owner = TableOwner(kept.release(), [inner = std::move(owner),
                                            release = wanted->decorator.release](void* outer) {
            const std::unique_ptr<nixl_backend_v1> mine(static_cast<nixl_backend_v1*>(outer));
            release(mine.get());
        });
        table = wrapped;
    }
    return {};
}

Result<void> BackendRegistry::add(const nixl_backend_v1& given, BackendOrigin origin,
                                  std::string source, TableOwner owner) {
    if (backends_.size() >= MAX_BACKENDS)
        return Error(Code::AGAIN, "backend from " + source + ": " + std::to_string(MAX_BACKENDS) +
                                      " backends are loaded already");
    // The rules first, on the bare table; decorators rely on them.
    NIXL_ASSIGN_OR_RETURN(auto bare, Backend::create(given, origin, source, owner, host_));
    nixl_backend_v1 table = bare->table();
    for (const auto& other : backends_)
        if (backend_of(other->name()) == backend_of(table.name))
            return Error(Code::ALREADY_EXISTS, "backend from " + source + ": the name " +
                                                   backend_of(table.name) + " is taken by " +
                                                   other->source());
    NIXL_RETURN_IF_ERROR(decorate(table, owner));
    if (table.self != given.self || table.name != given.name) {
        NIXL_ASSIGN_OR_RETURN(bare, Backend::create(table, origin, source, owner, host_, true));
    }
    bare->number = static_cast<uint32_t>(backends_.size());
    if (!bare->available())
        NIXL_LOG(DEBUG, "backend " + bare->name() + " is off: " + bare->unavailable());
    if (!bare->note().empty() && log_first_time(bare->name() + bare->note()))
        NIXL_LOG(WARN, "backend " + bare->name() + ": " + bare->note());
    backends_.push_back(std::move(bare));
    count_.fetch_add(1, std::memory_order_release); // pairs with backends()
    return {};
}

void BackendRegistry::add_built_in(const std::vector<BackendEntry>& entries) {
    for (const BackendEntry& entry : entries) {
        nixl_backend_v1 table{};
        table.struct_size = sizeof table;
        const nixl_status status = entry.entry(&host_, &table);
        const std::string source = std::string("built in: ") + entry.name;
        if (status != NIXL_OK) {
            refused_.push_back({source, code_name(static_cast<Code>(status))});
            continue;
        }
        if (auto added = add(table, BackendOrigin::BUILT_IN, source, nullptr); !added.ok())
            refused_.push_back({source, added.error().message});
    }
}

Result<void> BackendRegistry::load_file(const std::string& path) {
    NIXL_ASSIGN_OR_RETURN(TableOwner library, open_library(path));
    auto* entry =
        reinterpret_cast<nixl_backend_entry_fn>(dlsym(library.get(), "nixl_backend_entry"));
    if (entry == nullptr)
        return Error(Code::INVALID_ARGUMENT, path + " does not export nixl_backend_entry");
    nixl_backend_v1 table{};
    table.struct_size = sizeof table;
    const nixl_status status = entry(&host_, &table);
    if (status != NIXL_OK)
        return Error(static_cast<Code>(status), path + ": nixl_backend_entry answered " +
                                                    code_name(static_cast<Code>(status)) +
                                                    " to ABI " + std::to_string(host_.abi));
    return add(table, BackendOrigin::PLUGIN, path, std::move(library));
}

void BackendRegistry::load_folders(const std::string& folders) {
    for (const std::string_view view : split(folders, ':')) {
        const std::string folder(view);
        std::error_code failed;
        std::vector<std::string> paths;
        for (std::filesystem::directory_iterator item(folder, failed), end; !failed && item != end;
             item.increment(failed))
            if (item->path().extension() == ".so")
                paths.push_back(item->path().string());
        if (failed) {
            refused_.push_back({folder, "cannot list the folder: " + failed.message()});
            NIXL_LOG(WARN, "plugin_dir " + folder + ": " + failed.message());
            continue;
        }
        std::sort(paths.begin(), paths.end()); // the same order everywhere
        for (const std::string& path : paths) {
            if (auto loaded = load_file(path); !loaded.ok()) {
                refused_.push_back({path, loaded.error().message});
                NIXL_LOG(WARN, "plug-in refused: " + loaded.error().message);
            }
        }
    }
}

} // namespace nixl::core
