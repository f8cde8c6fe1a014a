# SPDX-License-Identifier: Apache-2.0
"""The steps of ./dev test and ./dev check: what each runs, what it needs, how it is counted."""

import glob
import os
import sys

import tree

MINUTE = 60
# Every seed of the fault suites is a test of its own; sanitized code is ten times slower.
SEEDS_PLAIN, SEEDS_SANITIZED = "200", "20"
# Allocations and instructions are counted in the plain build; a sanitizer has its own.
WITHOUT_COUNTS = ("--no-suite", "perf")
# Lines for the sanitizers' stacks, in 0.4 of the time that -O2 -g takes to compile. UBSan's checks
# take GCC twice as long at -O1 as at -Og.
SANITIZED_BUILD = ("-Ddebug=true", "-Dc_args=-g1", "-Dcpp_args=-g1")
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:suppressions="
    + os.path.join(tree.ROOT, "tests", "support", "tsan.supp"),
}


class Step:
    def __init__(
        self,
        name,
        about,
        command,
        needs=(),
        environment=None,
        meson_build=None,
        skip=None,
        counted=True,
        limit_s=10 * MINUTE,
        must_pass_some=False,
    ):
        self.name = name
        self.about = about
        self.command = command
        self.needs = needs
        self.environment = environment or {}
        self.meson_build = meson_build  # count the cases in this folder's meson log
        self.skip = skip  # () -> reason, or "" to run
        self.counted = counted  # False: a success is no test case, a failure is one
        self.limit_s = limit_s
        self.must_pass_some = must_pass_some  # a filter that finds nothing is a failure


def script(name, *arguments):
    return [sys.executable, os.path.join("scripts", name)] + list(arguments)


def build_step(name, folder, about, *options):
    return Step(
        name,
        about,
        script("configure_and_build.py", folder, *options),
        counted=False,
        limit_s=45 * MINUTE,  # two sanitized builds share two cores
    )


def meson_step(name, folder, about, need, *arguments, **environment):
    command = [
        "meson",
        "test",
        "-C",
        folder,
        "--no-rebuild",
        "--print-errorlogs",
        "--timeout-multiplier",
        "4",
    ] + list(arguments)
    return Step(
        name,
        about,
        command,
        needs=(need,),
        environment=environment,
        meson_build=folder,
        limit_s=45 * MINUTE,  # two sanitized builds share two cores
    )


def specification():
    """The product's specification, whose examples are tested literally; not part of the tree."""
    named = os.environ.get("NIXL_TEST_SPECIFICATION")
    found = [named] if named else glob.glob(os.path.join(tree.ROOT, "../shared/spec/000_*.txt"))
    return found[0] if found and os.path.isfile(found[0]) else None


def no_specification():
    return "" if specification() else "the specification's text is not beside this checkout"


def static_steps():
    return [
        Step("format", "clang-format finds nothing to do", ["scripts/fmt.sh", "--check"]),
        Step("layers", "includes follow layers.toml", script("check_layers.py")),
        Step("style", "the rules of STYLE.md that a program can check", script("check_style.py")),
        Step("documents", "links and generated pages are right", script("check_documents.py")),
        Step(
            "conformance-table",
            "docs/conformance.md is what the tests say",
            script("conformance.py", "--check"),
        ),
        Step(
            "scripts",
            "the scripts' own tests",
            [sys.executable, "-m", "unittest", "discover", "-s", "scripts", "-p", "*_test.py"],
        ),
        Step("headers", "every header compiles alone", script("check_headers.py")),
        Step("kernels", "the kept PTX is what its sources make", script("check_kernels.py")),
    ]


def asan_steps(*arguments):
    return [
        build_step(
            "asan-build",
            "build-asan",
            "build with ASan and UBSan",
            "-Db_sanitize=address,undefined",
            "-Doptimization=g",
            *SANITIZED_BUILD,
        ),
        meson_step(
            "asan-tests",
            "build-asan",
            "all suites under ASan and UBSan",
            "asan-build",
            *arguments,
            NIXL_TEST_SEEDS=SEEDS_SANITIZED,
            **SANITIZER_OPTIONS,
        ),
    ]


