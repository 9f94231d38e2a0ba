# Every third-party package, found once, under one name each. Debian 12's versions are the floor;
# scripts/install-packages lists the packages.
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
# oneDNN 2.6. Debian's CMake files for it ask for OpenCL's headers, which we do not need.
find_path(DNNL_INCLUDE dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(DNNL::dnnl UNKNOWN IMPORTED)
set_target_properties(DNNL::dnnl PROPERTIES
  IMPORTED_LOCATION ${DNNL_LIBRARY} INTERFACE_INCLUDE_DIRECTORIES ${DNNL_INCLUDE})
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
find_package(GIF 5 REQUIRED)
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc)
# OpenCV's own CMake files are in libopencv-dev, which pulls in half a desktop; the two modules that
# we use are not.
find_path(OPENCV_INCLUDE opencv2/imgproc.hpp PATH_SUFFIXES opencv4 REQUIRED)
foreach(module core imgproc)
  find_library(OPENCV_${module} opencv_${module} REQUIRED)
  add_library(opencv_${module} UNKNOWN IMPORTED)
  set_target_properties(opencv_${module} PROPERTIES
    IMPORTED_LOCATION ${OPENCV_${module}} INTERFACE_INCLUDE_DIRECTORIES ${OPENCV_INCLUDE})
endforeach()
if(FOVEA_TESTS)
  find_package(Catch2 2 REQUIRED)
endif()
# What only the desktop program needs: without all of them it is left out, and said to be.
set(OpenGL_GL_PREFERENCE GLVND)
pkg_check_modules(IMGUI IMPORTED_TARGET imgui>=1.86)
pkg_check_modules(GLFW IMPORTED_TARGET glfw3)
pkg_check_modules(SQLITE IMPORTED_TARGET sqlite3)
find_package(OpenGL COMPONENTS OpenGL)
set(FOVEA_STUDIO ON)
foreach(package IMGUI GLFW SQLITE OPENGL)
  if(NOT ${package}_FOUND)
    set(FOVEA_STUDIO OFF)
    message(WARNING "fovea-studio is left out: ${package} was not found; "
                    "scripts/install-packages installs it")
  endif()
endforeach()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
# A precompiled header saves a third of a cold build. ccache cannot share what was built with one
# between folders, and is worth more where it has seen the sources before.
if(CMAKE_CXX_COMPILER_LAUNCHER)
  set(precompile OFF)
else()
  set(precompile ON)
endif()
option(FOVEA_PRECOMPILE "Precompile the headers that many sources read" ${precompile})
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()
