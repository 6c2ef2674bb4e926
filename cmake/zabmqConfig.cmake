# find_package(zabmq): the target zabmq::client, and what it is linked with.
include(CMakeFindDependencyMacro)
find_dependency(Threads)
find_dependency(cppzmq CONFIG)
find_dependency(PkgConfig)
if(NOT TARGET PkgConfig::xxhash)
  pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
endif()
include(${CMAKE_CURRENT_LIST_DIR}/zabmq_targets.cmake)
