# fovea_precompile_json(NAME <sources>): those of its sources that include nlohmann's JSON get it parsed
# already. For the others, reading the precompiled header would take longer than what they include.
function(fovea_precompile_json name)
  if(NOT FOVEA_PRECOMPILE)
    return()
  endif()
  foreach(source ${ARGN})
    file(STRINGS ${source} includes REGEX "#include <nlohmann/json.hpp>")
    if(NOT includes)
      set_source_files_properties(${source} TARGET_DIRECTORY ${name}
        PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
  target_precompile_headers(${name} PRIVATE <nlohmann/json.hpp>)
endfunction()

# fovea_module(NAME PUBLIC <targets> PRIVATE <targets>): the folder NAME as one static library.
# Third-party libraries go in PRIVATE, so that an upper layer cannot include their headers.
# Sources are the folder's *.cc; *_cuda_absent.cc only where no kernels are compiled (cmake/cuda.cmake).
function(fovea_module name)
  cmake_parse_arguments(ARG "" "" "PUBLIC;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.cc)
  if(FOVEA_CUDA)
    list(FILTER sources EXCLUDE REGEX "_cuda_absent\\.cc$")
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC fovea_options ${ARG_PUBLIC} PRIVATE ${ARG_PRIVATE})
  if(nlohmann_json::nlohmann_json IN_LIST ARG_PRIVATE)
    fovea_precompile_json(${name} ${sources})
  endif()
endfunction()

# fovea_test(NAME <targets>): tests/NAME/**/*_test.cc as one Catch2 program, each case a CTest test. It
# links test_support_NAME, what the tests of this layer share, else test_support, which links all.
function(fovea_test name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${name}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test ${sources})
  set(support test_support)
  if(TARGET test_support_${name})
    set(support test_support_${name})
  endif()
  target_link_libraries(${name}_test PRIVATE ${ARGN} ${support} Catch2::Catch2)
  if(FOVEA_PRECOMPILE)
    set(headers <catch2/catch.hpp>)
    if(nlohmann_json::nlohmann_json IN_LIST ARGN)
      list(APPEND headers <nlohmann/json.hpp>)
    endif()
    target_precompile_headers(${name}_test PRIVATE ${headers})
  endif()
  catch_discover_tests(${name}_test TEST_PREFIX "${name}: "
    PROPERTIES ENVIRONMENT OMP_WAIT_POLICY=passive TIMEOUT 600)
endfunction()

# fovea_test_lower_sets(NAME [TEST SPEC]): the cases of NAME_test (that the specification names) once
# more at each instruction set below the best, which FOVEA_ISA chooses. Their label is isa:SET.
# scripts/test leaves out the sets that the processor does not have or that are its best.
function(fovea_test_lower_sets name)
  foreach(set avx512 avx2 portable)
    # --name tells one list of cases from the next, which would be written to one file without it;
    # the program refuses to run above the set that it names.
    catch_discover_tests(${name}_test TEST_SPEC ${ARGN} EXTRA_ARGS --name ${set}
      TEST_PREFIX "${set}, ${name}: "
      # One variable a property: a list would be torn apart on its way.
      PROPERTIES ENVIRONMENT OMP_WAIT_POLICY=passive ENVIRONMENT_MODIFICATION FOVEA_ISA=set:${set}
                 LABELS isa:${set} TIMEOUT 600)
  endforeach()
endfunction()
