# What `cmake --install` puts where, and the .deb packages that CPack makes of it: `fovea`, both
# programs with all that they need, and `fovea-dev`, the library for other programs.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# The four layers below the programs as one library. Its objects are the layers' own.
add_library(fovea_library STATIC $<TARGET_OBJECTS:tensor> $<TARGET_OBJECTS:attention>
  $<TARGET_OBJECTS:models> $<TARGET_OBJECTS:pipelines>)
add_library(fovea::fovea ALIAS fovea_library)
set_target_properties(fovea_library PROPERTIES
  OUTPUT_NAME fovea EXPORT_NAME fovea LINKER_LANGUAGE CXX
  ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
target_compile_features(fovea_library PUBLIC cxx_std_20)
target_include_directories(fovea_library PUBLIC
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/fovea>)
target_link_libraries(fovea_library PUBLIC nlohmann_json::nlohmann_json
  PRIVATE DNNL::dnnl PkgConfig::HWY OpenMP::OpenMP_CXX PkgConfig::ICU PkgConfig::PNG PkgConfig::JPEG PkgConfig::WEBP PkgConfig::TIFF
          PkgConfig::ZLIB GIF::GIF opencv_core opencv_imgproc)

# The manual and the completion of shells, written by the programs themselves.
set(documentation ${PROJECT_BINARY_DIR}/documentation)
set(documented fovea)
if(FOVEA_STUDIO)
  list(APPEND documented fovea-studio)
endif()
set(stamps)
foreach(program ${documented})
  set(stamp ${documentation}/${program}.stamp)
  add_custom_command(OUTPUT ${stamp}
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:${program}> -DFOLDER=${documentation}
            -P ${PROJECT_SOURCE_DIR}/cmake/document.cmake
    COMMAND ${CMAKE_COMMAND} -E touch ${stamp}
    DEPENDS ${program} ${PROJECT_SOURCE_DIR}/cmake/document.cmake VERBATIM)
  list(APPEND stamps ${stamp})
endforeach()
add_custom_target(documentation ALL DEPENDS ${stamps})

set(data ${CMAKE_INSTALL_DATADIR}/fovea)  # where the programs look: ../share/fovea beside them
install(TARGETS ${documented} RUNTIME COMPONENT programs)
install(DIRECTORY assets/models assets/plans assets/configs DESTINATION ${data} COMPONENT programs)
install(FILES README.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT programs)
install(DIRECTORY ${documentation}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT programs)
install(DIRECTORY ${documentation}/bash/ COMPONENT programs
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(DIRECTORY ${documentation}/zsh/ COMPONENT programs
  DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(DIRECTORY ${documentation}/fish/ COMPONENT programs
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
if(FOVEA_STUDIO)
  install(FILES packaging/fovea-studio.desktop COMPONENT programs
    DESTINATION ${CMAKE_INSTALL_DATADIR}/applications)
  install(FILES packaging/fovea-studio.svg COMPONENT programs
    DESTINATION ${CMAKE_INSTALL_DATADIR}/icons/hicolor/scalable/apps)
endif()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/fovea)
install(TARGETS fovea_library EXPORT foveaTargets COMPONENT development)
install(EXPORT foveaTargets NAMESPACE fovea:: DESTINATION ${package} COMPONENT development)
configure_package_config_file(cmake/foveaConfig.cmake.in ${PROJECT_BINARY_DIR}/foveaConfig.cmake
  INSTALL_DESTINATION ${package} PATH_VARS data)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/foveaConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/foveaConfig.cmake ${PROJECT_BINARY_DIR}/foveaConfigVersion.cmake
  cmake/library_deps.cmake DESTINATION ${package} COMPONENT development)
# Headers of one processor's kernels include third-party headers and are nobody's interface.
install(DIRECTORY tensor attention models pipelines COMPONENT development
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fovea FILES_MATCHING PATTERN "*.h"
  PATTERN "tensor/cpu" EXCLUDE PATTERN "*-inl.h" EXCLUDE)
install(FILES docs/embedding.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/fovea-dev
  COMPONENT development)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/fovea-dev
  COMPONENT development)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_CONTACT "Fovea's maintainers <maintainers@fovea.invalid>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "studio for the attention layers of image models")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL programs development)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE "$ENV{FOVEA_PACKAGE_RELEASE}")  # scripts/package: deb13, say
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_NAME fovea)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PROGRAMS_PACKAGE_RECOMMENDS "fonts-inter, fonts-font-awesome")
set(CPACK_COMPONENT_PROGRAMS_DESCRIPTION
  "Runs diffusion models and Vision Transformers and looks into their attention layers: fovea is\n the command line, fovea-studio the desktop program.")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME fovea-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
  "fovea, cmake, pkg-config, libdnnl-dev, libhwy-dev, libopencv-core-dev, libopencv-imgproc-dev, libpng-dev, libjpeg-dev, libgif-dev, libicu-dev, nlohmann-json3-dev, zlib1g-dev")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION
  "The library behind fovea, its headers and its CMake package.")
include(CPack)
