# CUDA is found or not found here, once. Sources never ask: *_cuda.cu files are linked when it is
# on, *_cuda_absent.cc files, which define the same entry points as errors, when it is off.
include(CheckLanguage)
option(FOVEA_CUDA "Build the CUDA backend (default: whether nvcc is found)" OFF)
