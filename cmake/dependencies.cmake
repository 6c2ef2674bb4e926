# Every third-party package, by the names Debian 12 gives them. The package list itself is in ./run.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(cppzmq CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(benchmark CONFIG REQUIRED)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)  # SHA-256 of the demo's verdict
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)

# msgpack-c is "msgpack" on Debian 12, "msgpackc-cxx" and "msgpack-cxx" upstream.
foreach(name msgpack-cxx msgpackc-cxx msgpack)
  find_package(${name} CONFIG QUIET)
  if(TARGET msgpack-cxx OR TARGET msgpackc-cxx)
    break()
  endif()
endforeach()
add_library(zabmq_msgpack INTERFACE)
target_link_libraries(zabmq_msgpack INTERFACE
  $<IF:$<TARGET_EXISTS:msgpack-cxx>,msgpack-cxx,msgpackc-cxx>)
target_compile_definitions(zabmq_msgpack INTERFACE MSGPACK_NO_BOOST)

if(BUILD_TESTING)
  find_package(doctest CONFIG REQUIRED)
  include(doctest)
endif()
