# What `cmake --install` gives is complete and runs from where it is.
#   cmake -DBUILD_DIR=... -DBIN=bin -DDATA=share -DDOC=share/doc/mdgan \
#         -DPYTHON=lib/python3/dist-packages -DUNITS=lib/systemd/system \
#         -DCOMPILER=c++ -P install_test.cmake
string(RANDOM LENGTH 12 suffix)
set(prefix ${BUILD_DIR}/install-test-${suffix})

function(fail text)
  file(REMOVE_RECURSE ${prefix})
  message(FATAL_ERROR "${text}")
endfunction()

function(check_runs output)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE text
                  ERROR_VARIABLE text)
  if(NOT code EQUAL 0 OR NOT text MATCHES "${output}")
    fail("'${ARGN}' gave ${code} and not '${output}': ${text}")
  endif()
endfunction()

check_runs("" ${CMAKE_COMMAND} --install ${BUILD_DIR} --prefix ${prefix})
foreach(program mdgan-server mdgan-peer)
  check_runs("${program}" ${prefix}/${BIN}/${program} --version)
  check_runs("--" ${prefix}/${BIN}/${program} --help)
endforeach()
check_runs("run" ${prefix}/${BIN}/mdgan-experiment --help)
check_runs("--seed 3"
  ${prefix}/${BIN}/mdgan-experiment run
  ${prefix}/${DATA}/mdgan/configs/experiments/swap.ini --data ${prefix}
  --seeds 3 --arms swap --dry-run)
foreach(file ${DATA}/mdgan/configs/server.ini ${DATA}/mdgan/configs/peer.ini
             ${DATA}/mdgan/configs/mnist-mlp.ini
             ${DATA}/mdgan/experiment/mdgan_experiment/report.css
             ${PYTHON}/mdgan/__init__.py ${PYTHON}/mdgan/models.py
             ${DOC}/protocol/PROTOCOL.md ${DOC}/docs/operations.md
             ${DOC}/README.md ${DOC}/LICENSE)
  if(NOT EXISTS ${prefix}/${file})
    fail("${file} is not installed")
  endif()
endforeach()

# No link of the documentation leads nowhere.
check_runs("all there" /usr/bin/python3
  ${CMAKE_CURRENT_LIST_DIR}/documentation_test.py --links ${prefix}/${DOC})

# The units start the programs of this prefix.
foreach(unit mdgan-server.service mdgan-peer@.service)
  file(STRINGS ${prefix}/${UNITS}/${unit} start REGEX "^ExecStart=")
  string(REGEX MATCH "^[a-z-]+[a-z]" program ${unit})
  if(NOT start MATCHES "^ExecStart=${prefix}/${BIN}/${program} ")
    fail("${unit} has '${start}'")
  endif()
endforeach()

# Another project finds the protocol.
check_runs("" ${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/consumer
  -B ${prefix}/consumer -DCMAKE_PREFIX_PATH=${prefix}
  -DCMAKE_CXX_COMPILER=${COMPILER})
check_runs("" ${CMAKE_COMMAND} --build ${prefix}/consumer)
check_runs("protocol 3" ${prefix}/consumer/consumer)
file(REMOVE_RECURSE ${prefix})
