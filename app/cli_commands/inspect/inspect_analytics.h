// `fovea inspect -i PICTURES --analytics`: numbers about the heads and tokens of a Vision
// Transformer over many pictures, and whether its maps show what the pictures are about.
// analytics/study.h says what the model is asked.
#pragma once

#include <string>
#include <vector>

#include "app/cli_commands/analytics/study.h"
#include "app/cli_commands/inspect/inspect_outputs.h"

namespace fovea {

std::vector<std::string> AnalyticsKinds();
// Adds tables and sheets. Throws kUsage where pictures are too few, Cancelled.
void AddAnalytics(const AnalyticsRequest& request, InspectOutputs* outputs);

}  // namespace fovea
