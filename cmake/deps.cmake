# Every third-party package, found once, under one name each; scripts/install-packages lists the
# packages.
include(library_deps)
find_package(CLI11 REQUIRED)
if(FOVEA_TESTS)
  # Catch2 2 or 3; tests are written in the words of 2, which a header of ours gives to 3.
  find_package(Catch2 REQUIRED)
  if(Catch2_VERSION VERSION_GREATER_EQUAL 3)
    target_include_directories(Catch2::Catch2 INTERFACE ${PROJECT_SOURCE_DIR}/tests/support/catch3)
  endif()
endif()
# What only the desktop program needs: without all of them it is left out, and said to be.
set(OpenGL_GL_PREFERENCE GLVND)
pkg_check_modules(IMGUI IMPORTED_TARGET imgui>=1.86)
pkg_check_modules(GLFW IMPORTED_TARGET glfw3)
pkg_check_modules(SQLITE IMPORTED_TARGET sqlite3)
find_package(OpenGL COMPONENTS OpenGL)
set(FOVEA_STUDIO ON)
foreach(package IMGUI GLFW SQLITE OpenGL_OpenGL)
  if(NOT ${package}_FOUND)
    set(FOVEA_STUDIO OFF)
    message(WARNING "fovea-studio is left out: ${package} was not found; "
                    "scripts/install-packages installs it")
  endif()
endforeach()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
# JSON's and Catch's headers take longer to read than most sources of ours. ccache cannot share objects
# that were built with a precompiled header between folders, so it is one or the other.
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
