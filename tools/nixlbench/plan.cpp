// SPDX-License-Identifier: Apache-2.0
#include "nixlbench/plan.h"

#include <algorithm>

#include <nixl/machine.hpp>

#include "common/failure.h"
#include "common/text.h"

namespace nixl::tools {

namespace {

constexpr Option TABLE[] = {
    {nullptr, nullptr, "", "What is moved"},
    {"mode", "MODE", "p2p", "p2p: one process moves bytes from one end to the other"},
    {"size", "SIZES", "64MB",
     "bytes of an iteration: 1GB, 1.5M, 4096; several as 4K,64K; doubling as 4K..64M. Units count "
     "1024"},
    {"si", nullptr, "no", "units count 1000 (KiB, MiB, GiB still 1024)"},
    {"block", "SIZE", "", "move elements of this size; --size or --count says how many"},
    {"count", "N", "", "number of elements of --block bytes"},
    {"layout", "NAME", "contiguous",
     "where the elements lie: contiguous, strided (every other place) or random"},
    {nullptr, nullptr, "", "Ends"},
    {"src-type", "TYPE", "",
     "cpu, cpu-pinned, cpu-pageable, file or gpu (also DRAM, FILE, VRAM) [pinned cpu when the "
     "other end is a GPU, else cpu]"},
    {"dst-type", "TYPE", "", "the same for the target [gpu where there is one, else cpu]"},
    {"src-device", "N", "0", "number of the source's GPU"},
    {"dst-device", "N", "0", "number of the target's GPU"},
    {"src-path", "PATH", "",
     "file or block device to read, or a folder for a temporary file [a temporary file in "
     "$TMPDIR]"},
    {"dst-path", "PATH", "",
     "the same for the target; a file that is made here stays when the run ends well"},
    {"overwrite", nullptr, "no", "an existing --dst-path may be written to"},
    {"direct", nullptr, "no", "files bypass the page cache"},
    {"backend", "NAME", "",
     "preferred engine of storage and network legs: auto, posix, file, block, ucx, gds, ... The "
     "report names what was really used"},
    {"sm-budget", "N", "", "multiprocessors that a kernel may take of a GPU; 0: all [the setting]"},
    {nullptr, nullptr, "", "Measuring"},
    {"compare", "NAME=VALUES", "",
     "each size with each value of a setting, in turn: engine=kernel,copy is cuda.engine, "
     "gdrcopy=on,off is enable_gdrcopy; chunk_size=1MB,4MB"},
    {"iterations", "N", "", "timed iterations, exactly [what fits into 5 s, at least 3]"},
    {"duration", "TIME", "", "time for each size instead: 500ms, 10s, 1m"},
    {"warmup", "N", "2", "iterations before those that count"},
    {"verify", "HOW", "sampled",
     "sampled: some places of every iteration, all bytes before and after; full: all bytes of "
     "every iteration; off"},
    {nullptr, nullptr, "", "Output"},
    {"output", "FORMAT", "text", "text, json or csv; alone on standard output"},
    {"quiet", nullptr, "no", "no progress line, and of the text only its six first lines"},
    {"help", nullptr, "no", "this text"},
    {"version", nullptr, "no", "the version"},
};

constexpr Usage USAGE = {
    "nixlbench", "[OPTION ...]",
    "Measures how fast nixl moves bytes between two ends, beside what plain memcpy and system "
    "calls "
    "take in the same run, and checks that the right bytes arrived.",
    "  nixlbench --mode p2p --size 1GB --iterations 100      memory to memory, or to a GPU\n"
    "  nixlbench --size 4K..64M --output json                a sweep, one JSON object\n"
    "  nixlbench --src-type cpu --dst-type file --size 1GB   write a temporary file\n"
    "  nixlbench --src-type file --dst-type cpu --direct --block 4K --size 256MB --layout random\n"
    "  nixlbench --src-type gpu --dst-type gpu --dst-device 1 --block 16K --count 65536 --layout "
    "random --compare engine=kernel,copy\n"
    "\n"
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 4 wrong bytes arrived, 5 not available here, "
    "130\n"
    "interrupted (with the partial result). NIXLBENCH_ON_MISSING=skip: 0 in place of 5.\n",
    0};

constexpr std::uint64_t DEFAULT_NS = 5'000'000'000, SHORTEST_SWEEP_NS = 500'000'000;
constexpr std::uint64_t MOST_RANDOM_ELEMENTS = 1 << 24; // each is a descriptor of 56 bytes

void check_mode(const std::string& mode) {
    const std::string wanted = lower_case(mode);
    if (wanted == "p2p")
        return;
    if (wanted == "sg" || wanted == "mg")
        throw Failure(EXIT_UNAVAILABLE,
                      "--mode " + mode +
                          " (several processes) is not part of this build; it has "
                          "p2p");
    throw Failure(EXIT_USAGE, "--mode: \"" + mode + "\" is none of p2p, SG, MG");
}

template <typename Value>
Value chosen(const CommandLine& line, const char* option,
             std::initializer_list<std::pair<const char*, Value>> values) {
    const std::string wanted = lower_case(line.text(option));
    std::vector<std::string> names;
    for (const auto& [name, value] : values) {
        if (wanted == name)
            return value;
        names.emplace_back(name);
    }
    throw Failure(EXIT_USAGE, "--" + std::string(option) + ": \"" + line.text(option) +
                                  "\" is none of " + joined(names, ", "));
}

int device_number(const CommandLine& line, const char* option) {
    const std::uint64_t number = parse_count(line.text(option), "--" + std::string(option));
    if (number > 1023)
        throw Failure(EXIT_UNAVAILABLE,
                      "--" + std::string(option) + ": no machine has GPU " + line.text(option));
    return static_cast<int>(number);
}

bool prefers_storage(const std::string& backend) {
    constexpr const char* NAMES[] = {"gds", "gds_mt", "posix", "file", "block"};
    return std::find(std::begin(NAMES), std::end(NAMES), lower_case(backend)) != std::end(NAMES);
}

void choose_ends(const CommandLine& line, Plan& plan) {
    plan.source.device = device_number(line, "src-device");
    plan.target.device = device_number(line, "dst-device");
    plan.source.path = line.text("src-path");
    plan.target.path = line.text("dst-path");
    plan.source.direct = plan.target.direct = line.is_on("direct");
    plan.target.overwrite = line.is_on("overwrite");
    const bool from = line.is_given("src-type"), to = line.is_given("dst-type");
    const bool gpu = get_device_count() > 0;
    const auto pick = [&](const char* option, bool given, const std::string& path, EndKind other) {
        if (given)
            return parse_end_kind(line.text(option), option);
        return path.empty() ? other : EndKind::FILE;
    };
    plan.source.kind = pick("src-type", from, plan.source.path, EndKind::CPU);
    const bool file = prefers_storage(plan.backend) && plan.source.kind != EndKind::FILE;
    const bool to_gpu = gpu && !from; // one end given: the other one is the CPU's
    plan.target.kind = pick("dst-type", to, plan.target.path,
                            file     ? EndKind::FILE
                            : to_gpu ? EndKind::GPU
                                     : EndKind::CPU);
    if (!from && plan.source.kind == EndKind::CPU && plan.target.kind == EndKind::GPU)
        plan.source.kind = EndKind::CPU_PINNED;
    if (!to && file)
        plan.ends_reason = "backend " + plan.backend + " is for storage, so the target is a file";
    else if (!from && !to && plan.source.path.empty() && plan.target.path.empty())
        plan.ends_reason =
            gpu ? "no ends given; the machine has a GPU" : "no ends given; the machine has no GPU";
    for (const auto& [end, option] : {std::pair{&plan.source, "src"}, {&plan.target, "dst"}})
        if (!end->path.empty() && end->kind != EndKind::FILE)
            throw Failure(EXIT_USAGE, format("--%s-path is for --%s-type file, not %s", option,
                                             option, end_kind_name(end->kind)));
    if (line.is_on("direct") && plan.source.kind != EndKind::FILE &&
        plan.target.kind != EndKind::FILE)
        throw Failure(EXIT_USAGE, "--direct is for files, and neither end is one");
}

void choose_sizes(const CommandLine& line, Plan& plan) {
    plan.units = line.is_on("si") ? SizeUnits::DECIMAL : SizeUnits::BINARY;
    plan.layout = parse_layout(line.text("layout"));
    plan.sizes = parse_sizes(line.text("size"), plan.units);
    const bool blocks = line.is_given("block");
    if (!blocks && (line.is_given("count") || plan.layout != Layout::CONTIGUOUS))
        throw Failure(EXIT_USAGE, "--count and --layout need --block");
    if (blocks) {
        plan.block_bytes = parse_size(line.text("block"), plan.units);
        if (plan.block_bytes == 0)
            throw Failure(EXIT_USAGE, "--block: an element has at least one byte");
    }
    if (line.is_given("count")) {
        const std::uint64_t count = parse_count(line.text("count"), "--count");
        if (count == 0 || count > (1ull << 60) / plan.block_bytes)
            throw Failure(EXIT_USAGE, "--count: " + line.text("count") + " elements are " +
                                          (count == 0 ? "none" : "more than any machine holds"));
        if (line.is_given("size"))
            throw Failure(EXIT_USAGE, "--size or --count with --block, not both");
        plan.sizes = {{short_size(count * plan.block_bytes, plan.units), count * plan.block_bytes}};
    }
    for (const NamedSize& size : plan.sizes) {
        if (blocks && size.bytes % plan.block_bytes != 0)
            throw Failure(EXIT_USAGE, "--size " + size.text + " is no multiple of --block " +
                                          line.text("block"));
        if (plan.layout == Layout::RANDOM && size.bytes / plan.block_bytes > MOST_RANDOM_ELEMENTS)
            throw Failure(EXIT_USAGE, "--layout random takes at most 16777216 elements");
    }
    plan.is_sweep = plan.sizes.size() > 1;
}

void choose_variants(const CommandLine& line, Plan& plan) {
    plan.sm_budget = line.text("sm-budget");
    if (!plan.sm_budget.empty())
        (void)parse_count(plan.sm_budget, "--sm-budget");
    plan.variants = {""};
    if (!line.is_given("compare"))
        return;
    const std::string text = line.text("compare");
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos || equals + 1 == text.size())
        throw Failure(EXIT_USAGE, "--compare: \"" + text + "\" is not NAME=VALUE,VALUE");
    plan.compared = text.substr(0, equals);
    if (plan.compared == "engine")
        plan.compared = "cuda.engine";
    if (plan.compared == "gdrcopy")
        plan.compared = "enable_gdrcopy";
    plan.variants.clear();
    for (size_t at = equals; at != std::string::npos;) {
        const size_t next = text.find(',', at + 1);
        plan.variants.push_back(text.substr(at + 1, next - at - 1));
        if (plan.variants.back().empty())
            throw Failure(EXIT_USAGE, "--compare: \"" + text + "\" has an empty value");
        at = next;
    }
    plan.is_sweep = plan.sizes.size() * plan.variants.size() > 1;
}

void choose_length(const CommandLine& line, Plan& plan) {
    if (line.is_given("iterations") && line.is_given("duration"))
        throw Failure(EXIT_USAGE, "--iterations or --duration, not both");
    if (line.is_given("iterations")) {
        plan.iterations = parse_count(line.text("iterations"), "--iterations");
        if (plan.iterations == 0)
            throw Failure(EXIT_USAGE, "--iterations: 0 iterations measure nothing; at least 1");
    } else if (line.is_given("duration")) {
        plan.target_ns = parse_duration_ns(line.text("duration"));
    } else {
        plan.target_ns =
            std::max(DEFAULT_NS / (plan.sizes.size() * plan.variants.size()), SHORTEST_SWEEP_NS);
    }
    plan.warmup = parse_count(line.text("warmup"), "--warmup");
}

} // namespace

