# Compiler settings shared by every target.
#
# -ffp-contract=off: a product and a sum never fuse behind our back; every fma is written out, so one arithmetic id
# means one sequence of roundings with every compiler (docs/ARCHITECTURE.md, the law of company).
add_library(strata_flags INTERFACE)
target_compile_options(strata_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -ffp-contract=off)
target_include_directories(strata_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)
find_package(Threads REQUIRED)
target_link_libraries(strata_flags INTERFACE Threads::Threads)

if(STRATA_SANITIZE)
  target_compile_options(strata_flags INTERFACE -fsanitize=${STRATA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(strata_flags INTERFACE -fsanitize=${STRATA_SANITIZE})
endif()
if(STRATA_FUZZ)
  target_compile_options(strata_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