def installed_steps():
    """What users get, used as they use it."""
    found = specification() or ""
    return [
        Step(
            "python",
            "the installed Python package, with and without its extension",
            script("check_python.py"),
            needs=("build",),
            limit_s=20 * MINUTE,
        ),
        Step(
            "tools",
            "the programs, run as users run them",
            [sys.executable, "tests/integration/tools/run.py", "build"],
            needs=("build",),
        ),
        Step(
            "abi",
            "exported symbols and struct layouts are the frozen ones",
            script("check_abi.py", "--check"),
            needs=("build",),
        ),
        Step(
            "template",
            "the template backend outside of the tree",
            script("check_template.py"),
            needs=("build",),
        ),
        Step(
            "minimal",
            "the four packages alone: build, install, import, benchmark",
            script("check_minimal.py"),
            limit_s=45 * MINUTE,  # two sanitized builds share two cores
        ),
        Step(
            "wheel",
            "a wheel, built and used in a fresh environment",
            script("check_wheel.py"),
            limit_s=20 * MINUTE,
        ),
        Step(
            "examples",
            "the README's programs and examples/, run against an installation",
            script("check_examples.py"),
            needs=("build",),
        ),
        Step(
            "seed",
            "the specification's examples, word for word, on simulated GPUs",
            [sys.executable, "tests/seed/run.py", "--text", found],
            needs=("build",),
            skip=no_specification,
            limit_s=30 * MINUTE,
        ),
        Step(
            "example",
            "the specification's C++ example, installed library, sanitizers",
            script("check_example.py", found),
            needs=("build", "tsan-build"),
            skip=no_specification,
        ),
    ]


def gpu_step(name, about, command, skip=None, must_pass_some=True, limit_s=4 * MINUTE,
             **environment):
    """On the machine's own GPUs. In a bundle everything is built."""
    needs = ("gpu",) if name != "gpu" else () if tree.BUNDLED else ("build",)
    return Step(name, about, command, needs=needs, skip=skip,
                environment=dict({"NIXL_TEST_GPU": "1"}, **environment), limit_s=limit_s,
                must_pass_some=must_pass_some)


def gpu_steps():
    """What the simulated driver proves, once more on real GPUs."""
    build = [] if tree.BUNDLED else [build_step("build", "build", "build as a user does")]
    return build + [
        gpu_step("gpu", "there is a GPU, and its driver can be used", script("check_gpu.py")),
        # Losing a GPU cannot be asked of a real one.
        gpu_step("gpu-backend", "the cuda backend's own tests",
                 ["build/tests/unit/cuda-unit-tests", "--gtest_filter=-*LostGpu*"]),
        gpu_step("gpu-kit", "the backend kit over cuda, alone and behind fault",
                 ["build/tests/conformance/backend-conformance", "--gtest_filter=*cuda*"],
                 NIXL_TEST_SEEDS=SEEDS_SANITIZED),
        gpu_step("gpu-library", "the library kit over cuda, alone and behind fault",
                 ["build/tests/conformance/library-conformance", "--gtest_filter=*cuda*"],
                 NIXL_TEST_SEEDS=SEEDS_SANITIZED),
        gpu_step("gpu-python", "GPU memory from Python; PyTorch and CuPy where they are",
                 script("check_gpu_python.py")),
        gpu_step("gpu-seed", "the specification's examples, word for word",
                 [sys.executable, "tests/seed/run.py", "--gpus", "real", "--text",
                  specification() or ""], skip=no_specification, limit_s=15 * MINUTE),
        gpu_step("gpu-memcheck", "compute-sanitizer finds no wrong access",
                 script("check_gpu.py", "--sanitizer", "memcheck"), must_pass_some=False),
        gpu_step("gpu-racecheck", "compute-sanitizer finds no race in shared memory",
                 script("check_gpu.py", "--sanitizer", "racecheck"), must_pass_some=False),
    ]


def steps_of(group):
    if group == "gpu":
        return gpu_steps()
    if group == "check":
        suites = ("--suite", "unit", "--suite", "api", "--suite", "conformance")
        return static_steps() + asan_steps(*suites)
    return [
        build_step("build", "build", "build as a user does"),
        *static_steps(),
        meson_step(
            "tests", "build", "all suites, plain build", "build", NIXL_TEST_SEEDS=SEEDS_PLAIN
        ),
        *asan_steps(*WITHOUT_COUNTS),
        build_step(
            "tsan-build",
            "build-tsan",
            "build with TSan",
            "-Db_sanitize=thread",
            "-Doptimization=1",
            *SANITIZED_BUILD,
        ),
        meson_step(
            "tsan-tests",
            "build-tsan",
            "all suites under TSan",
            "tsan-build",
            *WITHOUT_COUNTS,
            NIXL_TEST_SEEDS=SEEDS_SANITIZED,
            **SANITIZER_OPTIONS,
        ),
        *installed_steps(),
    ]
