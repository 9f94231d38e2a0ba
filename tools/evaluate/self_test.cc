// Renders scenes, judges each against its own truth and counts what is judged wrong.
#include "tools/evaluate/self_test.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "tools/evaluate/verdict.h"
#include "tools/scenes/render.h"

namespace fovea::evaluate {
namespace {

using scenes::Scene;

Prompt Truth(const Scene& scene) {
  Prompt prompt;
  for (const scenes::Object& object : scene.objects) {
    prompt.wishes.push_back({object.shape, static_cast<int>(object.color)});
  }
  prompt.relation = scene.relation;
  return prompt;
}

void Count(const Scene& scene, const Verdict& verdict, ErrorRates* rates) {
  if (scene.identical) {
    ++rates->groups;
    rates->group_count += !verdict.count;
    rates->group_any += !verdict.right;
  } else if (scene.objects.size() == 1) {
    ++rates->singles;
    rates->single_color += !verdict.color;
    rates->single_shape += !verdict.shape;
    rates->single_count += !verdict.count;
    rates->single_any += !verdict.right;
  } else {
    ++rates->pairs;
    rates->pair_color += !verdict.color;
    rates->pair_shape += !verdict.shape;
    rates->pair_count += !verdict.count;
    // Of pairs whose objects are both recognised.
    rates->pair_relation += verdict.objects && !verdict.relation;
    rates->pair_any += !verdict.right;
  }
}

// The scenes of the test: equally many of each kind, found by walking through the indices.
std::vector<Scene> ScenesOf(const Exam& exam) {
  const float aspect = static_cast<float>(exam.width) / static_cast<float>(exam.height);
  const int count = exam.scenes;
  std::vector<Scene> chosen;
  int singles = 0, pairs = 0, groups = 0;
  for (uint64_t index = 0; singles < count || pairs < count || groups < count; ++index) {
    Scene scene = SampleScene(exam.seed, index, scenes::ParseMix("25,60,15"), aspect);
    int* kind = scene.identical ? &groups : scene.objects.size() == 1 ? &singles : &pairs;
    if (scene.objects.size() == 3 && !scene.identical) continue;
    if (*kind >= count) continue;
    ++*kind;
    chosen.push_back(std::move(scene));
  }
  return chosen;
}

}  // namespace

std::vector<ErrorRates> SelfTest(const Observer& observer, const Exam& exam, int threads) {
  std::vector<ErrorRates> all(4);
  all[0].name = "sharp";
  all[1].name = "blur 1";
  all[1].wear = {1.0f, 0};
  all[2].name = "noise 5";
  all[2].wear = {0, 5.0f};
  all[3].name = "blur 1, noise 5";
  all[3].wear = {1.0f, 5.0f};
  const std::vector<Scene> chosen = ScenesOf(exam);
  std::atomic<size_t> next{0};
  std::mutex mutex;
  const bool verbose = std::getenv("FOVEA_EVALUATE_MISTAKES") != nullptr;
  const auto work = [&] {
    for (size_t i; (i = next++) < chosen.size();) {
      const Scene& scene = chosen[i];
      scenes::Picture rendered = RenderScene(scene, exam.width, exam.height);
      const cv::Mat sharp(exam.height, exam.width, CV_8UC3, rendered.rgb.data());
      const Prompt truth = Truth(scene);
      for (ErrorRates& rates : all) {
        const auto seen = observer.Observe(Worn(sharp, rates.wear, exam.seed, i)).sightings;
        const Verdict verdict = Judge(truth, seen);
        const std::lock_guard lock(mutex);
        Count(scene, verdict, &rates);
        if (!verbose || verdict.right) continue;
        std::fprintf(stderr, "%s seed %llu index %llu:", rates.name.c_str(),
                     static_cast<unsigned long long>(scene.seed),
                     static_cast<unsigned long long>(scene.index));
        for (const auto& o : scene.objects) {
          std::fprintf(stderr, " %s %s %s %s,", Name(o.size), Name(o.color), Name(o.material),
                       Name(o.shape));
        }
        std::fprintf(stderr, " %s; seen:", Name(scene.relation));
        for (const auto& s : seen) {
          std::fprintf(stderr, " %s %s %.2f (%d),", Name(s.color), Name(s.shape), s.confidence,
                       s.pixels);
        }
        std::fprintf(stderr, "\n");
      }
    }
  };
  std::vector<std::thread> pool;
  for (int i = 1; i < threads; ++i) pool.emplace_back(work);
  work();
  for (std::thread& thread : pool) thread.join();
  return all;
}

std::string Report(const std::vector<ErrorRates>& rates, bool json) {
  std::string text = json ? "[" : "";
  const auto percent = [](int wrong, int of) { return of ? 100.0 * wrong / of : 0.0; };
  for (const ErrorRates& r : rates) {
    char line[1024];
    std::snprintf(
        line, sizeof(line),
        json
            ? "%s{\"pictures\":\"%s\",\"singles\":{\"scenes\":%d,\"color\":%.2f,\"shape\":%.2f,"
              "\"count\":%.2f,\"any\":%.2f},\"pairs\":{\"scenes\":%d,\"color\":%.2f,\"shape\":%.2f,"
              "\"count\":%.2f,\"relation\":%.2f,\"any\":%.2f},\"groups\":{\"scenes\":%d,"
              "\"count\":%.2f,\"any\":%.2f}}"
            : "%s%s, errors in %%:\n"
              "  single objects (%d): colour %.2f, shape %.2f, count %.2f, any %.2f\n"
              "  pairs (%d): colour %.2f, shape %.2f, count %.2f, relation %.2f, any %.2f\n"
              "  identical groups (%d): count %.2f, any %.2f\n",
        json && text.size() > 1 ? "," : "", r.name.c_str(), r.singles,
        percent(r.single_color, r.singles), percent(r.single_shape, r.singles),
        percent(r.single_count, r.singles), percent(r.single_any, r.singles), r.pairs,
        percent(r.pair_color, r.pairs), percent(r.pair_shape, r.pairs),
        percent(r.pair_count, r.pairs), percent(r.pair_relation, r.pairs),
        percent(r.pair_any, r.pairs), r.groups, percent(r.group_count, r.groups),
        percent(r.group_any, r.groups));
    text += line;
  }
  return text + (json ? "]\n" : "");
}

}  // namespace fovea::evaluate