CommandLine command_line() { return CommandLine(USAGE, TABLE); }

Plan make_plan(const CommandLine& line) {
    Plan plan;
    plan.output = chosen<OutputFormat>(
        line, "output",
        {{"text", OutputFormat::TEXT}, {"json", OutputFormat::JSON}, {"csv", OutputFormat::CSV}});
    plan.verify = chosen<VerifyMode>(
        line, "verify",
        {{"sampled", VerifyMode::SAMPLED}, {"full", VerifyMode::FULL}, {"off", VerifyMode::OFF}});
    plan.quiet = line.is_on("quiet");
    plan.arguments = line.arguments();
    plan.backend = line.text("backend");
    check_mode(line.text("mode"));
    choose_sizes(line, plan);
    choose_variants(line, plan);
    choose_length(line, plan);
    choose_ends(line, plan);
    const std::string backend = lower_case(plan.backend);
    if (backend == "s3" || backend == "obj")
        throw Failure(EXIT_UNAVAILABLE,
                      "--backend " + plan.backend + ": object storage is not part of this build");
    return plan;
}

OutputFormat guess_format(int argc, const char* const* argv) {
    for (int i = 1; i < argc; ++i) {
        std::string argument = lower_case(argv[i]);
        argument.erase(0, std::min(argument.find_first_not_of('-'), argument.size()));
        if (argument == "output=json" ||
            (argument == "output" && i + 1 < argc && lower_case(argv[i + 1]) == "json"))
            return OutputFormat::JSON;
    }
    return OutputFormat::TEXT;
}

} // namespace nixl::tools
