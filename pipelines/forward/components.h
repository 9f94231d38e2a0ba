// The classes that `fovea forward` knows, one loader each.
#pragma once

#include <memory>

#include "models/config.h"
#include "models/weight_store.h"
#include "pipelines/forward/forward.h"

namespace fovea {

// `backend` must outlive the component. `folder` is where the component lies, for its neighbours.
std::unique_ptr<Component> LoadUNetComponent(const Config& config,
                                             std::shared_ptr<const WeightStore> weights,
                                             const std::filesystem::path& folder, Backend& backend);
std::unique_ptr<Component> LoadTransformerComponent(const Config& config,
                                                    std::shared_ptr<const WeightStore> weights,
                                                    const std::filesystem::path& folder,
                                                    Backend& backend);
std::unique_ptr<Component> LoadVaeComponent(const Config& config,
                                            std::shared_ptr<const WeightStore> weights,
                                            const std::filesystem::path& folder, Backend& backend);
std::unique_ptr<Component> LoadClipTextComponent(const Config& config,
                                                 std::shared_ptr<const WeightStore> weights,
                                                 const std::filesystem::path& folder,
                                                 Backend& backend);
std::unique_ptr<Component> LoadT5Component(const Config& config,
                                           std::shared_ptr<const WeightStore> weights,
                                           const std::filesystem::path& folder, Backend& backend);
std::unique_ptr<Component> LoadVitComponent(const Config& config,
                                            std::shared_ptr<const WeightStore> weights,
                                            const std::filesystem::path& folder, Backend& backend);

}  // namespace fovea
