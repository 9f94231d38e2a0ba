#include "app/cli_commands/hunt/head_model.h"

#include <algorithm>
#include <set>

#include "app/process/exit_code.h"
#include "tensor/error.h"

namespace fovea {
namespace {

void RefuseForeignFlags(const GenerateFlags& flags) {
  const auto refuse = [](const char* flag, const char* why) {
    throw Error(ErrorCode::kUsage, std::string(flag) + ": " + why);
  };
  if (flags.given.contains("batch")) refuse("-b", "heads are tried one picture at a time");
  const char* const start = "every picture starts from its own noise here; leave it out";
  if (flags.image) refuse("--image", start);
  if (flags.mask) refuse("--mask", start);
  if (flags.init_latents) refuse("--init-latents", start);
  const char* const kept = "is kept by fovea generate, not here; leave it out";
  if (flags.save_latents) refuse("--save-latents", kept);
  if (flags.dump) refuse("--dump", kept);
  if (flags.trace) refuse("--trace", kept);
  if (flags.from) refuse("--from", "give the flags themselves");
}

}  // namespace

HeadModel::HeadModel(const GenerateFlags& flags, const std::string& list) {
  RefuseForeignFlags(flags);
  GenerateSettings asked = flags.Settings().settings;
  if (!flags.given.contains("seed")) asked.seed = 0;
  const ModelFolder folder =
      flags.models.Open(asked.model, ParseLoraText(asked.lora), asked.overlay);
  for (const std::string& note : folder.notes) PrintNote(note);
  backend = flags.common.MakeDevice();
  pipeline = TextToImage::Load(folder, *backend);
  pipeline->LimitMemory(flags.memory.Bytes());
  name = asked.model = folder.name;
  if (!flags.given.contains("prompt")) asked.prompt = pipeline->SamplePrompt();

  GenerateSettings guided = asked, free = asked;
  guided.perturb.clear();
  free.perturb.clear();
  guided.cfg = -1;
  free.cfg = 1;
  const bool takes_branch = pipeline->DryRun(guided).flops > pipeline->DryRun(free).flops;
  if (takes_branch && !flags.given.contains("cfg")) asked.cfg = 1;
  settings = pipeline->Resolve(asked);
  if (takes_branch && settings.cfg <= 1) plain_cfg = pipeline->Resolve(guided).cfg;

  const std::vector<AttentionSite> sites = pipeline->Facts().sites;
  std::set<std::pair<int, int>> wanted;
  const auto each_head = [&](const std::string& text, const auto& act) {
    for (const HeadPerturbation& each : PerturbList::Parse(text).Resolve(sites)) {
      const int count = sites[static_cast<size_t>(each.site)].heads;
      for (int head = 0; head < count; ++head) {
        if (!each.heads.empty() &&
            std::find(each.heads.begin(), each.heads.end(), head) == each.heads.end()) {
          continue;
        }
        act(std::pair(each.site, head));
      }
    }
  };
  each_head(list, [&](std::pair<int, int> head) { wanted.insert(head); });
  each_head(settings.perturb, [&](std::pair<int, int> head) { wanted.erase(head); });
  for (NamedHead& each : HeadsOf(sites)) {
    if (wanted.contains({each.site, each.head})) heads.push_back(std::move(each));
  }
  if (heads.empty()) {
    throw Error(ErrorCode::kUnsupported,
                "--heads \"" + list + "\": names no head that is not in --perturb already");
  }
}

double HeadModel::WorkOf(const std::string& item) const {
  GenerateSettings one = settings;
  one.perturb += (one.perturb.empty() || item.empty() ? "" : ",") + item;
  return pipeline->DryRun(one).flops / 1e9;
}

Image DrawOne(const HeadModel& model, const GenerateSettings& settings,
              const StopSignals& signals) {
  GenerateHooks hooks;
  hooks.stop = signals.Token();
  Generated made = model.pipeline->Run(settings, {}, hooks);
  if (made.cancelled) throw Cancelled{};
  return std::move(made.images.at(0));
}

}  // namespace fovea
