// What ran at each attention site, as the window shows it.
#pragma once

#include <vector>

#include "attention/attention_use.h"
#include "pipelines/metadata/attention_report.h"
#include "ui/snapshot.h"

namespace fovea {

std::vector<SiteUse> UsesOf(const std::vector<AttentionUse>& uses);      // of a run or a dry run
std::vector<SiteUse> UsesOf(const std::vector<AttentionGroup>& groups);  // of a picture's settings

}  // namespace fovea
