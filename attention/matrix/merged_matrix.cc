#include "attention/matrix/merged_matrix.h"

namespace fovea {
namespace {

class Merged final : public AttentionMatrix {
 public:
  Merged(std::vector<MergedSample> samples, float share)
      : AttentionMatrix(static_cast<int64_t>(samples.size()), samples[0].matrix->Heads(),
                        static_cast<int64_t>(samples[0].groups.group.size()),
                        static_cast<int64_t>(samples[0].groups.group.size())),
        samples_(std::move(samples)),
        share_(share) {}

  void Rows(int64_t sample, int64_t head, std::span<const int32_t> queries,
            float* rows) const override {
    const MergedSample& own = samples_[static_cast<size_t>(sample)];
    const auto keys = static_cast<size_t>(own.groups.Count());
    std::vector<int32_t> groups;
    for (const int32_t query : queries) {
      groups.push_back(own.groups.group[static_cast<size_t>(query)]);
    }
    std::vector<float> merged(queries.size() * keys);
    own.matrix->Rows(0, head, groups, merged.data());
    for (size_t i = 0; i < queries.size(); ++i) {
      float* of_groups = merged.data() + i * keys;
      of_groups[groups[i]] += share_;
      for (size_t g = 0; g < keys; ++g) {
        const auto begin = static_cast<size_t>(own.groups.begin[g]);
        const auto end = static_cast<size_t>(own.groups.begin[g + 1]);
        const float each = of_groups[g] / static_cast<float>(end - begin);
        for (size_t m = begin; m < end; ++m) {
          rows[i * static_cast<size_t>(Keys()) + static_cast<size_t>(own.groups.members[m])] = each;
        }
      }
    }
  }

 private:
  std::vector<MergedSample> samples_;
  float share_;
};

}  // namespace

std::unique_ptr<AttentionMatrix> MergedMatrix(std::vector<MergedSample> samples, float share) {
  return std::make_unique<Merged>(std::move(samples), share);
}

}  // namespace fovea
