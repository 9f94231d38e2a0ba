#include "models/vit/vit_agent.h"

#include <vector>

#include "models/vit/vit_positions.h"

namespace fovea {
namespace {

constexpr int64_t kMapSide = 7;

// (heads*n, gh*gw): the 7x7 maps and the maps of rows plus columns, both at the grid's size.
std::vector<float> BiasMaps(const Tensor& coarse, const std::vector<float>& lines, int64_t maps,
                            int64_t h, int64_t w, int64_t gh, int64_t gw) {
  std::vector<float> sums(static_cast<size_t>(maps * gh * gw)), fine(sums.size());
  ResizeBilinearMaps({coarse.Data<float>(), static_cast<size_t>(maps * kMapSide * kMapSide)}, maps,
                     kMapSide, kMapSide, gh, gw, sums);
  ResizeBilinearMaps(lines, maps, h, w, gh, gw, fine);
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += fine[i];
  return sums;
}

}  // namespace

VitAgent::VitAgent(const WeightScope& scope, const VitConfig& config, int agents)
    : heads_(config.heads), agents_(agents), h_(config.GridHeight()), w_(config.GridWidth()) {
  const int64_t n = agents, c = config.hidden;
  an_ = scope.F32("an_bias", {heads_, n, kMapSide, kMapSide});
  na_ = scope.F32("na_bias", {heads_, n, kMapSide, kMapSide});
  ah_ = scope.F32("ah_bias", {1, heads_, n, h_, 1});
  aw_ = scope.F32("aw_bias", {1, heads_, n, 1, w_});
  ha_ = scope.F32("ha_bias", {1, heads_, h_, 1, n});
  wa_ = scope.F32("wa_bias", {1, heads_, 1, w_, n});
  ac_ = scope.F32("ac_bias", {1, heads_, n, 1});
  ca_ = scope.F32("ca_bias", {1, heads_, 1, n});
  weights_["dwc.weight"] = scope.F32("dwc.weight", {c, 1, 3, 3});
  weights_["dwc.bias"] = scope.F32("dwc.bias", {c});
}

const OperatorTensors& VitAgent::At(int64_t gh, int64_t gw) const {
  if (gh == gh_ && gw == gw_) return weights_;
  const int64_t n = agents_, maps = heads_ * n, tokens = 1 + gh * gw;
  std::vector<float> of_keys(static_cast<size_t>(maps * h_ * w_)), of_queries(of_keys.size());
  for (int64_t i = 0; i < maps * h_ * w_; ++i) {
    const int64_t x = i % w_, y = i / w_ % h_, map = i / (w_ * h_), head = map / n, a = map % n;
    of_keys[static_cast<size_t>(i)] =
        ah_.Data<float>()[map * h_ + y] + aw_.Data<float>()[map * w_ + x];
    of_queries[static_cast<size_t>(i)] =
        ha_.Data<float>()[(head * h_ + y) * n + a] + wa_.Data<float>()[(head * w_ + x) * n + a];
  }
  const std::vector<float> keys = BiasMaps(an_, of_keys, maps, h_, w_, gh, gw);
  const std::vector<float> queries = BiasMaps(na_, of_queries, maps, h_, w_, gh, gw);
  gather_ = HostTensor({heads_, n, tokens}, DType::kF32);
  spread_ = HostTensor({heads_, tokens, n}, DType::kF32);
  for (int64_t map = 0; map < maps; ++map) {
    const int64_t head = map / n, a = map % n;
    float* gather = gather_.Data<float>() + map * tokens;
    float* spread = spread_.Data<float>() + head * tokens * n + a;
    gather[0] = ac_.Data<float>()[map];
    spread[0] = ca_.Data<float>()[map];
    for (int64_t p = 0; p < gh * gw; ++p) {
      gather[1 + p] = keys[static_cast<size_t>(map * gh * gw + p)];
      spread[(1 + p) * n] = queries[static_cast<size_t>(map * gh * gw + p)];
    }
  }
  gh_ = gh;
  gw_ = gw;
  weights_["agent.bias"] = gather_.View();
  weights_["query.bias"] = spread_.View();
  return weights_;
}

}  // namespace fovea
