#include "pipelines/hunt/hunt.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <nlohmann/json.hpp>

#include "pipelines/metadata/metadata.h"
#include "tensor/error.h"

namespace fovea {
namespace {

// The next of a stream of numbers that every machine draws alike (Steele et al. 2014).
uint64_t SplitMix(uint64_t* state) {
  uint64_t z = (*state += 0x9E3779B97F4A7C15U);
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31U);
}

// `count` of them, in their order. The same `seed` gives the same ones.
std::vector<NamedHead> Draw(const std::vector<NamedHead>& all, size_t count, uint64_t seed) {
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t i = 0; i < count; ++i) {
    std::swap(order[i], order[i + SplitMix(&seed) % (order.size() - i)]);
  }
  order.resize(count);
  std::sort(order.begin(), order.end());
  std::vector<NamedHead> drawn;
  for (const size_t i : order) drawn.push_back(all[i]);
  return drawn;
}

std::string Number(double value) {
  return nlohmann::json(value).dump();
}

std::vector<std::string> LayersOf(const std::vector<NamedHead>& heads) {
  std::vector<std::string> layers;
  for (const NamedHead& each : heads) {
    if (std::find(layers.begin(), layers.end(), each.layer) == layers.end()) {
      layers.push_back(each.layer);
    }
  }
  return layers;
}

size_t Kept(const HuntPlan& plan, size_t pool) {
  const auto share = static_cast<size_t>(std::ceil(plan.quick_keep * static_cast<double>(pool)));
  return std::clamp(share, std::min(static_cast<size_t>(plan.top), pool), pool);
}

// Goes through a hunt from its beginning, as far as the records reach.
class Walk {
 public:
  // `upto`: rounds that are gone through, and what follows them only if they are all.
  Walk(const HuntPlan& plan, const HuntRecords& records, int upto)
      : plan_(plan), records_(records), pool_(plan.candidates) {
    for (int round = 0; round < upto; ++round) {
      if (!GoThroughRound(round)) return;
    }
    if (upto == plan.rounds && !plan.unseen.empty()) Compare();
  }

  std::vector<HuntTask> missing;
  HuntResult result;

  std::string ListWith(const std::vector<NamedHead>& more) const {
    const std::string& begun = plan_.settings.perturb;
    std::string list = HeadListText(more, plan_.strength);
    return begun.empty() || list.empty() ? begun + list : begun + "," + list;
  }

 private:
  int Prompts(HuntStage stage) const {
    return static_cast<int>((stage == HuntStage::kUnseen ? plan_.unseen : plan_.prompts).size());
  }
  // Whether all pictures of the trial are there; those that are not are missing.
  bool Has(HuntStage stage, int round, const std::string& trial) {
    bool all = true;
    for (int i = 0; i < Prompts(stage); ++i) {
      HuntTask task{stage, round, trial, i};
      if (records_.contains(task)) continue;
      missing.push_back(std::move(task));
      all = false;
    }
    return all;
  }
  double Total(const HuntScores& scores) const {
    double sum = 0;
    for (size_t i = 0; i < plan_.weights.size(); ++i) {
      sum += plan_.weights[i] * scores.scores.at(i);
    }
    return sum;
  }
  std::vector<double> Totals(HuntStage stage, int round, const std::string& trial) const {
    std::vector<double> totals;
    for (int i = 0; i < Prompts(stage); ++i) {
      totals.push_back(Total(records_.at({stage, round, trial, i})));
    }
    return totals;
  }
  static std::pair<double, double> MeanAndError(const std::vector<double>& values) {
    const auto n = static_cast<double>(values.size());
    const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
    double squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    return {mean, values.size() < 2 ? 0 : 1.96 * std::sqrt(squares / (n - 1) / n)};
  }
  HuntMean MeanOf(HuntStage stage, int round, const std::string& trial) const {
    const auto [mean, error] = MeanAndError(Totals(stage, round, trial));
    HuntMean out{mean, error, 0, Prompts(stage)};
    for (int i = 0; i < out.pictures; ++i) {
      out.saturation += records_.at({stage, round, trial, i}).saturation / out.pictures;
    }
    return out;
  }
  HuntGain GainOf(HuntStage stage, int round, const std::string& trial,
                  const std::string& over) const {
    std::vector<double> gains = Totals(stage, round, trial);
    const std::vector<double> base = Totals(stage, round, over);
    for (size_t i = 0; i < gains.size(); ++i) gains[i] -= base[i];
    const auto [mean, error] = MeanAndError(gains);
    return {mean, error};
  }

  // Tries each of `heads`; best first. Empty: pictures are missing.
  std::vector<TriedHead> Try(HuntStage stage, int round, const std::vector<NamedHead>& heads) {
    bool all = Has(stage, round, "");
    for (const NamedHead& each : heads) all = Has(stage, round, each.item) && all;
    std::vector<TriedHead> tried;
    if (!all) return tried;
    for (const NamedHead& each : heads) {
      tried.push_back(
          {each, MeanOf(stage, round, each.item), GainOf(stage, round, each.item, ""), false});
    }
    std::stable_sort(tried.begin(), tried.end(), [](const TriedHead& a, const TriedHead& b) {
      return a.score.mean > b.score.mean;
    });
    return tried;
  }

