// Shifted windows of HiDiffusion: the token grid cut into a few large windows that move.
//
// Zhang et al., "HiDiffusion: Unlocking Higher-Resolution Creativity and Efficiency in Pretrained
// Diffusion Models" (2024), MSW-MSA. With windows of ceil(H / gh) rows, the window of a row is
// ((row - shift) mod H) div that size; columns alike. Cyclic, and no mask at the wrap: tokens of
// opposite borders see each other. A quarter K shifts by (size div 4) * K on both axes, by nothing
// at all if that is 0 rows.
// Which quarter a call uses: `shift` or `quarter` fixed; `schedule=step` drawn from seed, step and
// layer; `schedule=upstream` from PyTorch's CPU generator seeded with the picture's seed, one draw
// a windowed layer and step, in order of execution. A grid that the windows do not divide:
// `odd=ragged` cuts uneven windows; `odd=resample` resizes q, k and v bicubically as the official
// code does, and then has no log-sum-exp. Cost: dense divided by the number of windows.
#pragma once

#include <cstdint>

#include "attention/attention_op.h"

namespace fovea {

const AttentionOp& WindowAttention();

// The quarters of the two schedules; `draw` counts the windowed calls of a run.
int StepQuarter(uint64_t seed, int step, int layer);
int UpstreamQuarter(uint64_t seed, int64_t draw);

}  // namespace fovea
