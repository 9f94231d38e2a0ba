// What --hires did in a run, for people, reports and pictures.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "pipelines/hires.h"

namespace fovea {

struct HiresReport {
  struct Stage {
    std::string steps, stage;  // "0-9", a name of RaunetStage
  };
  std::string schedule;       // empty: nothing was done
  bool extreme = false;       // both sides at least 4 times the trained ones
  bool windows = false;       // rules of windows stood behind the attention plan
  std::vector<Stage> stages;  // all steps, in order

  bool Empty() const { return schedule.empty(); }
};

HiresReport ReportOf(const Hires& hires);
// {"schedule","extreme","windows","stages":[{"steps","stage"}]}
nlohmann::ordered_json ToJson(const HiresReport& report);
// The reverse; `where` names the file in messages. Throws kBadFile.
HiresReport HiresFromJson(const nlohmann::json& json, const std::string& where);
// "RAU-Net (sd): conv in steps 0-9, off in 10-24; with windows"; empty for an empty report.
std::string Line(const HiresReport& report);

}  // namespace fovea