  bool GoThroughRound(int number) {
    HuntRound round;
    std::vector<NamedHead> worthy = pool_;
    if (plan_.quick_steps > 0) {
      round.quick = Try(HuntStage::kQuick, number, pool_);
      if (round.quick.empty()) return false;
      // In the order of the model again, which decides between equals.
      std::map<std::string, bool> kept;
      for (size_t i = 0; i < Kept(plan_, pool_.size()); ++i) kept[round.quick[i].head.item] = true;
      std::erase_if(worthy, [&](const NamedHead& each) { return !kept.contains(each.item); });
    }
    round.full = Try(HuntStage::kSearch, number, worthy);
    if (round.full.empty()) return false;
    for (int i = 0; i < plan_.top; ++i) {
      TriedHead& best = round.full[static_cast<size_t>(i)];
      best.chosen = true;
      round.chosen.push_back(best.head);
      result.found.push_back(best.head);
      std::erase_if(pool_, [&](const NamedHead& each) { return each.item == best.head.item; });
    }
    round.rank_correlation = Correlation(round);
    result.rounds.push_back(std::move(round));
    return true;
  }

  static std::optional<double> Correlation(const HuntRound& round) {
    std::map<std::string, double> quick;
    for (const TriedHead& each : round.quick) quick[each.head.item] = each.score.mean;
    std::vector<double> a, b;
    for (const TriedHead& each : round.full) {
      if (!quick.contains(each.head.item)) continue;
      a.push_back(quick[each.head.item]);
      b.push_back(each.score.mean);
    }
    return a.size() < 3 ? std::nullopt : std::optional(RankCorrelationOf(a, b));
  }

  // Of whole layers the one that the search's prompts like best; empty: pictures are missing.
  std::string BestLayer() {
    const std::vector<std::string> layers = LayersOf(plan_.candidates);
    bool all = true;
    for (const std::string& layer : layers) {
      all = Has(HuntStage::kSearch, plan_.rounds, "layer " + layer) && all;
    }
    if (!all) return {};
    std::string best;
    double most = 0;
    for (const std::string& layer : layers) {
      const double mean = MeanOf(HuntStage::kSearch, plan_.rounds, "layer " + layer).mean;
      if (!best.empty() && mean <= most) continue;
      best = layer;
      most = mean;
    }
    return best;
  }

  void Compare() {
    std::vector<HuntContender> all;
    all.push_back({"none", "", {}, {}});
    all.push_back({"found", ListWith(result.found), {}, {}});
    for (const double strength : plan_.strengths) {
      all.push_back({"found@" + Number(strength), HeadListText(result.found, strength), {}, {}});
    }
    if (plan_.cfg > 0) all.push_back({"cfg", "", {}, {}});
    for (int i = 0; i < plan_.random_sets; ++i) {
      const auto drawn = Draw(plan_.candidates, result.found.size(), static_cast<uint64_t>(i) + 1);
      all.push_back({"random " + std::to_string(i + 1), ListWith(drawn), {}, {}});
    }
    const std::string layer = BestLayer();
    if (!layer.empty()) all.push_back({"layer " + layer, layer, {}, {}});
    bool complete = !layer.empty();
    for (const HuntContender& each : all) {
      complete = Has(HuntStage::kUnseen, 0, each.name) && complete;
    }
    // Needed for the settings of tasks before there are scores.
    result.contenders = all;
    if (!complete) return;
    for (HuntContender& each : result.contenders) {
      each.score = MeanOf(HuntStage::kUnseen, 0, each.name);
      each.over_none = GainOf(HuntStage::kUnseen, 0, each.name, "none");
    }
  }

  const HuntPlan& plan_;
  const HuntRecords& records_;
  std::vector<NamedHead> pool_;
};

std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i + 1;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t k = i; k < end; ++k) ranks[order[k]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return ranks;
}

}  // namespace

double RankCorrelationOf(const std::vector<double>& a, const std::vector<double>& b) {
  ENSURE(a.size() == b.size() && a.size() >= 2);
  const std::vector<double> ra = Ranks(a), rb = Ranks(b);
  const double middle = static_cast<double>(a.size() - 1) / 2;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (ra[i] - middle) * (rb[i] - middle);
    aa += (ra[i] - middle) * (ra[i] - middle);
    bb += (rb[i] - middle) * (rb[i] - middle);
  }
  return aa * bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

std::string HeadListText(const std::vector<NamedHead>& heads, double strength) {
  std::string text;
  const std::string suffix = strength == 1 ? "" : "@" + Number(strength);
  std::vector<NamedHead> sorted = heads;
  std::stable_sort(sorted.begin(), sorted.end(), [](const NamedHead& a, const NamedHead& b) {
    return std::pair(a.site, a.head) < std::pair(b.site, b.head);
  });
  for (const std::string& layer : LayersOf(sorted)) {
    std::string list;
    size_t count = 0;
    for (const NamedHead& each : sorted) {
      if (each.layer != layer) continue;
      if (!list.empty()) list += ",";
      list += std::to_string(each.head);
      ++count;
    }
    text +=
        (text.empty() ? "" : ",") + layer + "." + (count > 1 ? "[" + list + "]" : list) + suffix;
  }
  return text;
}

