// The kinds of `fovea inspect --analytics`: each adds its tables and sheets to the outputs.
//
// All throw Cancelled, and kUsage or kUnsupported where pictures, masks or the model do not do.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "app/cli_commands/analytics/study.h"
#include "app/cli_commands/inspect/inspect_outputs.h"

namespace fovea {

void AddHeads(Study& study, InspectOutputs* outputs);
void AddImportance(Study& study, InspectOutputs* outputs);
void AddFaithfulness(Study& study, InspectOutputs* outputs);
void AddTokens(Study& study, InspectOutputs* outputs);
void AddSameObject(Study& study, InspectOutputs* outputs);

// A number as all of the tables write it.
std::string Number(double value);
// One value a head as a picture: layers down, heads across.
Image MatrixPicture(const std::string& title, const std::vector<HeadId>& heads,
                    const std::function<double(size_t)>& value, bool is_signed);

}  // namespace fovea
