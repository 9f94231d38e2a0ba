#include "app/jobs/job.h"

#include <algorithm>
#include <optional>
#include <type_traits>

#include "pipelines/settings/settings.h"
#include "tensor/error.h"

namespace fovea {

SettingType TypeOfSetting(std::string_view name) {
  SettingType type = SettingType::kNone;
  GenerateSettings settings;
  settings.ForEachField([&](std::string_view field, auto& value, const char*) {
    using T = std::decay_t<decltype(value)>;
    if (field != name) return;
    type = std::is_same_v<T, int>                       ? SettingType::kWhole
           : std::is_same_v<T, double>                  ? SettingType::kReal
           : std::is_same_v<T, std::optional<uint64_t>> ? SettingType::kSeed
                                                        : SettingType::kText;
  });
  if (type == SettingType::kNone &&
      std::find(std::begin(kJobInputs), std::end(kJobInputs), name) != std::end(kJobInputs)) {
    type = SettingType::kText;
  }
  return type;
}

void JobLimit::Take(int64_t jobs) {
  if (jobs > left_) {
    throw Error(ErrorCode::kUsage, "the job files ask for more than " + std::to_string(most_) +
                                       " jobs; split them, or raise --max-jobs");
  }
  left_ -= jobs;
}

}  // namespace fovea
