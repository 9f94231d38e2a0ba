// fovea-evaluate: judges pictures against their prompts, or itself against scenes it knows.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tools/evaluate/picture_file.h"
#include "tools/evaluate/self_test.h"
#include "tools/evaluate/sharpness.h"
#include "tools/evaluate/sheet.h"
#include "tools/evaluate/verdict.h"
#include "tools/scenes/whole_number.h"

namespace {

using namespace fovea::evaluate;
using fovea::scenes::Name;
using fovea::scenes::ParseWholeNumber;

constexpr const char* kUsage =
    "usage: fovea-evaluate --pictures FILE|DIR... --prompts FILE [--sheet FILE] [--json]\n"
    "                      [--threads N]\n"
    "       fovea-evaluate --score\n"
    "       fovea-evaluate --self-test N --seed S [--size 128|WxH] [--json] [--threads N]\n"
    "--score reads names of pictures on standard input, each with its prompt in NAME.txt beside\n"
    "it, and prints which share of count, colours, shapes, objects and relation is right: what\n"
    "fovea hunt --score command:... asks for.\n"
    "The prompts stand one a line, in the pictures' order; --sheet draws them all with the "
    "verdicts.\n"
    "Outlines and pieces are compared with renderings of the pictures' size.\n"
    "Learning to see takes a minute or two;\n"
    "--observer FILE keeps what was learned for the next time.\n";

struct Options {
  std::vector<std::string> pictures;
  std::string prompts, observer, sheet;
  Exam exam;  // scenes is 0 unless it is a self-test
  int threads = 0;
  bool json = false, score = false;
};

int ParseSide(const std::string& flag, const std::string& text) {
  return static_cast<int>(ParseWholeNumber(flag, text, 32, 2048));
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  bool has_seed = false;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&] {
      if (i + 1 >= argc) throw std::invalid_argument(flag + ": a value must follow");
      return std::string(argv[++i]);
    };
    if (flag == "--json") {
      options.json = true;
    } else if (flag == "--score") {
      options.score = true;
    } else if (flag == "--pictures") {
      options.pictures.push_back(value());
      while (i + 1 < argc && std::string(argv[i + 1]).rfind("--", 0) != 0) {
        options.pictures.push_back(value());
      }
    } else if (flag == "--prompts") {
      options.prompts = value();
    } else if (flag == "--sheet") {
      options.sheet = value();
    } else if (flag == "--observer") {
      options.observer = value();
    } else if (flag == "--self-test") {
      options.exam.scenes = static_cast<int>(ParseWholeNumber(flag, value(), 1, 1'000'000));
    } else if (flag == "--seed") {
      options.exam.seed = ParseWholeNumber(flag, value(), 0, ~0ull);
      has_seed = true;
    } else if (flag == "--size") {
      const std::string text = value();
      const size_t cross = text.find('x');
      options.exam.width = ParseSide(flag, text.substr(0, cross));
      options.exam.height =
          cross == std::string::npos ? options.exam.width : ParseSide(flag, text.substr(cross + 1));
    } else if (flag == "--threads") {
      options.threads = static_cast<int>(ParseWholeNumber(flag, value(), 1, 256));
    } else {
      throw std::invalid_argument(flag + ": unknown option");
    }
  }
  if (options.score) {
    if (options.exam.scenes || !options.pictures.empty()) {
      throw std::invalid_argument("--score: takes its pictures from standard input");
    }
  } else if (options.exam.scenes ? !has_seed
                                 : options.pictures.empty() || options.prompts.empty()) {
    throw std::invalid_argument(
        "give --pictures and --prompts, or --score, or --self-test and --seed");
  }
  if (options.threads == 0) {
    options.threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  }
  return options;
}

Observer GetObserver(const Options& options) {
  if (!options.observer.empty() && std::filesystem::exists(options.observer)) {
    return Observer::Load(options.observer);
  }
  Observer observer = TrainObserver({.threads = options.threads});
  if (!options.observer.empty()) observer.Save(options.observer);
  return observer;
}

