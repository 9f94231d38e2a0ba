// The constructors of the samplers, one file each; registry.cc lists them.
#pragma once

#include <memory>

#include "pipelines/sampling/scheduler.h"

namespace fovea {

std::unique_ptr<Scheduler> MakeDdim(const Config& config, const SamplerChoice& choice);
std::unique_ptr<Scheduler> MakePndm(const Config& config, const SamplerChoice& choice);
std::unique_ptr<Scheduler> MakeEuler(const Config& config, const SamplerChoice& choice);
std::unique_ptr<Scheduler> MakeEulerAncestral(const Config& config, const SamplerChoice& choice);
std::unique_ptr<Scheduler> MakeHeun(const Config& config, const SamplerChoice& choice);
std::unique_ptr<Scheduler> MakeUniPc(const Config& config, const SamplerChoice& choice);
std::unique_ptr<Scheduler> MakeLcm(const Config& config, const SamplerChoice& choice);
std::unique_ptr<Scheduler> MakeFlowEuler(const Config& config, const SamplerChoice& choice);
std::unique_ptr<Scheduler> MakeFlowHeun(const Config& config, const SamplerChoice& choice);
// `algorithm` replaces the config's algorithm_type; empty: as the config says.
std::unique_ptr<Scheduler> MakeDpmSolverMultistep(const Config& config, const SamplerChoice& choice,
                                                  std::string_view algorithm);

}  // namespace fovea