void HuntPlan::Check() const {
  const auto bad = [](const std::string& what) { throw Error(ErrorCode::kUsage, what); };
  if (prompts.empty()) bad("--prompts: the search needs at least one prompt");
  if (candidates.empty()) bad("--heads: names no head");
  if (rounds < 1 || top < 1) bad("--rounds, --top: must be 1 or more");
  if (static_cast<int64_t>(rounds) * top > static_cast<int64_t>(candidates.size())) {
    bad("--rounds " + std::to_string(rounds) + " of --top " + std::to_string(top) + " choose " +
        std::to_string(int64_t{rounds} * top) + " heads, but there are " +
        std::to_string(candidates.size()));
  }
  if (quick_steps >= settings.steps && quick_steps > 0) {
    bad("--quick-steps " + std::to_string(quick_steps) + ": must be fewer than the " +
        std::to_string(settings.steps) + " steps of the search");
  }
}

std::string HuntPlan::Head(const std::string& model,
                           const std::vector<std::string>& objectives) const {
  nlohmann::ordered_json head = {{"hunt", 1}, {"model", model}};
  head["settings"] = SettingsToJson(settings);
  // These are left out of the settings of pictures without perturbed heads.
  head["perturb"] = {settings.perturb, settings.perturb_kind, settings.perturb_scope,
                     settings.perturb_steps};
  head["perturb-scale"] = settings.perturb_scale;
  head["guidance"] = settings.guidance;
  head["prompts"] = prompts;
  head["unseen"] = unseen;
  head["heads"] = HeadListText(candidates);
  head["objectives"] = objectives;
  head["weights"] = weights;
  head["rounds"] = rounds;
  head["top"] = top;
  head["strength"] = strength;
  head["quick_steps"] = quick_steps;
  head["quick_keep"] = quick_keep;
  head["random_sets"] = random_sets;
  head["strengths"] = strengths;
  head["cfg"] = cfg;
  return head.dump();
}

int64_t HuntPlan::Pictures() const {
  int64_t trials = 0;
  for (int round = 0; round < rounds; ++round) {
    const size_t pool = candidates.size() - static_cast<size_t>(round) * static_cast<size_t>(top);
    if (quick_steps > 0) trials += static_cast<int64_t>(pool) + 1;
    trials += static_cast<int64_t>(quick_steps > 0 ? Kept(*this, pool) : pool) + 1;
  }
  const auto searched = static_cast<int64_t>(prompts.size());
  if (unseen.empty()) return trials * searched;
  trials += static_cast<int64_t>(LayersOf(candidates).size());
  const int64_t contenders =
      3 + static_cast<int64_t>(strengths.size()) + random_sets + (cfg > 0 ? 1 : 0);
  return trials * searched + contenders * static_cast<int64_t>(unseen.size());
}

std::vector<HuntTask> MissingTasks(const HuntPlan& plan, const HuntRecords& records) {
  return Walk(plan, records, plan.rounds).missing;
}

HuntResult ResultOf(const HuntPlan& plan, const HuntRecords& records) {
  Walk walk(plan, records, plan.rounds);
  ENSURE(walk.missing.empty());
  return std::move(walk.result);
}

GenerateSettings SettingsOf(const HuntPlan& plan, const HuntRecords& records,
                            const HuntTask& task) {
  const bool unseen = task.stage == HuntStage::kUnseen;
  const auto prompt = static_cast<size_t>(task.prompt);
  GenerateSettings settings = plan.settings;
  settings.prompt = (unseen ? plan.unseen : plan.prompts).at(prompt);
  settings.seed = *settings.seed + prompt + (unseen ? plan.prompts.size() : 0);
  settings.batch = 1;
  if (task.stage == HuntStage::kQuick) settings.steps = plan.quick_steps;
  if (task.trial.starts_with("layer ") && !unseen) {
    settings.perturb = task.trial.substr(6);
    return settings;
  }
  const Walk walk(plan, records, unseen ? plan.rounds : task.round);
  if (unseen) {
    const auto& all = walk.result.contenders;
    const auto found = std::find_if(
        all.begin(), all.end(), [&](const HuntContender& each) { return each.name == task.trial; });
    ENSURE(found != all.end(), task.trial);
    settings.perturb = found->list;
    if (task.trial == "cfg") settings.cfg = plan.cfg;
    return settings;
  }
  std::vector<NamedHead> heads = walk.result.found;
  for (const NamedHead& each : plan.candidates) {
    if (each.item == task.trial) heads.push_back(each);
  }
  settings.perturb = walk.ListWith(heads);
  return settings;
}

}  // namespace fovea
