# Warnings, sanitizers, and mdgan_library(): the one way this project makes a
# library, so that every target gets the same treatment.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

add_library(mdgan_compile_options INTERFACE)
target_compile_options(mdgan_compile_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wnon-virtual-dtor -Wold-style-cast -Woverloaded-virtual -Wformat=2
  -Wimplicit-fallthrough
  # g++ 12 warns falsely about std::variant at -O1 (GCC bugs 105616, 111944).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
  # and about concatenated strings at -O2 and above (GCC bugs 105329, 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>
  # A unity build has many files in one: their private names meet.
  $<$<BOOL:${CMAKE_UNITY_BUILD}>:-Wno-shadow>
  $<$<AND:$<BOOL:${CMAKE_UNITY_BUILD}>,$<CXX_COMPILER_ID:GNU>>:-Wno-subobject-linkage>
  $<$<BOOL:${MDGAN_WERROR}>:-Werror>)
target_include_directories(mdgan_compile_options INTERFACE
  ${PROJECT_SOURCE_DIR})
if(MDGAN_SANITIZE)
  target_compile_options(mdgan_compile_options INTERFACE
    -fsanitize=${MDGAN_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(mdgan_compile_options INTERFACE
    -fsanitize=${MDGAN_SANITIZE})
endif()

# mdgan_library(NAME SOURCES... [PUBLIC libs...] [PRIVATE libs...]) makes the
# static library mdgan_NAME with the alias mdgan::NAME.
function(mdgan_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  add_library(mdgan_${name} STATIC ${ARG_SOURCES})
  add_library(mdgan::${name} ALIAS mdgan_${name})
  target_link_libraries(mdgan_${name}
    PUBLIC ${ARG_PUBLIC}
    PRIVATE $<BUILD_INTERFACE:mdgan_compile_options> ${ARG_PRIVATE})
endfunction()

# mdgan_precompile_torch(LIBRARY...): these take <torch/torch.h> as it was
# compiled once for all, in common/tensor.
function(mdgan_precompile_torch)
  if(MDGAN_TORCH_PCH)
    foreach(library IN LISTS ARGN)
      target_precompile_headers(${library} REUSE_FROM mdgan_torch_header)
    endforeach()
  endif()
endfunction()
