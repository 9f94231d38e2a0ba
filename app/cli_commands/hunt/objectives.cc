#include "app/cli_commands/hunt/objectives.h"

#include <charconv>
#include <cmath>

#include "app/cli_commands/hunt/command_scorer.h"
#include "tensor/error.h"

namespace fovea {
namespace {

class SaturationScorer final : public PictureScorer {
 public:
  std::vector<double> Score(const std::vector<ScoredPicture>& pictures) override {
    std::vector<double> scores;
    for (const ScoredPicture& each : pictures) scores.push_back(SaturationOf(*each.image));
    return scores;
  }
};

}  // namespace

std::string Objective::Text() const {
  return kind + (value.empty() ? "" : ":" + value);
}

Objective Objective::Parse(const std::string& text) {
  Objective out;
  std::string named = text;
  if (const size_t at = text.rfind('@'); at != std::string::npos) {
    double weight = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + at + 1, end, weight);
    if (error == std::errc() && rest == end && std::isfinite(weight) && weight != 0) {
      out.weight = weight;
      named.resize(at);
    }
  }
  const size_t colon = std::min(named.find(':'), named.size());
  out.kind = named.substr(0, colon);
  out.value = named.substr(std::min(colon + 1, named.size()));
  const bool has_value = colon < named.size() && !out.value.empty();
  const bool right = (out.kind == "clip" && (has_value || colon == named.size())) ||
                     (out.kind == "command" && has_value) || named == "saturation";
  if (!right) {
    throw Error(ErrorCode::kUsage, "--score: \"" + text +
                                       "\" is not clip, clip:FOLDER, command:COMMAND or "
                                       "saturation, each with @WEIGHT or without");
  }
  return out;
}

Objectives::Objectives(const std::vector<Objective>& objectives, const std::string& text,
                       const CommonFlags& common, const ModelFlags& models,
                       const StopSignals& signals, Backend& backend)
    : signals_(signals) {
  for (const Objective& each : objectives) {
    if (each.kind == "command") {
      scorers_.push_back(MakeCommandScorer(each.value));
    } else if (each.kind == "saturation") {
      scorers_.push_back(std::make_unique<SaturationScorer>());
    } else {
      ForwardOptions options;
      options.dtype = common.ComputeType();
      options.stop = signals.Token();
      const std::string name = each.value.empty() ? "still-life-clip" : each.value;
      scorers_.push_back(MakeClipScorer(models.Open(name, {}, ""), text, options, backend));
    }
  }
}

std::vector<HuntScores> Objectives::Score(const std::vector<ScoredPicture>& pictures) {
  std::vector<HuntScores> out(pictures.size());
  for (const auto& scorer : scorers_) {
    const std::vector<double> scores = scorer->Score(pictures);
    signals_.ThrowIfStopped();
    for (size_t i = 0; i < out.size(); ++i) out[i].scores.push_back(scores.at(i));
  }
  for (size_t i = 0; i < out.size(); ++i) out[i].saturation = SaturationOf(*pictures[i].image);
  return out;
}

}  // namespace fovea
