# Debian packages: `cpack -G DEB`. Each component of the installation is one; what
# only packages have is EXCLUDE_FROM_ALL, so that `cmake --install` leaves it out.
# deploy/debian/README.md says how to make and use them.

set(debian ${PROJECT_SOURCE_DIR}/deploy/debian)
set(control ${PROJECT_BINARY_DIR}/debian)

# cpack takes what is built, as `cmake --install` does, and builds nothing.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "The MD-GAN authors <mdgan@mdgan.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")  # each package has its own
set(CPACK_SET_DESTDIR ON)  # /etc is outside of the prefix
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
    WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

# The newest entry of the changelog is this version's.
file(STRINGS ${debian}/changelog entry LIMIT_COUNT 1)
if(NOT entry MATCHES "^mdgan \\(${PROJECT_VERSION}\\)")
  message(FATAL_ERROR "deploy/debian/changelog begins with '${entry}', and the "
                      "project's version is ${PROJECT_VERSION}: add an entry")
endif()
file(MAKE_DIRECTORY ${control})
execute_process(COMMAND gzip -9nc ${debian}/changelog
                OUTPUT_FILE ${control}/changelog.gz COMMAND_ERROR_IS_FATAL ANY)

# mdgan_package(COMPONENT NAME SECTION SUMMARY TEXT [ARCHITECTURE all]
#               [DEPENDS ...] [RECOMMENDS ...] [SUGGESTS ...])
macro(mdgan_package component name section summary text)
  cmake_parse_arguments(PACKAGE "" "ARCHITECTURE;DEPENDS;RECOMMENDS;SUGGESTS" ""
                        ${ARGN})
  list(APPEND CPACK_COMPONENTS_ALL ${component})
  string(TOUPPER ${component} COMPONENT)
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_SECTION ${section})
  set(CPACK_DEBIAN_${COMPONENT}_DESCRIPTION "${summary}\n${text}")
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_DEPENDS "${PACKAGE_DEPENDS}")
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_RECOMMENDS "${PACKAGE_RECOMMENDS}")
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_SUGGESTS "${PACKAGE_SUGGESTS}")
  if(PACKAGE_ARCHITECTURE)
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_ARCHITECTURE ${PACKAGE_ARCHITECTURE})
  else()
    set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_SHLIBDEPS ON)
  endif()
  install(FILES ${debian}/copyright ${control}/changelog.gz
          DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${name}
          COMPONENT ${component} EXCLUDE_FROM_ALL)
endmacro()

# mdgan_service(COMPONENT UNITS): the scripts that go with units.
macro(mdgan_service component service)
  set(units "${service}")  # a macro's argument is no variable
  set(package mdgan-${component})
  string(TOUPPER ${component} COMPONENT)
  set(CPACK_DEBIAN_${COMPONENT}_PACKAGE_CONTROL_EXTRA "")
  foreach(script postinst prerm postrm)
    configure_file(${debian}/${script}.in ${control}/${component}/${script}
                   @ONLY)
    list(APPEND CPACK_DEBIAN_${COMPONENT}_PACKAGE_CONTROL_EXTRA
         ${control}/${component}/${script})
  endforeach()
  install(DIRECTORY DESTINATION /etc/mdgan COMPONENT ${component}
          EXCLUDE_FROM_ALL)
endmacro()

set(sysusers "systemd-standalone-sysusers | systemd-sysusers | systemd")
set(blas "libopenblas0-pthread | libopenblas0")

mdgan_package(server mdgan-server science
  "trains a generator of images on data that stays where it is"
  "MD-GAN puts one generator on a server and a discriminator beside each of N
data sets. This is the server, with commands that draw pictures from a run,
measure its generator and export it."
  DEPENDS "${sysusers}" RECOMMENDS "${blas}"
  SUGGESTS "mdgan-peer, mdgan-experiment, dataset-fashion-mnist")
mdgan_service(server mdgan-server.service)
file(WRITE ${control}/server/conffiles "/etc/mdgan/server.ini\n")
list(APPEND CPACK_DEBIAN_SERVER_PACKAGE_CONTROL_EXTRA ${control}/server/conffiles)
install(FILES ${PROJECT_SOURCE_DIR}/configs/server.ini DESTINATION /etc/mdgan
        COMPONENT server EXCLUDE_FROM_ALL)

mdgan_package(peer mdgan-peer science
  "takes part with its own images in the training of a generator"
  "MD-GAN puts one generator on a server and a discriminator beside each of N
data sets. This is what runs beside a data set: no image leaves its machine."
  DEPENDS "${sysusers}" RECOMMENDS "${blas}")
mdgan_service(peer "mdgan-peer@*.service")

mdgan_package(experiment mdgan-experiment science
  "trains the arms of an MD-GAN experiment and compares them"
  "Each arm of an experiment is trained with several seeds, here or on a
cluster; a report compares them."
  ARCHITECTURE all
  DEPENDS "python3, mdgan-server (>= ${PROJECT_VERSION})"
  RECOMMENDS "python3-numpy, python3-matplotlib"
  SUGGESTS "mdgan-peer, python3-mdgan, python3-pil")

mdgan_package(python python3-mdgan python
  "generators trained by MD-GAN, in PyTorch"
  "The Python module mdgan makes a torch.nn.Module of the generator of a run or
of an exported file, draws pictures with it, and reads a run's statistics."
  ARCHITECTURE all DEPENDS "python3, python3-torch"
  SUGGESTS "python3-pil, python3-pandas")

mdgan_package(protocol libmdgan-protocol-dev libdevel
  "messages between an MD-GAN server and its peers, for C++"
  "The static library mdgan::protocol makes bytes of messages and messages of
bytes. It needs C++20, and neither LibTorch nor ZeroMQ.")
unset(CPACK_DEBIAN_PROTOCOL_PACKAGE_SHLIBDEPS)
install(FILES ${PROJECT_SOURCE_DIR}/protocol/PROTOCOL.md
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libmdgan-protocol-dev
        COMPONENT protocol EXCLUDE_FROM_ALL)

include(CPack)
