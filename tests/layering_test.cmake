# Tests which layer includes which. The compiler does not see it: distributions keep all
# headers in one folder, and one include path covers the whole repository.
#   cmake -DSOURCE_DIR=... -P layering_test.cmake
# forbid(FILES PATTERN WHY): no line of these files may match.
function(forbid files pattern why)
  foreach(file IN LISTS ${files})
    file(STRINGS ${SOURCE_DIR}/${file} lines REGEX "${pattern}")
    foreach(line IN LISTS lines)
      message(SEND_ERROR "${file}: ${why}: ${line}")
    endforeach()
  endforeach()
endfunction()

function(sources result)
  set(patterns)
  foreach(folder IN LISTS ARGN)
    list(APPEND patterns ${SOURCE_DIR}/${folder}/*.h ${SOURCE_DIR}/${folder}/*.cc)
  endforeach()
  file(GLOB_RECURSE files RELATIVE ${SOURCE_DIR} ${patterns})
  if(NOT files)
    message(SEND_ERROR "no sources in ${ARGN}")
  endif()
  set(${result} ${files} PARENT_SCOPE)
endfunction()

# common/base <- protocol <- the rest of common <- peer <- server. Of the server,
# server/commands alone knows peer, whose sessions --local-peers hosts.
sources(base common/base)
sources(protocol protocol)
sources(common common)
sources(peer peer)
sources(server server)
set(above_base "#include \"(protocol|peer|server|tests|common/([^b]|b[^a]))")
forbid(base "${above_base}" "common/base includes nothing above it")
forbid(protocol "#include \"(peer|server|tests|common/([^b]|b[^a]))"
       "protocol includes only itself and common/base")
forbid(common "#include \"(peer|server|tests)/"
       "common includes only itself and protocol")
forbid(peer "#include \"(server|tests)/" "a peer knows nothing of the server")
forbid(server "#include \"tests/" "programs include no tests")
sources(server_beside_peer server)
list(FILTER server_beside_peer EXCLUDE REGEX "^server/commands/")
forbid(server_beside_peer "#include \"peer/"
       "only the command that hosts local peers knows peer")
sources(players common/train)
forbid(players "#include \"common/net/" "arithmetic knows no sockets")

# The pure parts: no sockets, threads, files, clock or LibTorch.
sources(pure protocol server/core peer/core common/merge common/augment)
forbid(pure "#include <(zmq|torch|ATen|c10|thread|mutex)"
       "this part has no sockets, threads or tensors")
forbid(pure "#include (<(fstream|filesystem|condition_variable)>|\"common/(net|files)/)"
       "this part has no sockets, threads or files")
forbid(pure "::now\\(" "this part has no clock")

# msgpack stays behind the codec, LibTorch behind the arithmetic.
sources(all protocol common peer server)
set(outside_codec ${all})
list(FILTER outside_codec EXCLUDE REGEX
     "^protocol/([^/]*\\.cc|reader\\.h|writer\\.h)$")
forbid(outside_codec "#include <msgpack" "only the codec knows msgpack")
set(outside_arithmetic ${all})
list(FILTER outside_arithmetic EXCLUDE REGEX
     "^(common/(tensor|kernels|models|losses|train|evaluate)|peer/train|server/(train|evaluate))/")
forbid(outside_arithmetic "#include <(torch|ATen|c10)"
       "only the arithmetic knows LibTorch")
