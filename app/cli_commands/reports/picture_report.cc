#include "app/cli_commands/reports/picture_report.h"

#include <cstddef>
#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "app/process/exit_code.h"
#include "pipelines/metadata/metadata.h"
#include "pipelines/pictures/formats/picture_text.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/pictures/picture_format.h"

namespace fovea {
namespace {

using Json = nlohmann::ordered_json;

// By content, since a model may be a file of any name, too.
PictureFormat Format(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return PictureFormat::kNone;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return PictureFormat::kNone;
  std::byte first[64] = {};
  const size_t read = std::fread(first, 1, sizeof first, file);
  std::fclose(file);
  const PictureFormat format = FormatOf(std::span(first).first(read));
  // A header that looks like TGA's may be a model's.
  const bool named = std::filesystem::path(path).extension() == ".tga";
  return format == PictureFormat::kTga && !named ? PictureFormat::kNone : format;
}

void Row(const std::string& name, const std::string& text) {
  std::printf("%-14s %s\n", name.c_str(), OneLine(text).c_str());
}

void PrintForeign(const Json& report) {
  for (const Json& each : report["unused"]) Row("left out", each.get<std::string>());
  for (const Json& each : report["problems"]) Row("problem", each["message"].get<std::string>());
}

void PrintOurs(const Json& report) {
  const Json& device = report["device"];
  Row("device", device["kind"].get<std::string>() + ", " +
                    device["instruction_set"].get<std::string>() + ", " + device["threads"].dump() +
                    " threads");
  if (report.contains("numbers")) Row("numbers", Line(NumbersFromJson(report["numbers"], "")));
  if (report.contains("hires")) Row("ran", Line(HiresFromJson(report["hires"], "")));
  if (report.contains("attention")) {
    for (const std::string& line : Lines(GroupsFromJson(report["attention"], ""))) Row("ran", line);
  }
  if (report["init_latents"] == true) Row("noise", "given by --init-latents");
}

}  // namespace

bool IsPicture(const std::string& path) {
  return Format(path) != PictureFormat::kNone;
}

Json DescribePicture(const std::string& path) {
  const PngText text = ReadPictureText(path);
  const PictureSettings read = ReadPictureSettings(text, path);
  Json json;
  json["picture"] = path;
  if (IsRead(Format(path))) {
    const Image image = ReadPicture(path);
    json["width"] = image.width;
    json["height"] = image.height;
  }
  json["source"] = read.foreign ? "a1111" : "fovea";
  if (!read.foreign) json["version"] = read.provenance.version;
  json["settings"] = SettingsToJson(read.settings);
  if (read.foreign) {
    json["unused"] = read.unused;
    json["problems"] = Json::array();
    for (const SettingProblem& problem : read.problems) {
      json["problems"].push_back({{"setting", problem.setting}, {"message", problem.message}});
    }
  } else {
    json["device"] = {{"kind", read.provenance.device},
                      {"instruction_set", read.provenance.instruction_set},
                      {"threads", read.provenance.threads}};
    const Numbers& numbers = read.provenance.numbers;
    if (!numbers.weights.empty()) json["numbers"] = ToJson(numbers);
    if (!read.provenance.attention.empty()) json["attention"] = ToJson(read.provenance.attention);
    if (!read.provenance.hires.Empty()) json["hires"] = ToJson(read.provenance.hires);
    json["init_latents"] = read.provenance.init_latents;
  }
  if (const auto found = text.find("parameters"); found != text.end()) {
    json["parameters"] = found->second;
  }
  return json;
}

void PrintPicture(const Json& report) {
  const bool foreign = report["source"] == "a1111";
  const std::string size = report.contains("width")
                               ? report["width"].dump() + "x" + report["height"].dump()
                               : "not read";
  std::printf(
      "%s: %s, %s\n", report["picture"].get<std::string>().c_str(), size.c_str(),
      foreign ? "settings as A1111's" : ("fovea " + report["version"].get<std::string>()).c_str());
  for (const auto& [name, value] : report["settings"].items()) {
    Row(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
  if (foreign) {
    PrintForeign(report);
  } else {
    PrintOurs(report);
  }
}

}  // namespace fovea
