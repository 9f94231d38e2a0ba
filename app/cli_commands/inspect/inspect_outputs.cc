#include "app/cli_commands/inspect/inspect_outputs.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <set>
#include <tuple>

#include <nlohmann/json.hpp>

#include "models/files/npy_file.h"
#include "pipelines/maps/map_picture.h"
#include "pipelines/pictures/formats/gif_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMostOnSheet = 64;
constexpr int kFrame = 25;  // hundredths of a second

// Letters of every script, digits and dots stay; the rest becomes '_'.
std::string ForName(const std::string& text) {
  constexpr size_t kLongest = 80;  // bytes
  std::string name;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    name += byte >= 0x80 || std::isalnum(byte) != 0 || c == '.' || c == '-' ? c : '_';
  }
  if (name.size() <= kLongest) return name;
  size_t end = kLongest;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xc0) == 0x80) --end;  // whole letters
  return name.substr(0, end);
}

std::string BaseName(const AttentionMap& map) {
  std::string name = map.kind;
  if (!map.word.empty()) name += "-" + ForName(map.word);
  if (!map.layer.empty()) name += "-" + ForName(map.layer);
  char number[32];
  if (map.head >= 0) {
    std::snprintf(number, sizeof number, "-h%02d", map.head);
    name += number;
  }
  if (map.step >= 0) {
    std::snprintf(number, sizeof number, "-s%03d", map.step);
    name += number;
  }
  return name;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(ErrorCode::kBadFile, path.string() + ": cannot be written");
}

std::string Number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.9g", value);
  return text;
}

ordered_json OrNull(bool has, const ordered_json& value) {
  return has ? value : ordered_json(nullptr);
}

double Psnr(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.rgb.size(); ++i) {
    const double difference = double{1} * a.rgb[i] - b.rgb[i];
    sum += difference * difference;
  }
  return sum == 0 ? INFINITY
                  : 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.rgb.size()) / sum);
}

}  // namespace

struct InspectOutputs::Lists {
  ordered_json files = ordered_json::array(), pictures = ordered_json::array();
  ordered_json sheets = ordered_json::array(), tables = ordered_json::array();
  ordered_json animations = ordered_json::array(), text_shares = ordered_json::array();
  ordered_json difference = nullptr;
  std::set<std::string> names;
};

InspectOutputs::InspectOutputs(std::filesystem::path folder, bool gif)
    : folder_(std::move(folder)), gif_(gif), lists_(std::make_unique<Lists>()) {
  files_.MakeFolder(folder_);
}

InspectOutputs::~InspectOutputs() = default;

std::filesystem::path InspectOutputs::Name(const std::string& name) {
  ENSURE(lists_->names.insert(name).second, name);
  return files_.Replace(folder_ / name);
}

void InspectOutputs::AddMaps(const Source& source, const Image& picture,
                             const std::vector<AttentionMap>& maps) {
  const std::string before =
      (source.tag.empty() ? "" : source.tag + "-") + (source.plan.empty() ? "" : source.plan + "-");
  std::map<std::string, std::vector<Image>> sheets;
  std::vector<std::string> kinds;
  std::vector<Image> overall;  // the first map of each kind and word
  std::set<std::pair<std::string, std::string>> shown;
  std::set<std::string> used;
  for (const AttentionMap& map : maps) {
    MapPicture how = ChoosePicture(map);
    if (!source.plan.empty()) how.title = source.plan + ": " + how.title;
    std::string base = before + BaseName(map);
    for (int again = 2; !used.insert(base).second; ++again) {
      base = before + BaseName(map) + "-" + std::to_string(again);
    }
    const Image drawn = DrawMap(picture, map.map, how);
    WritePng(Name(base + ".png"), drawn, {});
    WriteNpy(Name(base + ".npy"), {map.map.height, map.map.width}, map.map.values);
    ordered_json entry = {{"kind", map.kind},
                          {"layer", OrNull(!map.layer.empty(), map.layer)},
                          {"head", OrNull(map.head >= 0, map.head)},
                          {"step", OrNull(map.step >= 0, map.step)},
                          {"word", OrNull(!map.word.empty(), map.word)},
                          {"png", base + ".png"},
                          {"npy", base + ".npy"},
                          {"shape", {map.map.height, map.map.width}},
                          {"min", static_cast<double>(map.map.Min())},
                          {"max", static_cast<double>(map.map.Max())}};
    if (!source.plan.empty()) entry["plan"] = source.plan;
    if (!source.tag.empty()) entry["source"] = source.tag;
    lists_->files.push_back(std::move(entry));
    std::vector<Image>& sheet = sheets[map.kind];
    if (sheet.empty()) {
      kinds.push_back(map.kind);
      sheet.push_back(DrawPlain(picture, source.plan.empty() ? "picture" : source.plan));
    }
    if (sheet.size() < kMostOnSheet) sheet.push_back(drawn);
    if (overall.empty()) overall.push_back(sheet.front());
    if (overall.size() < kMostOnSheet && shown.insert({map.kind, map.word}).second) {
      overall.push_back(drawn);
    }
  }
  for (const std::string& kind : kinds) {
    const std::vector<Image>& sheet = sheets[kind];
    const int columns =
        sheet.size() <= 4 ? 4 : static_cast<int>(std::ceil(std::sqrt(sheet.size())));
    const std::string name = before + "sheet-" + kind + ".png";
    WritePng(Name(name), Sheet(sheet, columns), {});
    lists_->sheets.push_back(name);
  }
  if (kinds.size() > 1) {
    const std::string name = before + "sheet.png";
    WritePng(Name(name), Sheet(overall, 4), {});
    lists_->sheets.push_back(name);
  }
  if (gif_) Animate(before, picture, maps);
}

