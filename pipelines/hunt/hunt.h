// HeadHunter: which heads to lead away from, chosen greedily by what pictures are worth.
//
// "Where and How to Perturb" (2025), arXiv:2506.10978, algorithm 1. Every round tries each head
// beside those that were chosen before, on all search prompts, and keeps the best few. Ours: a
// quick look with fewer steps may come first and leave heads out; then the found heads are compared
// on prompts that chose nothing, beside none, plain guidance, whole layers and random sets.
//
// This is the plan alone, a pure function of the records: it draws and scores nothing. So a hunt
// that is stopped anywhere, or split among programs, finds the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "attention/heads/perturbation_list.h"
#include "pipelines/hunt/hunt_records.h"
#include "pipelines/settings/settings.h"

namespace fovea {

struct HuntPlan {
  GenerateSettings settings;          // resolved, of one picture; `perturb`: heads to begin with
  std::vector<std::string> prompts;   // of the search; prompt i has the seed settings.seed + i
  std::vector<std::string> unseen;    // prompt i has the seed settings.seed + prompts.size() + i
  std::vector<NamedHead> candidates;  // in the order of the model
  std::vector<double> weights;        // of the objectives
  int rounds = 1, top = 3;
  double strength = 1;                 // of a head in the search
  int quick_steps = 0;                 // 0: no quick look
  double quick_keep = 0.25;            // the share of candidates that stays after it
  int random_sets = 3;                 // beside the found one, of as many heads
  std::vector<double> strengths = {};  // of the found set on unseen prompts, beside 1
  double cfg = 0;                      // of plain guidance at equal cost; 0: the model has none

  // Throws kUsage for numbers that do not go together.
  void Check() const;
  // Everything that the result depends on, as one line: two hunts with the same are the same.
  // `objectives` names what the scores are.
  std::string Head(const std::string& model, const std::vector<std::string>& objectives) const;
  // Pictures of the whole hunt. With unseen prompts and several rounds it is exact, too.
  int64_t Pictures() const;
};

// The mean over prompts of a trial, and how well it is known.
struct HuntMean {
  double mean = 0;
  double error = 0;       // 1.96 standard errors
  double saturation = 0;  // mean
  int pictures = 0;
};
// a - b, picture by picture.
struct HuntGain {
  double mean = 0, error = 0;
};

struct TriedHead {
  NamedHead head;
  HuntMean score;
  HuntGain gain;        // over the heads that were chosen before the round
  bool chosen = false;  // in this round
};

struct HuntRound {
  std::vector<TriedHead> quick, full;  // best first; the earlier head where two are equal
  std::vector<NamedHead> chosen;       // best first
  // Spearman's, of the quick and the full means of the heads that had both; none: fewer than 3.
  std::optional<double> rank_correlation;
};

struct HuntContender {
  std::string name;    // "none", "found", "found@0.5", "cfg", "layer m0", "random 1"
  std::string list;    // as --perturb; empty: none
  HuntMean score;      // on unseen prompts
  HuntGain over_none;  // 0 of "none"
};

struct HuntResult {
  std::vector<HuntRound> rounds;
  std::vector<NamedHead> found;           // all chosen ones, in the order of choosing
  std::vector<HuntContender> contenders;  // empty without unseen prompts
};

// The pictures that are missing now, as far as the records allow to tell; none: the hunt is done.
// A round's follow when the one before is complete.
std::vector<HuntTask> MissingTasks(const HuntPlan& plan, const HuntRecords& records);
// Of complete records. Throws kInternal for others.
HuntResult ResultOf(const HuntPlan& plan, const HuntRecords& records);
// What a task's picture is made with. Needs the records of the rounds before.
GenerateSettings SettingsOf(const HuntPlan& plan, const HuntRecords& records, const HuntTask& task);

// A list of heads as --perturb takes it: heads of one layer together, layers in the model's order.
std::string HeadListText(const std::vector<NamedHead>& heads, double strength = 1);

// Rank correlation of Spearman; equal values share their ranks. Both have as many numbers, 2 or
// more.
double RankCorrelationOf(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace fovea
