// Samplers and schedules as A1111's web UI calls them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fovea {

// "Euler a" of "euler_a". A sampler that A1111 lacks keeps its own name.
std::string A1111Sampler(std::string_view sampler);

// "Karras" of a run's ScheduleType(), "SGM Uniform" of what was asked for; a plain schedule is
// named, too, where A1111 would take another one for "Automatic". Empty: the sampler has only one.
std::string A1111Schedule(std::string_view sampler, std::string_view asked, std::string_view ran);

struct OurSampler {
  std::optional<std::string> sampler;   // ours; none: we lack it
  std::optional<std::string> schedule;  // of ScheduleNames(); none: we lack it
};

// Ours for a sampler and "Schedule type" of A1111, Forge, ComfyUI or an older version, which wrote
// both as one: "DPM++ 2M SDE Karras". `schedule` is empty where the text names none; `automatic`:
// then, too, the sampler's own default is meant, as since A1111's version 1.9, not the plain one.
OurSampler ReadA1111Sampler(std::string_view sampler, std::string_view schedule, bool automatic);

// Whether a text's "Version" knows of schedule types: A1111 from 1.9 on, Forge.
bool KnowsScheduleTypes(std::string_view version);

}  // namespace fovea