void InspectOutputs::Animate(const std::string& before, const Image& picture,
                             const std::vector<AttentionMap>& maps) {
  using Key = std::tuple<std::string, std::string, int, std::string>;
  std::map<Key, std::vector<const AttentionMap*>> groups;
  for (const AttentionMap& map : maps) {
    if (map.step >= 0) groups[{map.kind, map.layer, map.head, map.word}].push_back(&map);
  }
  for (const auto& [key, group] : groups) {
    double low = INFINITY, high = -INFINITY;
    for (const AttentionMap* map : group) {
      const MapPicture own = ChoosePicture(*map);
      low = std::min(low, own.low);
      high = std::max(high, own.high);
    }
    std::vector<Image> frames;
    for (const AttentionMap* map : group) {
      MapPicture how = ChoosePicture(*map);
      how.low = low, how.high = high;  // one scale for all frames
      frames.push_back(DrawMap(picture, map->map, how));
    }
    AttentionMap named = *group.front();
    named.step = -1;
    const std::string name = before + BaseName(named) + ".gif";
    WriteGif(Name(name), frames, kFrame);
    lists_->animations.push_back(name);
  }
}

void InspectOutputs::AddTables(const Source& source, const Inspection& inspection) {
  const std::string before =
      (source.tag.empty() ? "" : source.tag + "-") + (source.plan.empty() ? "" : source.plan + "-");
  if (!inspection.entropy.empty()) {
    std::string csv = "layer,head,step,keys,entropy,effective_keys,share\n";
    for (const EntropyMaps::Row& row : inspection.entropy) {
      csv += Quoted(row.layer) + "," + std::to_string(row.head) + "," + std::to_string(row.step) +
             "," + std::to_string(row.keys) + "," + Number(row.entropy) + "," +
             Number(std::exp(row.entropy)) + "," +
             Number(row.keys > 1 ? row.entropy / std::log(row.keys) : 0) + "\n";
    }
    AddTable(before + "entropy.csv", csv);
  }
  const TextShares& shares = inspection.shares;
  if (shares.words + shares.specials > 0) {
    ordered_json entry = {
        {"words", shares.words}, {"start_end_padding", shares.specials}, {"image", shares.image}};
    if (!source.plan.empty()) entry["plan"] = source.plan;
    lists_->text_shares.push_back(std::move(entry));
  }
}

void InspectOutputs::Add(const Source& source, const Image& picture, const PngText& text,
                         const Inspection& inspection) {
  const std::string before =
      (source.tag.empty() ? "" : source.tag + "-") + (source.plan.empty() ? "" : source.plan + "-");
  WritePng(Name(before + "picture.png"), picture, text);
  lists_->pictures.push_back(before + "picture.png");
  AddMaps(source, picture, inspection.maps);
  AddTables(source, inspection);
}

