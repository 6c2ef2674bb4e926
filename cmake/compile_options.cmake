# One interface target carries the warnings, sanitizers and hardening of every zabmq target.
add_library(zabmq_options INTERFACE)
target_compile_options(zabmq_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)
target_compile_definitions(zabmq_options INTERFACE _GLIBCXX_ASSERTIONS)
if(ZABMQ_MUTANTS)
  target_compile_definitions(zabmq_options INTERFACE ZABMQ_MUTANTS)
endif()

set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")  # no NDEBUG: our checks stay on
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(ZABMQ_SANITIZE)
  target_compile_options(zabmq_options INTERFACE
    -fsanitize=${ZABMQ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(zabmq_options INTERFACE -fsanitize=${ZABMQ_SANITIZE})
else()
  target_compile_options(zabmq_options INTERFACE
    -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  target_link_options(zabmq_options INTERFACE -Wl,-z,relro,-z,now -pie)
endif()
if(ZABMQ_FUZZ)
  target_compile_options(zabmq_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(ZABMQ_CCACHE ccache)
if(ZABMQ_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ZABMQ_CCACHE})
endif()
