# Every find_package of the project: the only file that knows what distributions
# call things. Each dependency becomes one target mdgan_dep_NAME.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)
find_package(JPEG REQUIRED)
find_package(TIFF REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(Boost REQUIRED COMPONENTS program_options)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
pkg_check_modules(ZMQ REQUIRED IMPORTED_TARGET libzmq)

# cppzmq is a header; its CMake package differs between distributions.
find_path(CPPZMQ_INCLUDE_DIR zmq.hpp REQUIRED)
add_library(mdgan_dep_zmq INTERFACE)
target_include_directories(mdgan_dep_zmq SYSTEM INTERFACE ${CPPZMQ_INCLUDE_DIR})
target_link_libraries(mdgan_dep_zmq INTERFACE PkgConfig::ZMQ)

# msgpack-c 4 is the package 'msgpack', 5 'msgpackc-cxx', 6 and later
# 'msgpack-cxx'; all we need of it is its headers.
find_path(MSGPACK_INCLUDE_DIR msgpack.hpp REQUIRED)
add_library(mdgan_dep_msgpack INTERFACE)
target_include_directories(mdgan_dep_msgpack SYSTEM INTERFACE
  ${MSGPACK_INCLUDE_DIR})
target_compile_definitions(mdgan_dep_msgpack INTERFACE MSGPACK_NO_BOOST)

# LibTorch's package sets global flags and include directories; wrap it so that
# only targets that ask for it see it, and see it as a system library.
include(LibTorch)
mdgan_find_libtorch()
message(STATUS "LibTorch ${Torch_VERSION}")
add_library(mdgan_dep_torch INTERFACE)
target_include_directories(mdgan_dep_torch SYSTEM INTERFACE
  ${TORCH_INCLUDE_DIRS})
target_link_libraries(mdgan_dep_torch INTERFACE ${TORCH_LIBRARIES})
separate_arguments(MDGAN_TORCH_FLAGS UNIX_COMMAND "${TORCH_CXX_FLAGS}")
target_compile_options(mdgan_dep_torch INTERFACE ${MDGAN_TORCH_FLAGS})
# at::parallel_for is a template: compiled without OpenMP it runs on one thread,
# whatever LibTorch itself was compiled with.
find_package(OpenMP REQUIRED COMPONENTS CXX)
target_link_libraries(mdgan_dep_torch INTERFACE OpenMP::OpenMP_CXX)

# oneDNN's own interface, if LibTorch's oneDNN is a library by itself, as in
# Debian, and these are its headers. An official LibTorch has oneDNN inside: one
# more beside it might be called in its place.
get_filename_component(MDGAN_TORCH_DIR "${TORCH_LIBRARY}" DIRECTORY)
execute_process(
  COMMAND "${CMAKE_READELF}" -d "${MDGAN_TORCH_DIR}/libtorch_cpu.so"
  OUTPUT_VARIABLE MDGAN_TORCH_NEEDS ERROR_QUIET)
if(MDGAN_TORCH_NEEDS MATCHES "libdnnl\\.so\\.([23])[.0-9]*")
  find_library(DNNL_LIBRARY NAMES ${CMAKE_MATCH_0} NO_CACHE)
  find_file(DNNL_VERSION_H oneapi/dnnl/dnnl_version.h NO_CACHE)
  if(DNNL_VERSION_H)
    file(STRINGS "${DNNL_VERSION_H}" MDGAN_DNNL_MAJOR
      REGEX "DNNL_VERSION_MAJOR +${CMAKE_MATCH_1}$")
  endif()
endif()
if(DNNL_LIBRARY AND MDGAN_DNNL_MAJOR)
  message(STATUS "oneDNN ${DNNL_LIBRARY}")
  add_library(mdgan_dep_onednn INTERFACE)
  get_filename_component(MDGAN_ONEDNN_DIR "${DNNL_VERSION_H}/../../.." ABSOLUTE)
  target_include_directories(mdgan_dep_onednn SYSTEM INTERFACE
    ${MDGAN_ONEDNN_DIR})
  target_link_libraries(mdgan_dep_onednn INTERFACE ${DNNL_LIBRARY})
else()
  message(STATUS "oneDNN through LibTorch alone")
endif()