void InspectOutputs::AddDifference(const std::string& tag, const Image& picture_a,
                                   const Inspection& a, const Image& picture_b,
                                   const Inspection& b) {
  std::vector<AttentionMap> maps;
  std::vector<Image> side_by_side;
  for (const AttentionMap& of_a : a.maps) {
    const auto of_b = std::find_if(b.maps.begin(), b.maps.end(), [&](const AttentionMap& each) {
      return each.kind == of_a.kind && each.layer == of_a.layer && each.head == of_a.head &&
             each.step == of_a.step && each.word == of_a.word;
    });
    // Numbers of segments have no difference.
    if (of_b == b.maps.end() || of_a.kind == "segments" ||
        of_b->map.values.size() != of_a.map.values.size()) {
      continue;
    }
    AttentionMap difference = of_a;
    difference.is_signed = true;
    for (size_t i = 0; i < difference.map.values.size(); ++i) {
      difference.map.values[i] -= of_b->map.values[i];
    }
    if (of_a.layer.empty() && of_a.head < 0 && of_a.step < 0 &&
        side_by_side.size() < kMostOnSheet) {
      // a and b on one scale
      MapPicture how_a = ChoosePicture(of_a), how_b = ChoosePicture(*of_b);
      how_a.low = how_b.low = std::min(how_a.low, how_b.low);
      how_a.high = how_b.high = std::max(how_a.high, how_b.high);
      MapPicture how = ChoosePicture(difference);
      how_a.title = "a: " + how_a.title, how_b.title = "b: " + how_b.title;
      how.title = "a - b: " + how.title;
      side_by_side.push_back(DrawMap(picture_a, of_a.map, how_a));
      side_by_side.push_back(DrawMap(picture_b, of_b->map, how_b));
      side_by_side.push_back(DrawMap(picture_a, difference.map, how));
    }
    maps.push_back(std::move(difference));
  }
  AddMaps({tag, "difference"}, picture_a, maps);
  HeatMap distance{picture_a.height, picture_a.width, {}};
  double sum = 0;
  for (size_t i = 0; i < picture_a.rgb.size(); i += 3) {
    float largest = 0;
    for (size_t c = 0; c < 3; ++c) {
      const float apart = std::abs(static_cast<float>(picture_a.rgb[i + c]) - picture_b.rgb[i + c]);
      largest = std::max(largest, apart / 255);
      sum += static_cast<double>(apart);
    }
    distance.values.push_back(largest);
  }
  MapPicture how;
  how.title = "difference of the pictures";
  how.high = std::max(1e-6, static_cast<double>(distance.Max()));
  std::vector<Image> all{DrawPlain(picture_a, "a"), DrawPlain(picture_b, "b"),
                         DrawMap(picture_a, distance, how)};
  all.insert(all.end(), side_by_side.begin(), side_by_side.end());
  const std::string name = (tag.empty() ? "" : tag + "-") + std::string("side-by-side.png");
  WritePng(Name(name), Sheet(all, 3), {});
  lists_->sheets.push_back(name);
  const double psnr = Psnr(picture_a, picture_b);
  lists_->difference = {{"mean_abs", sum / 255 / static_cast<double>(picture_a.rgb.size())},
                        {"psnr", OrNull(std::isfinite(psnr), psnr)}};
}

void InspectOutputs::AddTable(const std::string& name, const std::string& csv) {
  WriteText(Name(name), csv);
  lists_->tables.push_back(name);
}

void InspectOutputs::AddSheet(const std::string& name, const Image& sheet) {
  WritePng(Name(name), sheet, {});
  lists_->sheets.push_back(name);
}

ordered_json InspectOutputs::Finish(const std::string& model, const ordered_json& settings) {
  ordered_json manifest = {{"model", model},
                           {"settings", settings},
                           {"files", lists_->files},
                           {"pictures", lists_->pictures},
                           {"sheets", lists_->sheets}};
  if (!lists_->animations.empty()) manifest["animations"] = lists_->animations;
  if (!lists_->tables.empty()) manifest["tables"] = lists_->tables;
  if (!lists_->text_shares.empty()) manifest["text_shares"] = lists_->text_shares;
  if (!lists_->difference.is_null()) manifest["difference"] = lists_->difference;
  WriteText(Name("manifest.json"), manifest.dump(1) + "\n");
  files_.Commit();
  return manifest;
}

}  // namespace fovea
