# CUDA is found or not found here, once. nvcc compiles the *_cuda.cu files by itself, each into a fatbin
# that is embedded in the library; CMake knows no CUDA language and nothing links a CUDA library. Sources
# never ask: without nvcc the *_cuda_absent.cc files stand in. What needs FOVEA_CUDA is the kernels alone:
# the driver is opened at run time.
find_program(FOVEA_NVCC nvcc PATHS /usr/local/cuda/bin $ENV{CUDA_HOME}/bin)
if(FOVEA_NVCC)
  set(nvcc_found ON)
else()
  set(nvcc_found OFF)
endif()
option(FOVEA_CUDA "Compile the CUDA kernels (default: whether nvcc is found)" ${nvcc_found})
if(FOVEA_CUDA AND NOT FOVEA_NVCC)
  message(FATAL_ERROR "FOVEA_CUDA needs nvcc, which was not found; set FOVEA_NVCC, or turn FOVEA_CUDA off")
endif()

set(FOVEA_CUDA_DIR ${PROJECT_BINARY_DIR}/cuda)
set(fovea_cuda_flags -std=c++20 -O3 -I${PROJECT_SOURCE_DIR} --Werror all-warnings)
set(fovea_cuda_architectures "sm_80 sm_90a compute_80")
set(fovea_cuda_targets -gencode arch=compute_80,code=[sm_80,compute_80] -gencode arch=compute_90a,code=sm_90a)

# fovea_cuda_kernels(TARGET): compiles every *_cuda.cu of the layers and embeds them in TARGET. Beside
# NAME.fatbin stand NAME.ptxas (the assembler's report, which scripts/cuda-registers reads) and NAME.ptx
# (what the tests' interpreter runs).
function(fovea_cuda_kernels target)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tensor/*_cuda.cu
    ${PROJECT_SOURCE_DIR}/attention/*_cuda.cu)
  file(MAKE_DIRECTORY ${FOVEA_CUDA_DIR})
  set(blobs "")
  set(rows "")
  set(fatbins "")
  set(texts "")
  foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    string(REGEX REPLACE "_cuda$" "" name ${name})
    set(out ${FOVEA_CUDA_DIR}/${name})
    list(JOIN fovea_cuda_flags " " flags)
    list(JOIN fovea_cuda_targets " " targets)
    add_custom_command(OUTPUT ${out}.fatbin ${out}.ptxas
      COMMAND sh -c "'${FOVEA_NVCC}' ${flags} ${targets} -fatbin --compress-mode=size -Xptxas -v -MD -MF ${out}.d -MT ${out}.fatbin -o ${out}.fatbin ${source} > ${out}.ptxas 2>&1 || { cat ${out}.ptxas; exit 1; }"
      DEPENDS ${source} DEPFILE ${out}.d COMMENT "Compiling kernels ${name}" VERBATIM)
    add_custom_command(OUTPUT ${out}.ptx
      COMMAND ${FOVEA_NVCC} ${fovea_cuda_flags} -arch=compute_80 -lineinfo -ptx -MD -MF ${out}.ptx.d -MT ${out}.ptx -o ${out}.ptx ${source}
      DEPENDS ${source} DEPFILE ${out}.ptx.d COMMENT "Compiling PTX ${name}" VERBATIM)
    list(APPEND fatbins ${out}.fatbin)
    list(APPEND texts ${out}.ptx)
    string(APPEND blobs "FOVEA_EMBED(${name}, \"${out}.fatbin\")\n")
    string(APPEND rows "    {\"${name}\", {fovea_image_${name}, fovea_image_${name}_end}},\n")
  endforeach()
  set(FOVEA_CUDA_BLOBS "${blobs}")
  set(FOVEA_CUDA_ROWS "${rows}")
  set(FOVEA_CUDA_ARCHITECTURES "${fovea_cuda_architectures}")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/kernel_images.cc.in ${FOVEA_CUDA_DIR}/kernel_images.cc @ONLY)
  set_source_files_properties(${FOVEA_CUDA_DIR}/kernel_images.cc TARGET_DIRECTORY ${target}
    PROPERTIES OBJECT_DEPENDS "${fatbins}")
  target_sources(${target} PRIVATE ${FOVEA_CUDA_DIR}/kernel_images.cc)
  add_custom_target(cuda_ptx DEPENDS ${texts})
endfunction()
