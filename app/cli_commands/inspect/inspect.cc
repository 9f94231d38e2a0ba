// `fovea inspect`: what the heads of a run, or of a Vision Transformer, look at.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <utility>

#include <nlohmann/json.hpp>

#include "app/built_in_models.h"
#include "app/cli_commands/commands.h"
#include "app/cli_commands/generate/generate_flags.h"
#include "app/cli_commands/inspect/inspect_analytics.h"
#include "app/cli_commands/inspect/inspect_outputs.h"
#include "app/picture_list.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/process/stop_signals.h"
#include "app/progress.h"
#include "pipelines/generation/provenance.h"
#include "pipelines/inspect/inspect.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/settings/hires_request.h"
#include "pipelines/settings/plan_source.h"
#include "pipelines/vision/find_tower.h"
#include "tensor/error.h"
#include "tensor/glob.h"

namespace fovea {
namespace {

using nlohmann::ordered_json;

struct InspectFlags {
  GenerateFlags generate;
  std::vector<std::string> pictures, labels;
  std::optional<std::string> maps, words, words_of, layers, heads, steps, at_steps, query, per,
      rollout;
  std::optional<std::string> attention_b, analytics;
  std::optional<double> threshold;
  bool gif = false;

  void Add(Flags& flags);
  // Gives --steps its meaning: sampling steps; beside --sampling-steps, or as a list or range, the
  // steps to look at, which are --at-steps now. Throws kUsage.
  void SortSteps();
  InspectRequest Request(bool of_pictures) const;
};

void InspectFlags::Add(Flags& flags) {
  generate.steps_flag = "--sampling-steps";
  flags.Text("--steps", "N", steps,
             "sampling steps, as in generate; --sampling-steps means the same",
             "the model's, else 25");
  generate.Add(flags);
  generate.models.AddComponent(flags);
  flags.TextList("-i,--input", "PICTURE|DIR", pictures,
                 "pictures for a Vision Transformer, instead of a prompt; any number of them",
                 /*many=*/true);
  flags.Text(
      "--maps", "KIND,...", maps,
      "of a prompt: words, rows, self, segments, entropy, concepts; of pictures: cls, rollout, "
      "relevance, chefer, rows, entropy",
      "words; of pictures cls, rollout");
  flags.Text("--words", "WORD,...", words,
             "words of the prompt, phrases, <start>, <end>, <padding>, or <N>, a position",
             "all of them");
  flags.Text("--words-of", "text|prompt", words_of,
             "weights among all text tokens, or among the prompt's own: start and padding left out",
             "text");
  flags.TextList("--label", "N|NAME|TEXT", labels,
                 "chefer: the class to look for, by number or name, or a text to CLIP; may be "
                 "repeated (the class that the model answers)");
  flags.Text("--layers", "GLOB,...", layers, "layers to look at, by path",
             "all that a map is made of; cls: the last");
  flags.Text("--heads", "LIST", heads, "heads to look at, as 0-3,5", "all");
  flags.Text("--at-steps", "LIST", at_steps, "steps to look at, as 0-4,9 or 20%-80%",
             "all; segments and self: one late step");
  flags.Text("--per", "layer,head,step", per, "tell maps apart by these, too", "none");
  flags.Text("--query", "ROW,COL", query, "rows: the place, on the finest grid of image tokens",
             "its middle");
  flags.Text("--rollout", "mean|max|min[,SHARE]", rollout,
             "how heads become one, and the share of smallest weights left out", "mean");
  flags.Value(
      "--segments-threshold", "X",
      [this](const std::string& text) {
        threshold = ParseReal("--segments-threshold", text, 0, 1e6);
      },
      "divergence below which parts of the picture are one segment",
      "0.9 on 4096 tokens, less on fewer");
  flags.Text("--attention-b", "PLAN", attention_b,
             "run again with this plan: maps and pictures of both, and their difference");
  flags.Text("--analytics", "heads,importance,faithfulness,tokens,same-object", analytics,
             "of pictures: tables of every head's pattern, of what is lost without it, of what "
             "maps are worth, of tokens that stand out, and of whether features tell objects "
             "apart; captions NAME.txt and masks/NAME.png beside them are used");
  flags.Switch("--gif", gif, "steps as animations; tells maps apart by step");
}

void InspectFlags::SortSteps() {
  if (!steps) return;
  const bool list = steps->find_first_of("-,%") != std::string::npos;
  if (list || generate.given.contains("steps")) {
    if (at_steps) {
      throw Error(ErrorCode::kUsage, "--steps " + *steps +
                                         ": names steps to look at, and so does --at-steps; give "
                                         "one of them");
    }
    at_steps = std::exchange(steps, std::nullopt);
    return;
  }
  const auto count = static_cast<int>(ParseWhole("--steps", *steps, 1, 1 << 20));
  generate.given.emplace("steps");
  generate.overrides.push_back([count](GenerateSettings& settings) { settings.steps = count; });
}

std::vector<std::string> SplitList(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    std::string part = text.substr(begin, end - begin);
    while (!part.empty() && part.front() == ' ') part.erase(0, 1);
    while (!part.empty() && part.back() == ' ') part.pop_back();
    if (!part.empty()) parts.push_back(std::move(part));
    begin = end + 1;
  }
  return parts;
}

InspectRequest InspectFlags::Request(bool of_pictures) const {
  InspectRequest request;
  request.kinds = SplitList(maps.value_or(of_pictures ? "cls,rollout" : "words"));
  if (request.kinds.empty()) throw Error(ErrorCode::kUsage, "--maps: name at least one kind");
  CheckMapKinds(request.kinds, of_pictures ? VitMapKinds() : DiffusionMapKinds(),
                of_pictures ? DiffusionMapKinds() : VitMapKinds());
  if (!labels.empty() &&
      (std::find(request.kinds.begin(), request.kinds.end(), "chefer") == request.kinds.end())) {
    throw Error(ErrorCode::kUsage, "--label: is what --maps chefer looks for; add that kind");
  }
  for (const std::string& label : labels) CheckUtf8("--label", label);
  if (words) {
    CheckUtf8("--words", *words);
    request.words = SplitList(*words);
  }
  if (words_of) {
    CheckChoice("--words-of", *words_of, {"text", "prompt"});
    request.among_words = *words_of == "prompt";
  }
  MapSelection& selection = request.selection;
  if (layers) {
    // Commas inside of braces belong to the glob.
    std::string part;
    int depth = 0;
    for (const char c : *layers + ",") {
      depth += (c == '{') - (c == '}');
      if (c == ',' && depth <= 0) {
        for (std::string& glob : ExpandBraces(part)) selection.layers.push_back(std::move(glob));
        part.clear();
      } else {
        part += c;
      }
    }
  }
  if (heads) selection.heads = ParseHeads("--heads", *heads);
  for (const std::string& each : SplitList(at_steps.value_or(""))) {
    selection.steps.push_back(ParseStepRange(each));
  }
  for (const std::string& each : SplitList(per.value_or(""))) {
    CheckChoice("--per", each, {"layer", "head", "step"});
    if (each == "layer") selection.per_layer = true;
    if (each == "head") selection.per_head = true;
    if (each == "step") selection.per_step = true;
  }
  selection.per_step = selection.per_step || gif;
  if (query) {
    const auto parts = SplitList(*query);
    if (parts.size() != 2) {
      throw Error(ErrorCode::kUsage, "--query: \"" + *query + "\" is not ROW,COL");
    }
    request.query = {static_cast<int>(ParseWhole("--query", parts[0], 0, 1 << 20)),
                     static_cast<int>(ParseWhole("--query", parts[1], 0, 1 << 20))};
  }
  if (rollout) request.rollout = ParseRollout(*rollout);
  request.segment_threshold = threshold;
  return request;
}

ordered_json InspectPrompt(const InspectFlags& flags, const StopSignals& signals,
                           InspectOutputs& outputs) {
  const GenerateFlags& generate = flags.generate;
  const InspectRequest request = flags.Request(false);
  if (flags.analytics) throw Error(ErrorCode::kUsage, "--analytics: give pictures with -i");
  PictureSettings asked = generate.Settings();
  const GivenPictures given = generate.ReadPictures(&asked.settings);
  const ModelFolder folder = generate.models.Open(
      asked.settings.model, ParseLoraText(asked.settings.lora), asked.settings.overlay);
  for (const std::string& note : folder.notes) PrintNote(note);
  const auto backend = generate.common.MakeDevice();
  const auto pipeline = TextToImage::Load(folder, *backend);
  pipeline->LimitMemory(flags.generate.memory.Bytes());
  asked.settings.model = folder.name;
  if (!generate.given.contains("prompt") && !generate.from) {
    asked.settings.prompt = pipeline->SamplePrompt();
  }
  const GenerateSettings settings = pipeline->Resolve(asked.settings);
  if (settings.batch != 1) {
    throw Error(ErrorCode::kUsage, "inspect looks at one picture; leave --batch at 1");
  }
  if (ParseHires(settings.hires).mode == HiresMode::kTwoPass) {
    throw Error(ErrorCode::kUnsupported,
                "inspect looks at one pass; inspect the second one with --image and --strength");
  }
  const GenerateInputs inputs{nullptr, given.image ? &*given.image : nullptr,
                              given.mask ? &*given.mask : nullptr};
  std::vector<GenerateSettings> runs{settings};
  if (flags.attention_b) {
    runs.push_back(settings);
    runs.back().attention = ReadPlan(*flags.attention_b, BuiltInPlansFolder()).Text();
    runs.back() = pipeline->Resolve(runs.back());
  }
  for (const GenerateSettings& run : runs) {
    RequireMemory(pipeline->DryRun(run, inputs).PeakBytes(), "lower --width and --height");
  }
  Progress progress;
  GenerateHooks hooks;
  hooks.stop = signals.Token();
  hooks.warn = [&](const std::string& text) {
    progress.End();
    PrintWarning(text);
  };
  hooks.on_step = [&](const StepView& view) {
    progress.Step(view.step + 1, view.steps, view.seconds);
  };
  hooks.on_text = [&](const NamedTensors&) { PrintNote("seed " + std::to_string(*settings.seed)); };
  std::vector<Inspection> inspections;
  std::vector<Image> pictures;
  for (size_t i = 0; i < runs.size(); ++i) {
    Generated generated;
    inspections.push_back(InspectRun(*pipeline, runs[i], inputs, request, hooks, &generated));
    progress.End();
    if (generated.cancelled) throw Cancelled{};
    signals.ThrowIfStopped();
    pictures.push_back(generated.images.at(0));
    const std::string plan = runs.size() == 1 ? "" : i == 0 ? "a" : "b";
    outputs.Add(
        {"", plan}, pictures.back(),
        PictureText(generated.settings, ProvenanceOf(generated, HereAndNow(FOVEA_VERSION)), 0),
        inspections.back());
    hooks.on_text = {};
    hooks.warn = {};
  }
  if (runs.size() == 2) {
    outputs.AddDifference("", pictures[0], inspections[0], pictures[1], inspections[1]);
  }
  ordered_json described = SettingsToJson(runs[0]);
  if (runs.size() == 2) described["attention-b"] = runs[1].attention;
  return outputs.Finish(folder.name, described);
}

ordered_json InspectPictures(const InspectFlags& flags, const StopSignals& signals,
                             InspectOutputs& outputs, int* exit_code) {
  InspectRequest request = flags.Request(true);
  if (flags.gif) throw Error(ErrorCode::kUsage, "--gif: a Vision Transformer has no steps");
  PictureListReader reader;
  const auto listed = ListPictures(flags.pictures);
  const std::vector<std::filesystem::path> files = reader.Readable(listed);
  const ModelFolder folder =
      flags.generate.models.Open(flags.generate.models.model.value_or("still-life-clip"));
  const auto backend = flags.generate.common.MakeDevice();
  const auto model =
      PictureModel::Load(FindPictureComponent(folder, flags.generate.models.component), *backend);
  ForwardOptions options;
  options.dtype = flags.generate.common.ComputeType();
  options.stop = signals.Token();
  const bool chefer =
      std::find(request.kinds.begin(), request.kinds.end(), "chefer") != request.kinds.end();
  if (chefer) {
    request.targets = FindTargets(folder, *model, *backend, flags.labels, options);
    signals.ThrowIfStopped();
  }
  GenerateSettings plans;
  for (const auto& apply : flags.generate.overrides) apply(plans);
  std::vector<std::string> runs{plans.attention};
  if (flags.attention_b) runs.push_back(*flags.attention_b);
  if (flags.analytics) {
    AnalyticsRequest analytics{
        SplitList(*flags.analytics), folder, *model, *backend, files, options};
    for (const std::string& each : analytics.kinds) {
      CheckChoice("--analytics", each, AnalyticsKinds());
    }
    analytics.options.attention = ReadPlan(runs[0], BuiltInPlansFolder());
    AddAnalytics(analytics, &outputs);
  }
  const size_t mapped = flags.analytics && !flags.maps ? 0 : files.size();
  for (size_t f = 0; f < mapped; ++f) {
    const Image picture = ReadPicture(files[f]);
    const Image seen = model->Seen(picture);
    std::string tag;
    if (files.size() > 1) {
      char number[24];
      std::snprintf(number, sizeof number, "%04zu", f + 1);
      tag = number;
    }
    std::vector<Inspection> inspections;
    for (size_t i = 0; i < runs.size(); ++i) {
      options.attention = ReadPlan(runs[i], BuiltInPlansFolder());
      inspections.push_back(InspectPicture(*model, *backend, picture, request, options));
      signals.ThrowIfStopped();
      const std::string plan = runs.size() == 1 ? "" : i == 0 ? "a" : "b";
      outputs.Add({tag, plan}, seen, {}, inspections.back());
    }
    if (runs.size() == 2) outputs.AddDifference(tag, seen, inspections[0], seen, inspections[1]);
  }
  ordered_json described = {{"pictures", ordered_json::array()}, {"attention", runs[0]}};
  for (const auto& file : files) described["pictures"].push_back(file.filename().string());
  if (runs.size() == 2) described["attention-b"] = runs[1];
  if (!flags.labels.empty()) described["label"] = flags.labels;
  *exit_code = reader.ExitCode(listed.size());
  return outputs.Finish(folder.name, described);
}

int RunInspect(const InspectFlags& given_flags) {
  InspectFlags flags = given_flags;
  flags.SortSteps();
  const GenerateFlags& generate = flags.generate;
  generate.common.Apply();
  const StopSignals signals;
  if (!flags.pictures.empty() && generate.given.contains("prompt")) {
    throw Error(ErrorCode::kUsage, "give a prompt, or pictures with -i, not both");
  }
  for (const auto& [flag, given] : {std::pair{"--save-latents", generate.save_latents.has_value()},
                                    {"--init-latents", generate.init_latents.has_value()},
                                    {"--dump", generate.dump.has_value()},
                                    {"--trace", generate.trace.has_value()}}) {
    if (given) throw Error(ErrorCode::kUsage, std::string(flag) + " belongs to fovea generate");
  }
  const std::filesystem::path folder = generate.output.value_or("out/inspect");
  InspectOutputs outputs(folder, flags.gif);
  int exit_code = kExitDone;
  const ordered_json manifest = flags.pictures.empty()
                                    ? InspectPrompt(flags, signals, outputs)
                                    : InspectPictures(flags, signals, outputs, &exit_code);
  if (generate.common.json) {
    PrintJson(manifest);
  } else {
    for (const char* list : {"pictures", "sheets", "animations", "tables"}) {
      if (!manifest.contains(list)) continue;
      for (const auto& name : manifest.at(list)) {
        std::printf("%s\n", (folder / name.get<std::string>()).c_str());
      }
    }
    std::printf("%s\n", (folder / "manifest.json").c_str());
  }
  return exit_code;
}

}  // namespace

Command InspectCommand() {
  const auto flags = std::make_shared<InspectFlags>();
  return {"inspect", "show what the attention heads of a run look at",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunInspect(*flags); }};
}

}  // namespace fovea
