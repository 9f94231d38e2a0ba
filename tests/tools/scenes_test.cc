// Whether rendered scenes keep their promises: same seed same picture, masks and sizes as
// described, relations and captions true.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/worst.h"
#include "tools/scenes/caption.h"
#include "tools/scenes/dataset.h"
#include "tools/scenes/describe.h"
#include "tools/scenes/npy.h"
#include "tools/scenes/render.h"

namespace fovea::scenes {
namespace {

constexpr int kSize = 128;

std::vector<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

uint64_t Hash(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325ull;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001B3ull;
  return hash;
}

// What a caption says of one object; -1 where it says nothing.
struct Said {
  int shape = -1, color = -1, material = -1, size = -1, count = 1;

  bool FitsTo(const Object& object) const {
    return shape == static_cast<int>(object.shape) && color == static_cast<int>(object.color) &&
           (material < 0 || material == static_cast<int>(object.material)) &&
           (size < 0 || size == static_cast<int>(object.size));
  }
};

// Reads a caption with its own small grammar: attributes up to a shape word make a phrase; what
// stands between the first two phrases tells their relation.
struct Reading {
  std::vector<Said> said;
  Relation relation = Relation::kNone;
};

Reading Read(const std::string& caption) {
  Reading reading;
  Said now;
  std::vector<std::string> joint;
  for (const std::string& word : Words(caption)) {
    const std::string last = joint.empty() ? "" : joint.back();
    for (int i = 0; i < kColors; ++i) {
      if (word == Name(static_cast<Color>(i))) now.color = i;
    }
    if (word == "metal" || word == "shiny") now.material = static_cast<int>(Material::kMetal);
    if (word == "matte") now.material = static_cast<int>(Material::kMatte);
    if (word == "small") now.size = static_cast<int>(Size::kSmall);
    if (word == "large") now.size = static_cast<int>(Size::kLarge);
    if (word == "two") now.count = 2;
    if (word == "three") now.count = 3;
    // The first side word belongs to the first object in all wordings.
    if (reading.said.size() == 1 && reading.relation == Relation::kNone) {
      if (word == "left") reading.relation = Relation::kLeft;
      if (word == "right") reading.relation = Relation::kRight;
      if (word == "front") reading.relation = Relation::kFront;
      if (word == "behind") reading.relation = Relation::kBehind;
    }
    for (int i = 0; i < kShapes; ++i) {
      const std::string name = Name(static_cast<Shape>(i));
      if (word != name && word != name + "s" && !(name == "torus" && word == "tori")) continue;
      // The plural goes with a number above one, and only with it.
      CHECK((word != name) == (now.count > 1));
      now.shape = i;
      reading.said.push_back(now);
      now = Said();
    }
    joint.push_back(word);
  }
  return reading;
}

Relation Opposite(Relation relation) {
  const Relation opposites[] = {Relation::kNone, Relation::kRight, Relation::kLeft,
                                Relation::kBehind, Relation::kFront};
  return opposites[static_cast<int>(relation)];
}

void CheckTrue(const Scene& scene, const std::string& caption) {
  INFO(caption);
  const Reading reading = Read(caption);
  if (scene.identical) {
    REQUIRE(reading.said.size() == 1);
    CHECK(reading.said[0].count == static_cast<int>(scene.objects.size()));
    for (const Object& object : scene.objects) CHECK(reading.said[0].FitsTo(object));
    return;
  }
  REQUIRE(reading.said.size() == scene.objects.size());
  std::vector<int> order(scene.objects.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int>(i);
  std::vector<int> fitting;
  do {
    bool fits = true;
    for (size_t i = 0; i < order.size(); ++i) {
      fits = fits && reading.said[i].FitsTo(scene.objects[order[i]]);
    }
    if (fits) fitting = order;
  } while (fitting.empty() && std::next_permutation(order.begin(), order.end()));
  REQUIRE(!fitting.empty());
  if (reading.relation != Relation::kNone) {
    CHECK(reading.relation == (fitting[0] == 0 ? scene.relation : Opposite(scene.relation)));
  }
}

}  // namespace

TEST_CASE("A picture depends on seed and index only", "[scenes]") {
  const SceneMix mix = ParseMix("full");
  const Scene a = SampleScene(5, 17, mix);
  const Picture before = RenderScene(a, 64);
  SampleScene(5, 16, mix);
  const Scene b = SampleScene(5, 17, mix);
  const Picture after = RenderScene(b, 64);
  CHECK(before.rgb == after.rgb);
  CHECK(before.mask == after.mask);
  CHECK(DescribeScene(a, before) == DescribeScene(b, after));
  const Picture other = RenderScene(SampleScene(6, 17, mix), 64);
  CHECK(before.rgb != other.rgb);
}

TEST_CASE("Neither count nor threads change a data set's pictures", "[scenes]") {
  const auto folder = std::filesystem::temp_directory_path() / "fovea-scenes-set-test";
  const auto contents = [&](size_t count, uint64_t first, int threads, const char* file) {
    DataSetOptions options;
    options.out = folder.string();
    options.count = count;
    options.first = first;
    options.seed = 12;
    options.width = options.height = 24;
    options.threads = threads;
    RenderDataSet(options);
    std::ifstream stream(folder / file, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(stream), {});
  };
  const std::string few = contents(5, 0, 1, "images.npy").substr(128);
  CHECK(few.size() == 5 * 24 * 24 * 3);
  CHECK(contents(9, 0, 3, "images.npy").substr(128, few.size()) == few);
  CHECK(contents(4, 1, 2, "images.npy").substr(128) == few.substr(24 * 24 * 3));
  const std::string lines = contents(5, 0, 1, "scenes.jsonl");
  CHECK(contents(9, 0, 3, "scenes.jsonl").substr(0, lines.size()) == lines);
  CHECK(contents(5, 0, 3, "masks.npy") == contents(5, 0, 1, "masks.npy"));
  std::filesystem::remove_all(folder);
}

TEST_CASE("Data sets keep their contents from version to version", "[scenes]") {
  // Trained models know these scenes: change the hash only together with the training data.
  std::string text;
  for (int i = 0; i < 40; ++i) {
    const Scene scene = SampleScene(1, i, ParseMix("full"));
    for (const Object& object : scene.objects) {
      text += std::string(Name(object.shape)) + Name(object.color) + Name(object.material) +
              Name(object.size);
    }
    text += Name(scene.relation);
    for (const std::string& caption : MakeCaptions(scene)) text += caption + "\n";
  }
  CHECK(Hash(text) == 0xf592c515b3e08782ull);
  const Picture picture = RenderScene(SampleScene(1, 0, ParseMix("single")), kSize);
  double sum[3] = {};
  for (size_t i = 0; i < picture.rgb.size(); ++i) sum[i % 3] += picture.rgb[i];
  const double pixels = kSize * kSize;
  CHECK(sum[0] / pixels == Approx(146.32).margin(0.3));
  CHECK(sum[1] / pixels == Approx(130.71).margin(0.3));
  CHECK(sum[2] / pixels == Approx(168.01).margin(0.3));
}

TEST_CASE("Masks, boxes and visible shares agree", "[scenes]") {
  for (int i = 0; i < 60; ++i) {
    const Scene scene = SampleScene(3, i, ParseMix("full"));
    const Picture picture = RenderScene(scene, kSize);
    REQUIRE(picture.traces.size() == scene.objects.size());
    for (size_t k = 0; k < scene.objects.size(); ++k) {
      std::array<int, 4> box{kSize, kSize, 0, 0};
      int pixels = 0;
      for (int y = 0; y < kSize; ++y) {
        for (int x = 0; x < kSize; ++x) {
          if (picture.mask[y * kSize + x] != k + 1) continue;
          box = {std::min(box[0], x), std::min(box[1], y), std::max(box[2], x + 1),
                 std::max(box[3], y + 1)};
          ++pixels;
        }
      }
      const Trace& trace = picture.traces[k];
      CHECK(trace.box == box);
      CHECK(trace.pixels == pixels);
      CHECK(trace.visible >= 0.7f);
      // Whole objects only: nothing touches the frame.
      CHECK((box[0] > 0 && box[1] > 0 && box[2] < kSize && box[3] < kSize));
    }
    CHECK(*std::max_element(picture.mask.begin(), picture.mask.end()) == scene.objects.size());
  }
}

TEST_CASE("Objects fill the frame", "[scenes]") {
  for (int i = 0; i < 150; ++i) {
    const Scene scene = SampleScene(4, i, ParseMix("40,40,20"));
    const Picture picture = RenderScene(scene, kSize);
    for (size_t k = 0; k < scene.objects.size(); ++k) {
      const Object& object = scene.objects[k];
      // The projected radius, which the silhouettes of all shapes follow.
      const float radius = object.radius * scene.camera.focal / picture.traces[k].depth * kSize / 2;
      INFO(i << " " << k << " of " << scene.objects.size());
      if (object.size == Size::kLarge) {
        CHECK(radius > (scene.objects.size() == 1 ? 34.0f : kSize / 3.0f / 2.0f * 0.9f));
      } else {
        CHECK(radius > (scene.objects.size() == 1 ? 20.0f : 14.0f));
      }
      CHECK(radius < 45.0f);
    }
  }
}

TEST_CASE("Relations are plain to see", "[scenes]") {
  int related = 0;
  for (int i = 0; i < 120; ++i) {
    const Scene scene = SampleScene(8, i, ParseMix("0,1,0"));
    if (scene.relation == Relation::kNone) continue;
    ++related;
    const Picture picture = RenderScene(scene, 96);
    const Trace &a = picture.traces[0], &b = picture.traces[1];
    const bool swap = scene.relation == Relation::kRight || scene.relation == Relation::kBehind;
    const Trace& first = swap ? b : a;
    const Trace& second = swap ? a : b;
    if (scene.relation == Relation::kLeft || scene.relation == Relation::kRight) {
      CHECK(second.center_x - first.center_x > 0.2f * 96);
    } else {
      CHECK(second.depth - first.depth > 0.9f);
      CHECK(first.box[3] > second.box[3]);
    }
  }
  CHECK(related > 60);
}

TEST_CASE("Captions are true, distinct and from the vocabulary", "[scenes]") {
  const std::set<std::string> known(Vocabulary().begin(), Vocabulary().end());
  CHECK(known.size() <= 45);
  for (int i = 0; i < 400; ++i) {
    const Scene scene = SampleScene(9, i, ParseMix("full"));
    const std::vector<std::string> captions = MakeCaptions(scene);
    CHECK(captions.size() >= 4);
    CHECK(captions.size() <= 8);
    CHECK(std::set<std::string>(captions.begin(), captions.end()).size() == captions.size());
    for (const std::string& caption : captions) {
      CheckTrue(scene, caption);
      for (const std::string& word : Words(caption)) CHECK(known.count(word) == 1);
    }
    for (const Said& said : Read(captions[0]).said) CHECK((said.size >= 0 && said.material >= 0));
  }
}

TEST_CASE("Scenes render at any resolution", "[scenes]") {
  const Scene scene = SampleScene(11, 2, ParseMix("single"));
  const Picture large = RenderScene(scene, 256);
  for (const int size : {17, 33, 96}) {
    const Picture picture = RenderScene(scene, size);
    REQUIRE(picture.rgb.size() == static_cast<size_t>(size) * size * 3);
    CHECK(picture.traces[0].center_x / size == Approx(large.traces[0].center_x / 256).margin(0.03));
    CHECK(picture.traces[0].pixels / double(size * size) ==
          Approx(large.traces[0].pixels / 65536.0).epsilon(0.1).margin(0.02));
  }
}

TEST_CASE("Frames of any aspect hold whole objects of the same size", "[scenes]") {
  for (const auto& [width, height] : {std::pair{192, 96}, {96, 192}, {144, 96}}) {
    const float aspect = static_cast<float>(width) / static_cast<float>(height);
    Worst reach_x, reach_y;
    for (int i = 0; i < 40; ++i) {
      const Scene scene = SampleScene(13, i, ParseMix("50,50,0"), aspect);
      const Picture picture = RenderScene(scene, width, height);
      REQUIRE(picture.mask.size() == static_cast<size_t>(width) * height);
      for (size_t k = 0; k < scene.objects.size(); ++k) {
        const Trace& trace = picture.traces[k];
        INFO(width << "x" << height << " " << i << " " << k);
        CHECK((trace.box[0] > 0 && trace.box[1] > 0));
        CHECK((trace.box[2] < width && trace.box[3] < height));
        const float radius = scene.objects[k].radius * scene.camera.focal / trace.depth * 48;
        CHECK(radius > (scene.objects.size() == 1 ? 15.0f : 10.5f));
        // Pixels are square: a sphere is a disc, but for perspective and what hides it.
        if (scene.objects[k].shape == Shape::kSphere && trace.visible > 0.98f) {
          const int wide = trace.box[2] - trace.box[0], tall = trace.box[3] - trace.box[1];
          CHECK(std::abs(wide - tall) <= 3);
        }
        reach_x.Add(trace.center_x, width / 2.0);
        reach_y.Add(trace.center_y, height / 2.0);
      }
    }
    // The longer side is used: objects stand further from the middle than a square would let them.
    if (aspect > 1) CHECK(reach_x.Value() > 36);
    if (aspect > 1.5f) CHECK(reach_x.Value() > 48);
    CHECK(reach_y.Value() > (aspect < 1 ? 24 : 8));
  }
}

TEST_CASE("Mixes are parsed and kept", "[scenes]") {
  int counts[4] = {};
  for (int i = 0; i < 400; ++i) ++counts[SampleScene(2, i, ParseMix("early")).objects.size()];
  CHECK(counts[1] == Approx(240).margin(40));
  CHECK(counts[2] == Approx(140).margin(40));
  CHECK(counts[3] == Approx(20).margin(18));
  CHECK_THROWS_WITH(ParseMix("1,2"), Catch::Contains("mix \"1,2\""));
  CHECK_THROWS(ParseMix("0,0,0"));
  CHECK_THROWS(ParseMix("1,2,3,4"));
  CHECK_THROWS(ParseMix("-1,2,3"));
  CHECK_THROWS(ParseMix("nan,1,1"));
}

TEST_CASE("A file appears only when complete", "[scenes]") {
  const auto folder = std::filesystem::temp_directory_path() / "fovea-scenes-npy-test";
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "a.npy").string();
  std::filesystem::remove(path);
  const std::string header = NpyHeader({2, 3});
  CHECK(header.size() % 64 == 0);
  CHECK(header.find("'shape': (2, 3, )") != std::string::npos);
  {
    AtomicFile file(path);
    file.Write(header.data(), header.size());
    CHECK(!std::filesystem::exists(path));
  }
  CHECK(std::filesystem::is_empty(folder));
  {
    AtomicFile file(path);
    file.Write(header.data(), header.size());
    file.Commit();
  }
  CHECK(std::filesystem::file_size(path) == header.size());
  CHECK_THROWS_WITH(AtomicFile((folder / "none" / "a.npy").string()), Catch::Contains("none"));
  std::filesystem::remove_all(folder);
}

}  // namespace fovea::scenes
