# SPDX-License-Identifier: Apache-2.0
"""nixl-info."""

import json
import os
import platform
import subprocess
import time
import unittest

from programs import Done, ProgramTest, clean_environment, program

SECRET = "hunter2-do-not-print"


class Info(ProgramTest):
    def info(self, *arguments, **environment):
        return self.run_in_folder("nixl-info", *arguments, **environment)

    def test_system_report_has_what_a_bug_report_needs(self):
        """Proves: S-018 S-200 S-231"""
        done = self.info("--system")

        self.assert_runs(done)
        self.assertIn(platform.release(), done.out)
        for name in ("nixl", "cuda_driver", "ucx", "python", "system", "kernel", "cpu", "memory",
                     "numa_nodes", "gdrcopy", "gpudirect_storage", "memcpy", "posix"):
            self.assertRegex(done.out, r"(?m)^  %s  " % name)
        self.assertIn("supported: CUDA 12.x, 13.x", done.out)
        self.assertIn("supported: 1.20.x", done.out)
        self.assertIn("supported: 3.8 and later", done.out)

    def test_system_report_is_quick_and_works_with_nothing_installed(self):
        """Proves: S-200"""
        start = time.monotonic()
        done = self.info("--system", PATH="/nonexistent", HOME="/nonexistent")

        self.assert_runs(done)
        self.assertLess(time.monotonic() - start, 20)  # 2 s on an idle machine
        self.assertRegex(done.out, r"(?m)^  python +not found")

    def test_system_report_tells_of_a_wrong_setting_and_goes_on(self):
        """Proves: S-200"""
        done = self.info("--system", NIXL_BACKEND="steam")

        self.assert_runs(done)
        self.assertIn("steam", done.out)
        self.assertIn(platform.release(), done.out)

    def test_secrets_are_not_shown(self):
        """Proves: S-200"""
        for arguments in (("--system",), ("--config",), ("--config", "--json"), ("--check",)):
            done = self.info(*arguments, NIXL_ETCD_PASSWORD=SECRET, AWS_SECRET_ACCESS_KEY=SECRET)
            self.assert_runs(done)
            self.assertNotIn(SECRET, done.out + done.err)

    def test_every_section_alone_in_text_and_json(self):
        """Proves: S-201"""
        for name in ("paths", "backends", "plugins", "capabilities", "gpus", "config"):
            with self.subTest(name=name):
                text, data = self.info("--" + name), self.info("--" + name, "--json")
                self.assert_runs(text)
                self.assertTrue(text.out.startswith(name + "\n"), text.out)
                self.assertEqual(list(data.json()), [name])
        everything = self.info("--system", "--check", "--json").json()
        self.assertLessEqual({"versions", "host", "gpus_and_drivers", "block_devices",
                              "network_interfaces", "backends", "plugins", "capabilities", "config",
                              "checks"}, set(everything))

    def test_gpus(self):
        """Proves: S-061"""
        done = self.info("--gpus", NIXL_SIM_GPUS="2")
        self.assertRegex(done.out, r"(?m)^  GPU 0 +Simulated GPU 0, simulated, 16\.00 GB, comp")
        self.assertIn("reaches GPU 0", done.out)
        found = self.info("--gpus", "--json", NIXL_SIM_GPUS="2").json()["gpus"]
        self.assertEqual([gpu["peers"] for gpu in found["gpus"]], [[1], [0]])
        none = self.info("--gpus", NIXL_ENABLE_GPU="false")
        self.assertRegex(none.out, r"(?m)^  none +GPUs are switched off")

    def test_config_shows_values_and_where_they_come_from(self):
        """Proves: S-201"""
        done = self.info("--config", NIXL_CHUNK_SIZE="2MB")

        self.assertRegex(done.out, r"(?m)^  chunk_size +2097152 \(environment, NIXL_CHUNK_SIZE\)")
        self.assertRegex(done.out, r"(?m)^  pool_size .*\(default, NIXL_POOL_SIZE\)")

    def test_config_tells_durations_as_people_write_them(self):
        """Proves: S-201"""
        for given, shown in (("1500ms", "1500ms"), ("1.5m", "90s"), ("12500us", "12500us")):
            with self.subTest(given):
                done = self.info("--config", NIXL_DRAIN_TIMEOUT=given)
                self.assertRegex(done.out, r"drain_timeout +%s \(" % shown)

    def test_config_lists_the_settings_even_where_some_are_wrong(self):
        """Proves: S-201"""
        with open(self.path("settings"), "w") as file:
            file.write("workers = many\n")
        for name, value, setting, words in (
            ("NIXL_LANES", "abc", "lanes", "decimal digits"),
            ("NIXL_BACKEND", "steam", "backend", "posix"),
            ("NIXL_TELEMETRY_ENABLE", "maybe", "enable_telemetry", "yes/no"),  # an alias
            ("NIXL_DECORATORS", "fog", "decorators", "fault:posix"),
            ("NIXL_CONFIG_FILE", self.path("settings"), "config_file", "settings:1: workers"),
        ):
            with self.subTest(name=name):
                done = self.info("--config", **{name: value, "NIXL_CHUNK_SIZE": "2MB"})

                self.assertEqual(done.code, 1)
                text = " ".join(done.out.split())
                self.assertRegex(text, r" %s \S+ \(default, NIXL_\w+\) <- WRONG: " % setting)
                self.assertIn(words, text)
                self.assertEqual(text.count("WRONG"), 1)
                self.assertIn("chunk_size 2097152 (environment, NIXL_CHUNK_SIZE)", text)

    def test_config_marks_every_wrong_setting(self):
        """Proves: S-201"""
        done = self.info("--config", NIXL_LANES="abc", NIXL_WORKERS="-1")

        self.assertEqual(done.out.count("WRONG"), 2, done.out)

    def test_json_names_every_wrong_setting(self):
        """Proves: S-201"""
        done = self.info("--config", "--json", NIXL_LANES="abc", NIXL_WORKERS="-1")

        refused = json.loads(done.out)["refused"]
        self.assertEqual(sorted(refused), ["NIXL_LANES", "NIXL_WORKERS"])
        self.assertIn("decimal digits", refused["NIXL_LANES"])

    def test_check_judges_the_settings_as_they_are_after_config_went_on_without(self):
        """Proves: S-201"""
        done = self.info("--config", "--check", NIXL_LANES="abc")

        self.assertEqual(done.code, 1)
        self.assertRegex(done.out, r"(?m)^  FAIL  library ")

    def test_hint_of_check_leads_to_the_setting(self):
        """Proves: S-201"""
        environment = {"NIXL_LANES": "abc"}

        self.assertIn("nixl-info --config", self.info("--check", **environment).out)
        self.assertIn("\n  lanes ", self.info("--config", **environment).out)

    def test_paths_name_the_engine_or_the_reason(self):
        """Proves: S-201"""
        done = self.info("--paths")

        self.assertRegex(done.out, r"(?m)^  host -> host +memcpy")
        self.assertRegex(done.out, r"(?m)^  file -> host +posix")
        self.assertRegex(done.out, r"(?m)^  host -> object +none: ")

    def test_check_has_a_verdict_on_each_line_and_cures(self):
        """Proves: S-017 S-201 S-221 S-229"""
        done = self.info("--check", "--json")

        checks = done.json()["checks"]
        self.assertEqual(done.code, 1 if any(c["verdict"] == "fail" for c in checks) else 0)
        self.assertLessEqual({c["verdict"] for c in checks}, {"pass", "warn", "fail", "skip"})
        self.assertLessEqual({"library", "kernel", "CPU governor", "CPU sleep states", "io_uring",
                              "locked memory", "/dev/shm", "huge pages", "GDRCopy", "UCX",
                              "GPUDirect Storage", "GPU driver", "temporary files"},
                             {c["subject"] for c in checks})
        for check in checks:
            if check["verdict"] in ("warn", "fail"):
                self.assertTrue(check["cure"], check)
        if not os.path.exists("/dev/nvidiactl") and not os.path.exists("/dev/gdrdrv"):
            self.assertEqual([c["verdict"] for c in checks if c["subject"] == "GDRCopy"], ["skip"])

    def gdrcopy_check(self, done):
        self.assertIn('"checks"', done.out, done.err)
        return next(c for c in done.json()["checks"] if c["subject"] == "GDRCopy")

    @unittest.skipIf(os.path.exists("/dev/gdrdrv"), "this machine has its device")
    def test_check_tells_of_a_gdrcopy_library_without_its_device(self):
        """Proves: S-221"""
        os.symlink(os.path.join(os.environ["NIXL_TEST_BUILD"], "simcuda", "libnixl-simcuda.so"),
                   self.path("libgdrapi.so.2"))

        found = self.gdrcopy_check(self.info("--check", "--json", LD_LIBRARY_PATH=self.folder))

        self.assertEqual(found["verdict"], "warn")
        self.assertIn("the library is there, its device file is not", found["text"])
        self.assertIn("modprobe gdrdrv", found["text"])

    def test_check_tells_of_a_gdrcopy_device_without_its_library(self):
        """Proves: S-221"""
        own_dev = ("unshare", "-m", "sh", "-ec",
                   "mount -t tmpfs tmpfs /dev; touch /dev/gdrdrv /dev/null; exec \"$@\"", "sh")
        if subprocess.run(own_dev + ("true",), stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("a /dev of one's own needs root")

        done = subprocess.run(own_dev + (program("nixl-info"), "--check", "--json"),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env=clean_environment({"TMPDIR": self.folder}))

        found = self.gdrcopy_check(Done(done.returncode, done.stdout.decode(),
                                        done.stderr.decode()))
        if "ready" in found["text"]:
            self.skipTest("this machine has its library")
        self.assertEqual(found["verdict"], "warn")
        self.assertIn("the device file is there, its library is not", found["text"])
        self.assertIn("install libgdrapi2", found["text"])

    def test_check_tells_of_disks_and_fast_networks(self):
        """Proves: S-233"""
        checks = {c["subject"]: c for c in self.info("--check", "--json").json()["checks"]}

        rotating = []
        for name in os.listdir("/sys/block"):
            path = "/sys/block/%s/" % name
            if not name.startswith(("loop", "ram", "zram", "dm-", "md", "sr")):
                with open(path + "queue/rotational") as file:
                    if file.read().strip() == "1":
                        rotating.append(name)
        self.assertEqual(checks["disks"]["verdict"] == "warn", bool(rotating))
        for name in rotating:
            self.assertIn(name, checks["disks"]["text"])
            self.assertIn("NVMe", checks["disks"]["cure"])
        there = os.path.isdir("/sys/class/infiniband") and os.listdir("/sys/class/infiniband")
        self.assertEqual(checks["RDMA"]["verdict"], "pass" if there else "skip")
        self.assertIn("kernel", checks)

    def test_check_fails_when_something_does_not_work(self):
        """Proves: S-201"""
        for environment, word in (({"TMPDIR": "/nonexistent"}, "TMPDIR"),
                                  ({"NIXL_BACKEND": "steam"}, "steam"),
                                  ({"NIXL_NULL_ENABLE": "1"}, "NIXL_NULL_ENABLE")):
            with self.subTest(environment=environment):
                done = self.info("--check", **environment)
                self.assertEqual(done.code, 1)
                self.assertRegex(done.out, r"(?m)^  FAIL ")
                self.assertIn(word, done.out)

    def test_refused_plugin_is_told_with_its_reason(self):
        """Proves: S-201"""
        with open(self.path("libnixl_backend_broken.so"), "w") as file:
            file.write("this is no library")

        done = self.info("--plugins", "--json", NIXL_PLUGIN_DIR=self.folder)

        refused = done.json()["plugins"]["refused"]
        self.assertEqual(len(refused), 1, done.out)
        self.assertTrue(refused[0]["reason"])

    def test_summary_help_version_and_unknown_options(self):
        """Proves: S-201"""
        self.assertIn("versions\n", self.info().out)
        self.assertRegex(self.info("--version").out, r"^nixl-info \d+\.\d+\.\d+\n$")
        usage = self.info("--help")
        self.assert_runs(usage)
        for name in ("system", "check", "paths", "plugins", "backends", "capabilities", "config",
                     "gpus", "bench", "output", "seconds", "json", "version", "help"):
            self.assertIn("--" + name, usage.out)
        wrong = self.info("--sytem")
        self.assertEqual(wrong.code, 2)
        self.assertIn("did you mean --system", wrong.err)

    def test_json_of_each_has_no_text_beside_it(self):
        """Proves: S-201"""
        for name in ("--system", "--check", "--paths"):
            json.loads(self.info(name, "--json", NIXL_LOG_LEVEL="debug").out)


if __name__ == "__main__":
    unittest.main()
