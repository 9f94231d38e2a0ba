// What --hires did in a run, for people, reports and pictures.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "pipelines/sampling/hires.h"

namespace fovea {

struct HiresReport {
  struct Stage {
    std::string steps, stage;  // "0-9", a name of RaunetStage
  };
  struct TwoPass {
    int width = 0, height = 0;  // of the first picture; 0: there was one pass
    int first = 0, second = 0;  // calls of the model
    double strength = 0;        // of the second pass
  };
  TwoPass two_pass;
  std::string schedule;       // of RAU-Net; empty: it did nothing
  bool extreme = false;       // both sides at least 4 times the trained ones
  bool windows = false;       // rules of windows stood behind the attention plan
  std::vector<Stage> stages;  // all steps, in order

  bool Empty() const { return schedule.empty() && two_pass.width == 0; }
};

HiresReport ReportOf(const Hires& hires);
// {"schedule","extreme","windows","stages":[{"steps","stage"}]}, or
// {"two_pass":{"width","height","calls":[FIRST,SECOND],"strength"}}
nlohmann::ordered_json ToJson(const HiresReport& report);
// The reverse; `where` names the file in messages. Throws kBadFile.
HiresReport HiresFromJson(const nlohmann::json& json, const std::string& where);
// "RAU-Net (sd): conv in steps 0-9, off in 10-24; with windows"; "two passes: 64x64 in steps 0-24,
// then at strength 0.5 in 25-36"; empty for an empty report.
std::string Line(const HiresReport& report);

}  // namespace fovea
