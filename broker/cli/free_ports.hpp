// FreePorts: loopback TCP ports that nobody uses right now.
#pragma once

#include <cstdint>
#include <vector>

namespace zabmq::cli {

bool is_port_free(std::uint16_t port);

// `count` different ports below the range from which the kernel takes the local ports of outgoing
// connections. A port of that range could be lost to any connection while its server is down, even
// to one that a peer opens to that very port and that meets itself.
std::vector<std::uint16_t> free_ports(std::size_t count);

}  // namespace zabmq::cli
