// Report: what a run of many seeds has shown, for people.
#pragma once

#include <string>

#include "seed_run.hpp"

namespace zabmq::sim::program {

std::string report_of(const Tally& tally, double seconds, unsigned jobs);

}  // namespace zabmq::sim::program
