// SPDX-License-Identifier: Apache-2.0
// How the driver is found and what it offers: devices, the variables that choose among them, and
// the words for a machine without a GPU.
#include "rig.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

namespace nixl::test {
namespace {

std::string name_of(const Rig& rig, int device) {
    char name[64] = {};
    EXPECT_EQ(rig.call.device_name(name, sizeof name, device), CuResult::SUCCESS);
    return name;
}

// Proves: S-014
TEST(SimulatedDriver, IsLoaded_andOffersWhatWasAskedFor) {
    on_gpus([](Rig& rig) {
        EXPECT_EQ(rig.driver.devices, 2u);
        EXPECT_EQ(rig.driver.version, 12080);
        EXPECT_TRUE(rig.driver.simulated);
        EXPECT_EQ(core::cuda_driver({true, 3}).error().code, core::Code::INVALID_ARGUMENT);
    });
}

TEST(SimulatedDriver, Devices_areTellableApart) {
    on_gpus([](Rig& rig) {
        std::set<std::string> seen;
        for (int device = 0; device < 2; ++device) {
            Uuid uuid = {};
            char bus[16] = {};
            EXPECT_EQ(rig.call.device_uuid(&uuid, device), CuResult::SUCCESS);
            EXPECT_EQ(rig.call.device_bus_id(bus, sizeof bus, device), CuResult::SUCCESS);
            seen.insert(std::string(reinterpret_cast<const char*>(uuid.bytes), 16));
            seen.insert(bus);
            seen.insert(name_of(rig, device));
        }
        EXPECT_EQ(seen.size(), 6u);
        EXPECT_EQ(name_of(rig, 1), "Simulated GPU 1");
    });
}

TEST(SimulatedDriver, Attributes_areAnH100s) {
    on_gpus([](Rig& rig) {
        int value = 0;
        EXPECT_EQ(rig.call.device_attribute(&value, DeviceAttribute::COMPUTE_CAPABILITY_MAJOR, 0),
                  CuResult::SUCCESS);
        EXPECT_EQ(value, 9);
        EXPECT_EQ(rig.call.device_attribute(&value, static_cast<DeviceAttribute>(9999), 0),
                  CuResult::INVALID_VALUE);
        EXPECT_EQ(rig.call.device_attribute(&value, DeviceAttribute::COMPUTE_CAPABILITY_MAJOR, 2),
                  CuResult::INVALID_DEVICE);
        EXPECT_EQ(rig.call.device_can_access(&value, 0, 1), CuResult::SUCCESS);
        EXPECT_EQ(value, 1);
        EXPECT_EQ(rig.call.device_can_access(&value, 1, 1), CuResult::SUCCESS);
        EXPECT_EQ(value, 0);
    });
}

TEST(VisibleDevices, ListThatReorders_reorders) {
    on_gpus({{"CUDA_VISIBLE_DEVICES", "1,0"}}, [](Rig& rig) {
        EXPECT_EQ(name_of(rig, 0), "Simulated GPU 1");
        EXPECT_EQ(name_of(rig, 1), "Simulated GPU 0");
    });
}

TEST(VisibleDevices, WrongEntry_hidesItselfAndAllAfterIt) {
    for (const char* const text : {"1,7,0", "1,-1,0", "1,x,0", "1,,0", "1,1,0"}) {
        SCOPED_TRACE(text);
        on_gpus({{"CUDA_VISIBLE_DEVICES", text}}, [](Rig& rig) {
            EXPECT_EQ(rig.driver.devices, 1u);
            EXPECT_EQ(name_of(rig, 0), "Simulated GPU 1");
        });
    }
}

TEST(VisibleDevices, Uuid_names) {
    on_gpus({{"CUDA_VISIBLE_DEVICES", "GPU-015c5c5c-5c5c-5c5c-5c5c-5c5c5c5c5c5c"}},
            [](Rig& rig) { EXPECT_EQ(name_of(rig, 0), "Simulated GPU 1"); });
}

// Proves: S-061
TEST(VisibleDevices, EmptyListOrMinusOne_leaveNone) {
    for (const char* const text : {"", "-1"})
        EXPECT_EQ(in_child([text] {
                      ::setenv("CUDA_VISIBLE_DEVICES", text, 1);
                      const auto driver = core::cuda_driver({true, 2});
                      EXPECT_EQ(driver.error().code, core::Code::UNSUPPORTED);
                      return driver.error().message;
                  }),
                  std::string("CUDA_VISIBLE_DEVICES=") + text +
                      " hides every GPU: no CUDA-capable device is detected " +
                      "(CUDA_ERROR_NO_DEVICE)");
}

TEST(SimulatedDriver, NobodyWhoAsksForGpus_getsThemOnlyFromTheEnvironment) {
    const auto count = []() -> std::string {
        void* const library = ::dlopen(NIXL_SIMCUDA_PATH, RTLD_NOW);
        if (library == nullptr)
            return ::dlerror();
        const auto init = reinterpret_cast<CuResult (*)(unsigned)>(::dlsym(library, "cuInit"));
        const auto get = reinterpret_cast<CuResult (*)(int*)>(::dlsym(library, "cuDeviceGetCount"));
        int devices = -1;
        EXPECT_EQ(get(&devices), CuResult::NOT_INITIALIZED);
        const CuResult result = init(0);
        return result == CuResult::SUCCESS && get(&devices) == CuResult::SUCCESS
                   ? "gpus " + std::to_string(devices)
                   : "error " + std::to_string(static_cast<int>(result));
    };
    EXPECT_EQ(in_child([&] {
                  ::unsetenv("NIXL_SIM_GPUS");
                  return count();
              }),
              "error 100");
    EXPECT_EQ(in_child([&] {
                  ::setenv("NIXL_SIM_GPUS", "3", 1);
                  return count();
              }),
              "gpus 3");
}

/// A folder with an empty dev/.
class WhyNoGpu : public testing::Test {
  protected:
    WhyNoGpu() { std::filesystem::create_directories(root_ + "/dev"); }
    ~WhyNoGpu() override { std::filesystem::remove_all(root_); }

