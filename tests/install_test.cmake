# What `cmake --install` gives is complete and runs from where it is.
#   cmake -DBUILD_DIR=... -DBIN=bin -DDATA=share -DDOC=share/doc/mdgan \
#         -P install_test.cmake
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
             ${DOC}/PROTOCOL.md
             ${DOC}/README.md ${DOC}/LICENSE)
  if(NOT EXISTS ${prefix}/${file})
    fail("${file} is not installed")
  endif()
endforeach()
file(REMOVE_RECURSE ${prefix})
