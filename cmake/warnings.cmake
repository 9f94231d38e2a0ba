# One interface target that every target of ours links: the language level and the warnings.
add_library(fovea_options INTERFACE)
target_compile_features(fovea_options INTERFACE cxx_std_20)
target_include_directories(fovea_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(fovea_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic>
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wshadow=local>
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Woverloaded-virtual -Wno-psabi>
  # clang builds the guided fuzz targets; gcc's pragmas are about speed.
  $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wno-unknown-pragmas>
  # gcc 12 misreads "literal" + std::string as an overlapping copy (its bug 105651).
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-restrict>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${FOVEA_WERROR}>>:-Werror>)
# Identical results whatever the optimisation level: no contraction of a*b+c behind our back.
# Kernels ask for fused multiply-add by name.
target_compile_options(fovea_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=off>)
# Kernels are built for AVX2 and AVX-512 and chosen at run time; older processors get the portable
# version.
target_compile_definitions(fovea_options INTERFACE "HWY_DISABLED_TARGETS=(HWY_SSSE3|HWY_SSE4)")