std::vector<std::string> ReadLines(const std::string& path) {
  std::ifstream stream(path);
  if (!stream) throw std::runtime_error("cannot read prompts " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return quoted + "\"";
}

std::string Seen(const std::vector<Sighting>& sightings, bool json) {
  std::string text = json ? "[" : "";
  for (const Sighting& s : sightings) {
    char part[256];
    std::snprintf(part, sizeof(part),
                  json ? "%s{\"color\":\"%s\",\"shape\":\"%s\",\"confidence\":%.3f,"
                         "\"box\":[%d,%d,%d,%d]}"
                       : "%s%s %s",
                  &s == &sightings[0] ? "" : ", ", Name(s.color), Name(s.shape), s.confidence,
                  s.box.x, s.box.y, s.box.x + s.box.width, s.box.y + s.box.height);
    text += part;
  }
  return text + (json ? "]" : "");
}

// "45 of 64, 70 % (58 to 80)": Wilson's interval of 95 %.
std::string Share(int part, int n) {
  constexpr double kZ = 1.96;
  const double p = static_cast<double>(part) / n, z2 = kZ * kZ / n;
  const double middle = (p + z2 / 2) / (1 + z2);
  const double half = kZ * std::sqrt(p * (1 - p) / n + z2 / (4.0 * n)) / (1 + z2);
  char text[96];
  std::snprintf(text, sizeof text, "%d of %d, %.0f %% (%.0f to %.0f)", part, n, 100 * p,
                100 * (middle - half), 100 * (middle + half));
  return text;
}

// Outlines and pieces of all pictures, beside renderings of the size of the first.
class Looks {
 public:
  void Add(const cv::Mat& picture, const Observation& seen, int wished) {
    if (size_.empty()) size_ = picture.size();
    const float sharpness = OutlineSharpness(picture, seen.sightings);
    if (sharpness >= 0) sharpness_ += sharpness, ++measured_;
    pieces_ += seen.pieces;
    wished_ += wished;
  }

  std::string Report(const Observer& observer, bool json) const {
    constexpr int kRenderings = 48;
    const Renderings real = MeasureRenderings(observer, size_.width, size_.height, kRenderings);
    const double sharpness = measured_ ? sharpness_ / measured_ : 0;
    char text[256];
    std::snprintf(text, sizeof text,
                  json ? "\"sharpness\":%.3f,\"sharpness_of_renderings\":%.3f,"
                         "\"pieces\":%.3f,\"pieces_of_renderings\":%.3f"
                       : "outlines %.3f a pixel (renderings %.3f, ratio %.2f), "
                         "pieces an object %.2f (renderings %.2f)\n",
                  sharpness, real.sharpness, json ? pieces_ / wished_ : sharpness / real.sharpness,
                  json ? real.pieces : pieces_ / wished_, real.pieces);
    return text;
  }

 private:
  cv::Size size_;
  double sharpness_ = 0, pieces_ = 0, wished_ = 0;
  int measured_ = 0;
};

void JudgePictures(const Options& options) {
  const std::vector<std::string> files = ListPictures(options.pictures);
  const std::vector<std::string> lines = ReadLines(options.prompts);
  if (files.size() != lines.size()) {
    throw std::runtime_error(std::to_string(files.size()) + " pictures but " +
                             std::to_string(lines.size()) + " prompts in " + options.prompts +
                             ": give one line for each picture");
  }
  std::vector<Prompt> prompts;
  for (const std::string& line : lines) prompts.push_back(ReadPrompt(line));
  const Observer observer = GetObserver(options);
  int color = 0, shape = 0, count = 0, objects = 0, relation = 0, related = 0, right = 0;
  Looks looks;
  std::string json = "{\"pictures\":[";
  std::vector<SheetEntry> entries;
  for (size_t i = 0; i < files.size(); ++i) {
    const cv::Mat picture = ReadPng(files[i]);
    const Observation observation = observer.Observe(picture);
    const std::vector<Sighting>& seen = observation.sightings;
    const Verdict verdict = Judge(prompts[i], seen);
    looks.Add(picture, observation, static_cast<int>(prompts[i].wishes.size()));
    const bool asks = prompts[i].relation != fovea::scenes::Relation::kNone;
    color += verdict.color;
    shape += verdict.shape;
    count += verdict.count;
    objects += verdict.objects;
    related += asks;
    relation += asks && verdict.relation;
    right += verdict.right;
    if (!options.sheet.empty()) entries.push_back({picture, lines[i], verdict.right});
    const auto flag = [](bool b) { return b ? "true" : "false"; };
    if (options.json) {
      json += (i ? ",\n" : "\n") + std::string("{\"file\":") + Quoted(files[i]) +
              ",\"prompt\":" + Quoted(lines[i]) + ",\"seen\":" + Seen(seen, true) +
              ",\"count\":" + flag(verdict.count) + ",\"color\":" + flag(verdict.color) +
              ",\"shape\":" + flag(verdict.shape) + ",\"objects\":" + flag(verdict.objects) +
              ",\"relation\":" + (asks ? flag(verdict.relation) : "null") +
              ",\"right\":" + flag(verdict.right) + "}";
    } else {
      std::printf("%s %s: %s; seen: %s\n", verdict.right ? "right" : "WRONG", files[i].c_str(),
                  lines[i].c_str(), Seen(seen, false).c_str());
    }
  }
  if (!options.sheet.empty()) WritePng(options.sheet, MakeSheet(entries, 8));
  const int n = static_cast<int>(files.size());
  std::printf(options.json
                  ? "%s\n],\"total\":%d,\"right\":%d,\"count\":%d,\"color\":%d,\"shape\":%d,"
                    "\"objects\":%d,\"relation\":%d,\"related\":%d,%s}\n"
                  : "%s%d pictures: %d right, count %d, colour %d, shape %d, colour and shape %d, "
                    "relation %d of %d\n%s",
              options.json ? json.c_str() : "", n, right, count, color, shape, objects, relation,
              related, looks.Report(observer, options.json).c_str());
  if (!options.json && n > 0) std::printf("right: %s\n", Share(right, n).c_str());
}

// A number a line of standard input.
void ScorePictures(const Options& options) {
  std::vector<std::string> files;
  for (std::string line; std::getline(std::cin, line);) {
    if (!line.empty()) files.push_back(line);
  }
  if (files.empty()) return;
  const Observer observer = GetObserver(options);
  for (const std::string& file : files) {
    const auto text = std::filesystem::path(file).replace_extension(".txt").string();
    const std::vector<std::string> lines = ReadLines(text);
    if (lines.empty()) throw std::runtime_error(text + ": holds no prompt");
    const Prompt prompt = ReadPrompt(lines.front());
    const Verdict verdict = Judge(prompt, observer.Observe(ReadPng(file)).sightings);
    const int right =
        verdict.count + verdict.color + verdict.shape + verdict.objects + verdict.relation;
    std::printf("%.1f\n", right / 5.0);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && (std::string(argv[1]) == "--help" || std::string(argv[1]) == "-h")) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  try {
    const Options options = ParseOptions(argc, argv);
    if (options.score) {
      ScorePictures(options);
    } else if (options.exam.scenes) {
      const Observer observer = GetObserver(options);
      const auto rates = SelfTest(observer, options.exam, options.threads);
      std::fputs(Report(rates, options.json).c_str(), stdout);
    } else {
      JudgePictures(options);
    }
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "fovea-evaluate: %s\n%s", error.what(), kUsage);
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fovea-evaluate: %s\n", error.what());
    return 1;
  }
  return 0;
}
