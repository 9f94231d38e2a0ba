// `fovea hunt`: finds the heads that are worth being led away from.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <thread>

#include <nlohmann/json.hpp>

#include "app/cli_commands/commands.h"
#include "app/cli_commands/hunt/head_model.h"
#include "app/cli_commands/hunt/hunt_outputs.h"
#include "app/cli_commands/hunt/journal_file.h"
#include "app/cli_commands/hunt/objectives.h"
#include "app/process/exit_code.h"
#include "app/progress.h"
#include "models/files/text_file.h"
#include "pipelines/hunt/hunt.h"
#include "tensor/error.h"
#include "tensor/machine/cpu_info.h"
#include "tensor/machine/threads.h"

namespace fovea {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostTextBytes = 64 << 20;
constexpr size_t kAtOnce = 8;  // pictures that objectives are asked about together

struct HuntFlags {
  GenerateFlags generate;
  std::optional<std::string> prompts, unseen, heads, text, journal, shard;
  std::vector<std::string> scores;
  std::optional<int64_t> rounds, top, quick_steps, random_sets;
  double strength = 1, quick_keep = 0.25;
  std::vector<double> strengths;
  bool wait = false, dry_run = false;

  void Add(Flags& flags);
};

void HuntFlags::Add(Flags& flags) {
  flags.Text("--prompts", "FILE", prompts,
             "prompts of the search, one a line; prompt i has seed + i", "the one of -p");
  flags.Text("--unseen", "FILE", unseen,
             "prompts that choose nothing: the found heads are compared on them with none, plain "
             "guidance, the best whole layer and random sets");
  flags.Text("--heads", "LIST", heads, "heads to try, as --perturb names them", "all");
  flags.TextList("--score", "clip[:FOLDER]|command:COMMAND|saturation[@WEIGHT]", scores,
                 "what a picture is worth; may be repeated, weighted numbers add up; a command "
                 "reads names of PNG files, prompts being in NAME.txt beside, and prints a number "
                 "for each (clip)");
  flags.Text("--score-text", "TEXT", text, "what clip compares a picture with; {} is its prompt",
             "{}");
  flags.Whole("--rounds", rounds, 1, 1000, "rounds; each begins with the heads that were found",
              "1");
  flags.Whole("--top", top, 1, 100'000, "heads that a round chooses", "3");
  flags.Value(
      "--head-strength", "X",
      [this](const std::string& given) { strength = ParseReal("--head-strength", given, 0.01, 1); },
      "how much a tried head is broken", "1");
  flags.Whole("--quick-steps", quick_steps, 1, 1 << 20,
              "look at all heads with this few steps first; only the best are looked at in full",
              "none");
  flags.Value(
      "--quick-keep", "X",
      [this](const std::string& given) { quick_keep = ParseReal("--quick-keep", given, 0, 1); },
      "share of the heads that stays after the quick look", "0.25");
  flags.Whole("--random-sets", random_sets, 0, 100, "random sets of as many heads, on --unseen",
              "3");
  flags.Value(
      "--strengths", "X,...",
      [this](const std::string& given) {
        strengths.clear();
        for (size_t begin = 0; begin <= given.size();) {
          const size_t end = std::min(given.find(',', begin), given.size());
          strengths.push_back(ParseReal("--strengths", given.substr(begin, end - begin), 0.01, 1));
          begin = end + 1;
        }
      },
      "strengths of the found heads to compare on --unseen, too", "none");
  flags.Text("--journal", "FILE", journal,
             "one line a picture; a hunt that was stopped goes on where it ends",
             "journal.jsonl in the folder of -o");
  flags.Text("--shard", "I/N", shard,
             "make only the I-th of N parts of the pictures; journals of all parts are read");
  flags.Switch("--wait", wait, "wait for the other shards' pictures instead of ending");
  flags.Switch("--dry-run", dry_run, "say what it would take and end");
  generate.names_heads = true;
  generate.Add(flags);
}

std::vector<std::string> ReadPrompts(const char* flag, const std::string& file) {
  const std::string content = ReadTextFile(file, kMostTextBytes);
  CheckUtf8(flag + (" " + file), content);
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < content.size();) {
    const size_t end = std::min(content.find('\n', begin), content.size());
    std::string line = content.substr(begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(std::move(line));
    begin = end + 1;
  }
  if (lines.empty()) throw Error(ErrorCode::kBadFile, file + ": holds no prompt");
  return lines;
}

HuntPlan MakePlan(const HuntFlags& flags, const HeadModel& model,
                  const std::vector<Objective>& objectives) {
  if (flags.prompts && flags.generate.given.contains("prompt")) {
    throw Error(ErrorCode::kUsage, "-p: --prompts names the prompts; give one of them");
  }
  HuntPlan plan;
  plan.settings = model.settings;
  plan.prompts = flags.prompts ? ReadPrompts("--prompts", *flags.prompts)
                               : std::vector<std::string>{model.settings.prompt};
  if (flags.unseen) plan.unseen = ReadPrompts("--unseen", *flags.unseen);
  plan.candidates = model.heads;
  for (const Objective& each : objectives) plan.weights.push_back(each.weight);
  plan.rounds = static_cast<int>(flags.rounds.value_or(1));
  plan.top = static_cast<int>(flags.top.value_or(3));
  plan.strength = flags.strength;
  plan.quick_steps = static_cast<int>(flags.quick_steps.value_or(0));
  plan.quick_keep = flags.quick_keep;
  plan.random_sets = static_cast<int>(flags.random_sets.value_or(3));
  plan.strengths = flags.strengths;
  plan.cfg = model.plain_cfg;
  plan.Check();
  // Prompts and settings that cannot be are found now, not after hours.
  for (const auto* list : {&plan.prompts, &plan.unseen}) {
    for (const std::string& prompt : *list) {
      GenerateSettings one = plan.settings;
      one.prompt = prompt;
      model.pipeline->Resolve(one);
    }
  }
  return plan;
}

// GFLOP of all pictures: of those with a head the mean over layers, as the saving of shared layers
// differs from one to the next.
double WorkOf(const HuntPlan& plan, const HeadModel& model) {
  std::map<std::string, std::pair<const NamedHead*, double>> layers;
  for (const NamedHead& each : plan.candidates) {
    auto& [head, count] = layers[each.layer];
    head = &each;
    ++count;
  }
  double sum = 0;
  for (const auto& [layer, of] : layers) sum += model.WorkOf(of.first->item) * of.second;
  const double full = sum / static_cast<double>(plan.candidates.size());
  double pictures = static_cast<double>(plan.Pictures());
  if (plan.quick_steps == 0) return full * pictures;
  double quick = 0;
  for (int round = 0; round < plan.rounds; ++round) {
    quick +=
        static_cast<double>(plan.candidates.size()) + 1 - static_cast<double>(round) * plan.top;
  }
  quick *= static_cast<double>(plan.prompts.size());
  return full * (pictures - quick + quick * plan.quick_steps / plan.settings.steps);
}

struct Price {
  int64_t pictures = 0;
  double gflop = 0, seconds = 0;  // at best
  ordered_json Json() const {
    return {{"pictures", pictures}, {"gflop", gflop}, {"seconds_at_best", seconds}};
  }
  std::string Text() const {
    char text[160];
    std::snprintf(text, sizeof text, "%lld pictures, %.4g GFLOP, at best %.3g s with %d threads",
                  static_cast<long long>(pictures), gflop, seconds, NumThreads());
    return text;
  }
};

class Hunter {
 public:
  Hunter(const HuntPlan& plan, const HeadModel& model, Objectives& objectives, JournalFile& journal,
         const StopSignals& signals)
      : plan_(plan), model_(model), objectives_(objectives), journal_(journal), signals_(signals) {}

  // False: other shards' pictures are missing, and nobody waits.
  bool Run(const Shard& shard, bool wait) {
    for (;;) {
      std::vector<HuntTask> tasks = MissingTasks(plan_, journal_.Records());
      if (tasks.empty()) break;
      std::erase_if(tasks, [&](const HuntTask& each) { return !shard.Has(each); });
      for (size_t i = 0; i < tasks.size(); i += kAtOnce) {
        Make({tasks.begin() + static_cast<std::ptrdiff_t>(i),
              tasks.begin() + static_cast<std::ptrdiff_t>(std::min(i + kAtOnce, tasks.size()))});
      }
      if (shard.count > 1) journal_.ReadOthers();
      if (!tasks.empty()) continue;
      if (MissingTasks(plan_, journal_.Records()).empty()) break;
      if (HasOwn(shard)) continue;
      if (!wait) return false;
      signals_.ThrowIfStopped();
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
    progress_.End();
    return true;
  }

 private:
  bool HasOwn(const Shard& shard) const {
    const auto tasks = MissingTasks(plan_, journal_.Records());
    return std::any_of(tasks.begin(), tasks.end(),
                       [&](const HuntTask& each) { return shard.Has(each); });
  }

  void Make(const std::vector<HuntTask>& tasks) {
    std::vector<Image> images;
    std::vector<ScoredPicture> pictures;
    const auto begin = std::chrono::steady_clock::now();
    for (const HuntTask& task : tasks) {
      const GenerateSettings settings = SettingsOf(plan_, journal_.Records(), task);
      images.push_back(DrawOne(model_, settings, signals_));
      pictures.push_back({nullptr, settings.prompt});
    }
    for (size_t i = 0; i < images.size(); ++i) pictures[i].image = &images[i];
    const std::vector<HuntScores> scores = objectives_.Score(pictures);
    for (size_t i = 0; i < tasks.size(); ++i) journal_.Append(tasks[i], scores[i]);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    const auto all = static_cast<int>(plan_.Pictures());
    const auto done = static_cast<int>(journal_.Records().size());
    progress_.Step(std::min(done, all), all, seconds.count());
  }

  const HuntPlan& plan_;
  const HeadModel& model_;
  Objectives& objectives_;
  JournalFile& journal_;
  const StopSignals& signals_;
  Progress progress_;
};

int RunHunt(const HuntFlags& flags) {
  flags.generate.common.Apply();
  const StopSignals signals;
  const Shard shard = Shard::Parse(flags.shard.value_or("1/1"));
  std::vector<Objective> objectives;
  std::vector<std::string> names;
  for (const std::string& each : flags.scores) objectives.push_back(Objective::Parse(each));
  if (objectives.empty()) objectives.push_back(Objective::Parse("clip"));
  for (const Objective& each : objectives) names.push_back(each.Text());
  const std::string text = flags.text.value_or("{}");
  names.push_back("text " + text);
  CheckUtf8("--score-text", text);

  const HeadModel model(flags.generate, flags.heads.value_or("*"));
  const HuntPlan plan = MakePlan(flags, model, objectives);
  Price price{plan.Pictures(), WorkOf(plan, model), 0};
  price.seconds = price.gflop / MeasurePeakGflops(*ParseDType(plan.settings.dtype));
  if (flags.dry_run) {
    if (flags.generate.common.json) {
      PrintJson(price.Json());
    } else {
      std::printf("%s\n", price.Text().c_str());
    }
    return kExitDone;
  }
  const std::filesystem::path folder = flags.generate.output.value_or("out/hunt");
  OutputFiles files;
  files.MakeFolder(folder);
  Objectives scorers(objectives, text, flags.generate.common, flags.generate.models, signals,
                     *model.backend);
  bool done = false;
  {
    JournalFile journal(flags.journal.value_or((folder / "journal.jsonl").string()),
                        plan.Head(model.name, names), objectives.size(), shard);
    PrintNote("predicted: " + price.Text());
    done = Hunter(plan, model, scorers, journal, signals).Run(shard, flags.wait);
    if (done) {
      ordered_json json =
          WriteHunt(plan, ResultOf(plan, journal.Records()), names, model.name, folder, files);
      const auto written = files.Commit();
      if (flags.generate.common.json) {
        for (const auto& file : written) json["files"].push_back(file.string());
        PrintJson(json);
      } else {
        for (const auto& file : written) std::printf("%s\n", file.c_str());
      }
      return kExitDone;
    }
  }
  files.Commit();
  PrintNote("this shard's pictures are made; run the other shards, and this one again");
  if (flags.generate.common.json) PrintJson({{"complete", false}, {"pictures", plan.Pictures()}});
  return kExitDone;
}

}  // namespace

Command HuntCommand() {
  const auto flags = std::make_shared<HuntFlags>();
  return {"hunt", "find the heads that are worth being led away from",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunHunt(*flags); }};
}

}  // namespace fovea
