#include "app/cli_commands/inspect/inspect_analytics.h"

#include <array>
#include <string_view>

#include "app/cli_commands/analytics/tables.h"

namespace fovea {
namespace {

struct Kind {
  std::string_view name;
  void (*add)(Study&, InspectOutputs*);
};

constexpr std::array kKinds = {Kind{"heads", AddHeads}, Kind{"importance", AddImportance},
                               Kind{"faithfulness", AddFaithfulness}, Kind{"tokens", AddTokens},
                               Kind{"same-object", AddSameObject}};

}  // namespace

std::vector<std::string> AnalyticsKinds() {
  std::vector<std::string> names;
  for (const Kind& each : kKinds) names.emplace_back(each.name);
  return names;
}

void AddAnalytics(const AnalyticsRequest& request, InspectOutputs* outputs) {
  Study study(request);
  for (const std::string& kind : request.kinds) {
    for (const Kind& each : kKinds) {
      if (each.name == kind) each.add(study, outputs);
    }
  }
}

}  // namespace fovea
