// SPDX-License-Identifier: Apache-2.0
// A transfer with a callback between two blocks of host memory.
//
//   g++ -std=c++17 host_transfer.cpp -o host_transfer -lnixl
#include <nixl/nixl.h>

#include <iostream>
#include <vector>

int main() {
    try {
        nixl::Config config;
        config.backend = nixl::Backend::AUTO;
        nixl::initialize(config);

        std::vector<float> host_data(1024 * 1024, 1.0f);
        auto source = nixl::Buffer::from_host(host_data.data(), host_data.size() * sizeof(float),
                                              nixl::MemoryType::HOST);
        auto target =
            nixl::Buffer::allocate(host_data.size() * sizeof(float), nixl::MemoryType::HOST);

        auto transfer = nixl::transfer_async(source, target, [](nixl::TransferStatus status) {
            if (status == nixl::TransferStatus::SUCCESS) {
                std::cout << "Transfer completed successfully\n";
            } else {
                std::cerr << "Transfer failed\n";
            }
        });

        transfer.wait();
        std::cout << transfer.path() << "\n";

        nixl::finalize();
        return 0;
    } catch (const nixl::NIXLException& e) {
        std::cerr << "NIXL error: " << e.what() << "\n";
        return 1;
    }
}
