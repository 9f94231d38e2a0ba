// What the answers lose without a head: importance.csv, importance-check.csv, importance.png.
#include <algorithm>
#include <numeric>

#include "app/cli_commands/analytics/tables.h"
#include "pipelines/analytics/head_importance.h"
#include "pipelines/maps/map_picture.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr int kRandomOrders = 10;  // of heads that are removed

}  // namespace

void AddImportance(Study& study, InspectOutputs* outputs) {
  const size_t count = study.Pictures().size();
  if (count < 4) {
    throw Error(ErrorCode::kUsage,
                "--analytics importance: needs at least 4 pictures; 50 and more say something");
  }
  const HeadStudy heads(study.Right(), [&](size_t i, const std::vector<AttentionListener*>& l) {
    return study.Read(study.Pictures()[i], l);
  });
  // Ranked on one half, checked on the other.
  std::vector<size_t> ranking, checking;
  for (size_t i = 0; i < count; ++i) (i % 2 == 0 ? ranking : checking).push_back(i);
  const std::vector<HeadId> ids = heads.Heads();
  std::string csv =
      "ablation,layer,head,loss,loss_error,probability,js,drift,class_drift,patch_drift,flips,"
      "rank\n";
  std::string check =
      "ablation,removed,top_loss,bottom_loss,random_loss,random_lowest,random_highest,"
      "top_accuracy,bottom_accuracy,random_accuracy\n";
  std::vector<Image> pictures;
  for (const Ablation ablation : {Ablation::kMean, Ablation::kZero, Ablation::kShuffle}) {
    std::vector<AblationEffect> effects;
    for (const HeadId& each : ids) effects.push_back(heads.Ablate(ablation, {each}, ranking));
    std::vector<size_t> order(ids.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return effects[a].loss > effects[b].loss; });
    std::vector<HeadId> ranked;
    std::vector<size_t> rank(ids.size());
    for (size_t i = 0; i < order.size(); ++i) {
      ranked.push_back(ids[order[i]]);
      rank[order[i]] = i + 1;
    }
    const std::string name(Name(ablation));
    for (size_t i = 0; i < ids.size(); ++i) {
      const AblationEffect& e = effects[i];
      csv += name + "," + heads.Outputs().Sites().at(ids[i].site).path + "," +
             std::to_string(ids[i].head) + "," + Number(e.loss) + "," + Number(e.loss_error) + "," +
             Number(e.probability) + "," + Number(e.js) + "," + Number(e.drift) + "," +
             Number(e.class_drift) + "," + Number(e.patch_drift) + "," + Number(e.flips) + "," +
             std::to_string(rank[i]) + "\n";
    }
    for (const RemovalPoint& point :
         RemovalCurve(heads, ablation, ranked, checking, kRandomOrders, 1)) {
      check += name + "," + std::to_string(point.removed) + "," + Number(point.top.left_loss) +
               "," + Number(point.bottom.left_loss) + "," + Number(point.random_loss) + "," +
               Number(point.random_lowest) + "," + Number(point.random_highest) + "," +
               Number(point.top.accuracy) + "," + Number(point.bottom.accuracy) + "," +
               Number(point.random_accuracy) + "\n";
    }
    pictures.push_back(MatrixPicture(
        name + ": loss", ids, [&](size_t i) { return effects[i].loss; }, true));
    pictures.push_back(MatrixPicture(
        name + ": probability", ids, [&](size_t i) { return effects[i].probability; }, true));
    pictures.push_back(MatrixPicture(
        name + ": JS", ids, [&](size_t i) { return effects[i].js; }, false));
    pictures.push_back(MatrixPicture(
        name + ": drift", ids, [&](size_t i) { return effects[i].drift; }, false));
  }
  outputs->AddTable("importance.csv", csv);
  outputs->AddTable("importance-check.csv", check);
  outputs->AddSheet("importance.png", Sheet(pictures, 4));
}

}  // namespace fovea