    std::string root_ = testing::TempDir() + "nixl_no_gpu_" + std::to_string(getpid());
};

// Proves: S-228
TEST_F(WhyNoGpu, DeviceFileThatMayNotBeOpened_isNamedWithTheGroupsToJoin) {
    const std::string device = root_ + "/dev/nvidiactl";
    std::ofstream(device) << "";
    ASSERT_EQ(::chmod(device.c_str(), 0), 0);
    EXPECT_EQ(in_child([&]() -> std::string {
                  if (::geteuid() == 0 && (::setgid(65534) != 0 || ::setuid(65534) != 0))
                      return "skip: cannot become nobody";
                  const auto error = core::why_no_gpu(root_, "", "no device");
                  EXPECT_EQ(error.code, core::Code::PERMISSION_DENIED);
                  EXPECT_NE(error.hint.find("usermod -a -G video,render"), std::string::npos);
                  return error.message;
              }),
              "Permission denied on " + device);
}

TEST_F(WhyNoGpu, FilesThatAreFine_areNotToBlame) {
    std::ofstream(root_ + "/dev/nvidia0") << "";
    std::filesystem::create_directory(root_ + "/dev/nvidia-caps");

    EXPECT_EQ(core::why_no_gpu(root_, nullptr, "no device").message,
              "the driver offers no GPU: no device");
    EXPECT_EQ(core::why_no_gpu(root_, "7", "no device").message,
              "CUDA_VISIBLE_DEVICES=7 hides every GPU: no device");
    EXPECT_EQ(core::why_no_gpu(root_ + "/none", nullptr, "x").code, core::Code::UNSUPPORTED);
}

} // namespace
} // namespace nixl::test
