# common/cmake/LibTorch.cmake meets LibTorches that are empty files:
#   cmake -DSOURCE_DIR=... -P libtorch_test.cmake

execute_process(COMMAND mktemp -d OUTPUT_VARIABLE folder
  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
file(WRITE ${folder}/project/CMakeLists.txt "
cmake_minimum_required(VERSION 3.25)
project(none LANGUAGES NONE)
list(APPEND CMAKE_MODULE_PATH ${SOURCE_DIR}/common/cmake)
include(LibTorch)
mdgan_find_libtorch()
message(STATUS \"found \${Torch_VERSION} \${TORCH_LIBRARIES} \${TORCH_INCLUDE_DIRS}\")
")

# Makes PREFIX with a package that says `config`, and empty `files`.
function(make_libtorch prefix config)
  file(WRITE ${prefix}/share/cmake/Torch/TorchConfig.cmake "${config}")
  foreach(file ${ARGN})
    file(WRITE ${prefix}/${file} "")
  endforeach()
  file(WRITE ${prefix}/include/torch/csrc/api/include/torch/version.h
"#define TORCH_VERSION_MAJOR 2
#define TORCH_VERSION_MINOR 10
#define TORCH_VERSION_PATCH 1
#define TORCH_VERSION \"2.10.1\"
")
endfunction()

# Configures the project; its output must have each of the words, and it must
# succeed or fail as `expected` says.
function(expect expected prefix_path)
  file(REMOVE_RECURSE ${folder}/build)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${folder}/project -B ${folder}/build
            -DCMAKE_PREFIX_PATH=${prefix_path}
    RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(code EQUAL 0)
    set(outcome found)
  else()
    set(outcome refused)
  endif()
  if(NOT outcome STREQUAL expected)
    message(FATAL_ERROR "should be ${expected}: ${output}")
  endif()
  foreach(words ${ARGN})
    string(FIND "${output}" "${words}" at)
    if(at EQUAL -1)
      message(FATAL_ERROR "no '${words}' in: ${output}")
    endif()
  endforeach()
endfunction()

set(cuda lib/libtorch_cuda.so lib/libtorch.so
  include/torch/csrc/api/include/torch/torch.h)

make_libtorch(${folder}/old "set(TORCH_CXX_FLAGS \"-D_GLIBCXX_USE_CXX11_ABI=0\")")
expect(refused ${folder}/old "old C++ ABI" "cxx11-abi" "docs/gpu.md")
make_libtorch(${folder}/old-cuda "-D_GLIBCXX_USE_CXX11_ABI=0" ${cuda})
expect(refused ${folder}/old-cuda "old C++ ABI")

# With CUDA its package is not asked, which would want a toolkit.
make_libtorch(${folder}/cuda "message(FATAL_ERROR \"no toolkit\")" ${cuda})
expect(found ${folder}/cuda "LibTorch with CUDA in ${folder}/cuda/lib"
  "found 2.10.1 " "${folder}/cuda/lib/libtorch_cuda.so"
  "${folder}/cuda/include;${folder}/cuda/include/torch/csrc/api/include")
# As torch.utils.cmake_prefix_path names a wheel's.
expect(found ${folder}/cuda/share/cmake "found 2.10.1 ")

make_libtorch(${folder}/cpu "set(TORCH_LIBRARIES its-own)\nset(Torch_VERSION 3)")
expect(found ${folder}/cpu "found 3 its-own")

file(REMOVE_RECURSE ${folder})
