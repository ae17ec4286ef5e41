# mdgan_find_libtorch(): what to build with, as Torch's own package tells it, in
# TORCH_INCLUDE_DIRS, TORCH_LIBRARY, TORCH_LIBRARIES, TORCH_CXX_FLAGS and
# Torch_VERSION.
#
# A LibTorch with CUDA is taken as it lies there. Its package would ask for a
# whole CUDA toolkit with its compiler, of which this project, without one line
# of CUDA, needs nothing: what LibTorch needs when it runs it brings itself, or
# its distribution does.

# The folder of the TorchConfig.cmake that find_package(Torch) finds; empty where
# that is not told by a prefix or the distribution.
function(mdgan_torch_package result)
  string(REPLACE ":" ";" environment "$ENV{CMAKE_PREFIX_PATH}")
  unset(found)
  find_path(found TorchConfig.cmake NO_CACHE NO_DEFAULT_PATH
    PATHS ${Torch_DIR} ${Torch_ROOT} $ENV{Torch_DIR} ${CMAKE_PREFIX_PATH}
          ${environment} /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/cmake
    PATH_SUFFIXES Torch share/cmake/Torch lib/cmake/Torch)
  if(found)
    set(${result} ${found} PARENT_SCOPE)
  else()
    set(${result} "" PARENT_SCOPE)
  endif()
endfunction()

# Ends where it was compiled for libstdc++'s old ABI, as TorchConfig.cmake or the
# flags it gives say: the other libraries are not, and linking would end in names
# that nobody understands.
function(mdgan_refuse_old_abi text where)
  if(text MATCHES "_GLIBCXX_USE_CXX11_ABI=0")
    message(FATAL_ERROR
      "The LibTorch in ${where} was compiled for the old C++ ABI "
      "(_GLIBCXX_USE_CXX11_ABI=0), and nothing else here is. Take the archive "
      "whose name has 'cxx11-abi' in it, or PyTorch 2.7 or newer, or Debian's "
      "libtorch-dev (without CUDA) or libtorch-cuda-dev; see docs/gpu.md.")
  endif()
endfunction()

macro(mdgan_find_libtorch)
  mdgan_torch_package(MDGAN_TORCH_PACKAGE)
  unset(MDGAN_TORCH_CUDA)
  if(MDGAN_TORCH_PACKAGE)
    file(READ ${MDGAN_TORCH_PACKAGE}/TorchConfig.cmake MDGAN_TORCH_TEXT)
    mdgan_refuse_old_abi("${MDGAN_TORCH_TEXT}" ${MDGAN_TORCH_PACKAGE})
    # PREFIX/share/cmake/Torch and PREFIX/lib, or Debian's LIB/cmake/Torch.
    find_path(MDGAN_TORCH_CUDA libtorch_cuda.so NO_CACHE NO_DEFAULT_PATH
      PATHS ${MDGAN_TORCH_PACKAGE}/../../../lib ${MDGAN_TORCH_PACKAGE}/../..)
  endif()
  if(MDGAN_TORCH_CUDA)
    get_filename_component(MDGAN_TORCH_CUDA ${MDGAN_TORCH_CUDA} ABSOLUTE)
    mdgan_take_libtorch(${MDGAN_TORCH_CUDA})
  else()
    find_package(Torch REQUIRED)
    mdgan_refuse_old_abi("${TORCH_CXX_FLAGS}" "${Torch_DIR}")
  endif()
endmacro()

macro(mdgan_take_libtorch libraries)
  find_path(MDGAN_TORCH_API torch/torch.h NO_CACHE NO_DEFAULT_PATH REQUIRED
    PATHS ${libraries}/../include ${libraries}/../../include
    PATH_SUFFIXES torch/csrc/api/include)
  get_filename_component(TORCH_INCLUDE_DIRS ${MDGAN_TORCH_API}/../../../..
    ABSOLUTE)
  list(APPEND TORCH_INCLUDE_DIRS ${MDGAN_TORCH_API})
  file(STRINGS ${MDGAN_TORCH_API}/torch/version.h MDGAN_TORCH_VERSION
    REGEX "define TORCH_VERSION +\"|TORCH_VERSION_(MAJOR|MINOR|PATCH) +[0-9]")
  string(REGEX MATCHALL "_(MAJOR|MINOR|PATCH) +([0-9]+)" MDGAN_TORCH_VERSION
    "${MDGAN_TORCH_VERSION}")
  string(REGEX REPLACE "_[A-Z]+ +" "" MDGAN_TORCH_VERSION
    "${MDGAN_TORCH_VERSION}")
  string(REPLACE ";" "." Torch_VERSION "${MDGAN_TORCH_VERSION}")
  set(TORCH_LIBRARY ${libraries}/libtorch.so)
  # Nothing calls libtorch_cuda.so by name: it registers itself once loaded. And
  # the driver's library need not be on the machine that builds.
  set(TORCH_LIBRARIES
    -Wl,--no-as-needed ${libraries}/libtorch_cuda.so
    ${libraries}/libc10_cuda.so -Wl,--as-needed
    ${TORCH_LIBRARY} ${libraries}/libtorch_cpu.so ${libraries}/libc10.so
    -Wl,--allow-shlib-undefined)
  set(TORCH_CXX_FLAGS "")
  message(STATUS "LibTorch with CUDA in ${libraries}")
endmacro()
