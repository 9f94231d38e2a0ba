#include "app/cli_commands/hunt/hunt_outputs.h"

#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

#include "app/cli_commands/analytics/tables.h"
#include "pipelines/maps/map_picture.h"
#include "pipelines/metadata/metadata.h"
#include "pipelines/pictures/formats/png_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::ordered_json;

void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream stream(path, std::ios::binary);
  stream << text;
  if (!stream.flush()) throw Error(ErrorCode::kBadFile, path.string() + ": cannot be written");
}

// A list that --perturb @FILE reads, with all that a run needs to use it as the search did.
std::string FoundFile(const HuntPlan& plan, const HuntResult& result, const std::string& model) {
  const GenerateSettings& s = plan.settings;
  std::string text = "# Found by fovea hunt on " + model + ": " +
                     std::to_string(result.found.size()) + " heads of " +
                     std::to_string(plan.candidates.size()) + ", " +
                     std::to_string(plan.prompts.size()) + " prompts\n";
  text += "kind: " + s.perturb_kind + "\nscope: " + s.perturb_scope +
          "\nscale: " + Number(s.perturb_scale) + "\n";
  if (!s.perturb_steps.empty()) text += "steps: " + s.perturb_steps + "\n";
  if (!s.perturb.empty()) text += s.perturb + "\n";
  return text + HeadListText(result.found, plan.strength) + "\n";
}

std::string HeadTable(const HuntResult& result) {
  std::string csv =
      "round,stage,rank,head,layer,head_index,score,error,gain,gain_error,saturation,chosen\n";
  for (size_t r = 0; r < result.rounds.size(); ++r) {
    const HuntRound& round = result.rounds[r];
    for (const auto& [stage, tried] :
         {std::pair("quick", &round.quick), std::pair("search", &round.full)}) {
      for (size_t i = 0; i < tried->size(); ++i) {
        const TriedHead& each = (*tried)[i];
        csv += std::to_string(r + 1) + "," + stage + "," + std::to_string(i + 1) + "," +
               each.head.item + "," + each.head.layer + "," + std::to_string(each.head.head) + "," +
               Number(each.score.mean) + "," + Number(each.score.error) + "," +
               Number(each.gain.mean) + "," + Number(each.gain.error) + "," +
               Number(each.score.saturation) + "," + (each.chosen ? "1" : "0") + "\n";
      }
    }
  }
  return csv;
}

std::string ContenderTable(const HuntResult& result) {
  std::string csv = "contender,score,error,over_none,over_none_error,saturation,pictures,list\n";
  for (const HuntContender& each : result.contenders) {
    csv += each.name + "," + Number(each.score.mean) + "," + Number(each.score.error) + "," +
           Number(each.over_none.mean) + "," + Number(each.over_none.error) + "," +
           Number(each.score.saturation) + "," + std::to_string(each.score.pictures) + ",\"" +
           each.list + "\"\n";
  }
  return csv;
}

ordered_json ToJson(const TriedHead& each) {
  return {{"head", each.head.item},        {"score", each.score.mean},
          {"error", each.score.error},     {"gain", each.gain.mean},
          {"gain_error", each.gain.error}, {"saturation", each.score.saturation},
          {"chosen", each.chosen}};
}

ordered_json ToJson(const HuntResult& result) {
  ordered_json json;
  json["rounds"] = ordered_json::array();
  for (const HuntRound& round : result.rounds) {
    ordered_json one;
    one["chosen"] = ordered_json::array();
    for (const NamedHead& each : round.chosen) one["chosen"].push_back(each.item);
    if (round.rank_correlation) one["quick_rank_correlation"] = *round.rank_correlation;
    for (const TriedHead& each : round.quick) one["quick"].push_back(ToJson(each));
    one["heads"] = ordered_json::array();
    for (const TriedHead& each : round.full) one["heads"].push_back(ToJson(each));
    json["rounds"].push_back(std::move(one));
  }
  json["contenders"] = ordered_json::array();
  for (const HuntContender& each : result.contenders) {
    json["contenders"].push_back({{"name", each.name},
                                  {"list", each.list},
                                  {"score", each.score.mean},
                                  {"error", each.score.error},
                                  {"over_none", each.over_none.mean},
                                  {"over_none_error", each.over_none.error},
                                  {"saturation", each.score.saturation},
                                  {"pictures", each.score.pictures}});
  }
  return json;
}

}  // namespace

Image HeadMatrix(const std::string& title, const std::vector<NamedHead>& all,
                 const std::vector<TriedHead>& tried) {
  std::vector<HeadId> heads;
  for (const NamedHead& each : all) heads.push_back({each.site, each.head});
  return MatrixPicture(
      title, heads,
      [&](size_t i) {
        const auto found = std::find_if(tried.begin(), tried.end(), [&](const TriedHead& each) {
          return each.head.item == all[i].item;
        });
        return found == tried.end() ? 0 : found->gain.mean;
      },
      /*is_signed=*/true);
}

ordered_json WriteHunt(const HuntPlan& plan, const HuntResult& result,
                       const std::vector<std::string>& objectives, const std::string& model,
                       const std::filesystem::path& folder, OutputFiles& files) {
  ordered_json json = {{"model", model},
                       {"found", HeadListText(result.found, plan.strength)},
                       {"pictures", plan.Pictures()},
                       {"objectives", objectives},
                       {"settings", SettingsToJson(plan.settings)}};
  json.update(ToJson(result));
  WriteText(files.Replace(folder / "found.perturb"), FoundFile(plan, result, model));
  WriteText(files.Replace(folder / "heads.csv"), HeadTable(result));
  std::vector<Image> rounds;
  for (size_t i = 0; i < result.rounds.size(); ++i) {
    const HuntRound& round = result.rounds[i];
    // Heads that a quick look left out have its gain in the first picture, none in the second.
    if (!round.quick.empty()) {
      rounds.push_back(HeadMatrix("quick " + std::to_string(i + 1), plan.candidates, round.quick));
    }
    rounds.push_back(HeadMatrix("gain " + std::to_string(i + 1), plan.candidates, round.full));
  }
  WritePng(files.Replace(folder / "heads.png"), Sheet(rounds, 2), {});
  if (!result.contenders.empty()) {
    WriteText(files.Replace(folder / "contenders.csv"), ContenderTable(result));
  }
  WriteText(files.Replace(folder / "hunt.json"), json.dump(1) + "\n");
  return json;
}

}  // namespace fovea
