#include "pipelines/metadata/a1111_settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <optional>
#include <set>

#include "models/files/json_text.h"
#include "models/lora/lora_choice.h"
#include "pipelines/metadata/a1111_names.h"
#include "pipelines/metadata/a1111_text.h"
#include "pipelines/prompts/prompt_syntax.h"
#include "pipelines/prompts/prompt_weights.h"
#include "pipelines/sampling/scheduler.h"

namespace fovea {
namespace {

// Facts about files and programs, which ask for nothing; our own remarks among them.
constexpr std::string_view kRemarks[] = {
    "Model hash",
    "Lora hashes",
    "Hashes",
    "Version",
    "User",
    "Batch size",
    "Batch pos",
    "Init image hash",
    "Created Date",
    "Attention",
    "HiDiffusion",
    "Image digest",
    "Civitai resources",
};

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

template <class T>
std::optional<T> Parse(std::string_view text) {
  T value{};
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  if constexpr (std::is_floating_point_v<T>) {
    if (!std::isfinite(value)) return std::nullopt;
  }
  return value;
}

// "512x768"; a side that does not read as one is 0.
void ParseSize(std::string_view text, int* width, int* height) {
  constexpr int kMaxSide = 1 << 20;
  const size_t by = std::min(text.find('x'), text.size());
  const auto side = [&](std::string_view digits) {
    const int value = Parse<int>(digits).value_or(0);
    return value >= 1 && value <= kMaxSide ? value : 0;
  };
  *width = side(text.substr(0, by));
  *height = side(text.substr(std::min(by + 1, text.size())));
}

std::string KnownSamplers() {
  std::string text;
  for (const std::string_view name : SamplerNames()) {
    text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

// Takes field after field; what nobody takes is unused.
class Reader {
 public:
  Reader(std::string_view text, const std::string& where)
      : parts_(ParseA1111Text(text)), where_(where) {}

  PictureSettings Read();

 private:
  // The value of a field, the last one if the text has several, without blanks around it.
  std::optional<std::string> Take(std::string_view field);
  // The same as a number; another text is a problem of `setting`.
  template <class T>
  std::optional<T> TakeNumber(std::string_view field, const char* setting, T low, T high);
  void Problem(const char* setting, ErrorCode code, const std::string& what) {
    out_.problems.push_back({setting, code, where_ + ": " + what});
  }
  void ReadPrompts();
  void ReadSampler();
  void ReadSize();
  void ReadNoise();
  void ReadModel();
  void ReadPasses();
  void ReadSecondPass(double strength);
  void ListUnused();

  A1111Text parts_;
  const std::string& where_;
  std::set<std::string, std::less<>> taken_;
  PictureSettings out_;
};

std::optional<std::string> Reader::Take(std::string_view field) {
  taken_.emplace(field);
  std::optional<std::string> value;
  for (const auto& [name, text] : parts_.fields) {
    if (name == field) value = text;
  }
  if (!value) return std::nullopt;
  const size_t begin = value->find_first_not_of(" \t\r");
  if (begin == std::string::npos) return std::nullopt;
  return value->substr(begin, value->find_last_not_of(" \t\r") + 1 - begin);
}

template <class T>
std::optional<T> Reader::TakeNumber(std::string_view field, const char* setting, T low, T high) {
  const auto text = Take(field);
  if (!text) return std::nullopt;
  const std::optional<T> value = Parse<T>(*text);
  if (value && *value >= low && *value <= high) return value;
  Problem(setting, ErrorCode::kBadFile,
          "its settings say " + std::string(field) + ": " + Printable(*text, 40) +
              ", which is no number that it can have; give --" + setting);
  return std::nullopt;
}

// What the web UI does with a prompt and we do not.
void Reader::ReadPrompts() {
  const PromptWeights mode = ParsePromptWeights(out_.settings.prompt_weights);
  std::string words = out_.settings.prompt;
  try {
    std::vector<NamedLora> loras;
    words = TakeLoraTags(out_.settings.prompt, loras);
  } catch (const Error& error) {
    Problem("prompt", error.code, std::string(error.what()) + ", or give a prompt with -p");
  }
  for (const std::string& each : UnreadSyntax(words, mode, false)) {
    out_.unused.push_back("prompt: " + each);
  }
  for (const std::string& each : UnreadSyntax(parts_.negative, mode, true)) {
    out_.unused.push_back("negative prompt: " + each);
  }
}

void Reader::ReadSampler() {
  GenerateSettings& settings = out_.settings;
  const std::string version = Take("Version").value_or("");
  const auto sampler = Take("Sampler");
  const std::string schedule = Take("Schedule type").value_or("");
  if (!sampler) return;
  const OurSampler ours = ReadA1111Sampler(*sampler, schedule, KnowsScheduleTypes(version));
  if (ours.sampler) {
    settings.sampler = *ours.sampler;
  } else {
    Problem("sampler", ErrorCode::kUnsupported,
            "its sampler " + Printable(*sampler, 80) +
                " has no counterpart here; choose one with --sampler: " + KnownSamplers());
  }
  if (ours.schedule) {
    settings.schedule = *ours.schedule;
  } else {
    Problem("schedule", ErrorCode::kUnsupported,
            "its schedule " + Printable(schedule.empty() ? *sampler : schedule, 80) +
                " has no counterpart here; choose one with --schedule");
  }
  // "Eta" alone is DDIM's in old texts.
  const bool ddim = settings.sampler == "ddim";
  auto eta = TakeNumber<double>("Eta DDIM", "eta", 0, 1);
  if (ddim && !eta) eta = TakeNumber<double>("Eta", "eta", 0, 1);
  if (ddim && eta) settings.eta = *eta;
}

void Reader::ReadSize() {
  const auto size = Take("Size");
  if (!size) return;
  GenerateSettings& settings = out_.settings;
  ParseSize(*size, &settings.width, &settings.height);
  const std::string what = "its settings say Size: " + Printable(*size, 40);
  if (settings.width == 0) Problem("width", ErrorCode::kBadFile, what + "; give --width");
  if (settings.height == 0) Problem("height", ErrorCode::kBadFile, what + "; give --height");
}

void Reader::ReadNoise() {
  out_.settings.seed = TakeNumber<uint64_t>("Seed", "seed", 0, ~uint64_t{0});
  // A1111's GPU noise is CUDA's; it leaves the field out for that, and NV is the same made
  // elsewhere.
  const std::string rng = Take("RNG").value_or("GPU");
  if (rng == "CPU") {
    out_.settings.rng = "torch";
  } else if (rng != "GPU" && rng != "NV") {
    Problem(
        "rng", ErrorCode::kUnsupported,
        "its noise RNG: " + Printable(rng, 40) + " has no counterpart here; choose one with --rng");
  }
}

void Reader::ReadModel() {
  if (const auto model = Take("Model")) {
    out_.settings.model = *model;
  } else {
    Problem("model", ErrorCode::kUsage, "its settings name no model; name one with -m");
  }
}

// A1111's second pass is ours where it enlarges by Lanczos; it has many other upscalers. Its size
// is given, or as a multiple of the first one's.
void Reader::ReadSecondPass(double strength) {
  GenerateSettings& settings = out_.settings;
  const auto factor = TakeNumber<double>("Hires upscale", "hires", 1, 64);
  const std::string resize = Take("Hires resize").value_or("");
  const std::string upscaler = Take("Hires upscaler").value_or("none");
  const auto steps = Take("Hires steps");
  int width = static_cast<int>(settings.width * factor.value_or(0));
  int height = static_cast<int>(settings.height * factor.value_or(0));
  if (!factor) ParseSize(resize, &width, &height);
  const double scale = static_cast<double>(width) / std::max(settings.width, 1);
  const std::string ours =
      "two-pass=" + Number(scale) + "," + Number(strength < 0 ? 0.5 : strength);
  const bool same_steps = !steps || steps == "0" || steps == std::to_string(settings.steps);
  if (upscaler == "Lanczos" && same_steps && scale > 1 && height > 0) {
    settings.hires = ours;
    settings.width = width;
    settings.height = height;
    return;
  }
  const bool near = scale > 1 && height > 0;
  Problem("hires", ErrorCode::kUnsupported,
          "it was made in two passes, enlarged by " + Printable(upscaler, 40) + " in " +
              Printable(steps.value_or("as many"), 40) +
              " steps, which Fovea lacks; choose with --hires" +
              (near ? ", " + ours + " at -W " + std::to_string(width) + " -H " +
                          std::to_string(height) + " is near"
                    : ""));
}

void Reader::ReadPasses() {
  const bool second = std::any_of(parts_.fields.begin(), parts_.fields.end(), [](const auto& each) {
    return each.first == "Hires upscale" || each.first == "Hires resize" ||
           each.first == "First pass size";
  });
  const auto strength = TakeNumber<double>("Denoising strength", "strength", 0, 1);
  if (second) {
    ReadSecondPass(strength.value_or(-1));
    return;
  }
  if (!strength) return;
  out_.settings.strength = *strength;
  const std::string from =
      "it was made from another picture (Denoising strength: " + Number(*strength) +
      "), which its settings do not hold; give ";
  Problem("image", ErrorCode::kUsage, from + "that one with --image");
  const bool masked = std::any_of(parts_.fields.begin(), parts_.fields.end(), [](const auto& each) {
    return each.first == "Mask blur" || each.first == "Masked content" ||
           each.first == "Inpaint area";
  });
  if (masked) Problem("mask", ErrorCode::kUsage, from + "its mask with --mask, too");
}

// What is off, or as it always is here, asks for nothing.
void Reader::ListUnused() {
  constexpr std::pair<std::string_view, std::string_view> kUsual[] = {
      {"ENSD", "0"},
      {"Eta", "1"},
      {"Eta", "1.0"},
      {"VAE", "Automatic"},
      {"Emphasis", "Original"},
      {"Variation seed strength", "0"},
  };
  for (const std::string_view remark : kRemarks) taken_.emplace(remark);
  // A VAE that is named is listed by its name; a hash alone says that there was one.
  if (Take("VAE").value_or("Automatic") != "Automatic") taken_.emplace("VAE hash");
  taken_.erase("VAE");
  std::set<std::string> listed;
  for (const auto& [name, value] : parts_.fields) {
    if (taken_.contains(name) || value == "None" || value == "False") continue;
    const bool usual = std::any_of(std::begin(kUsual), std::end(kUsual), [&](const auto& each) {
      return each.first == name && each.second == value;
    });
    const std::string text = Printable(name, 40) + ": " + Printable(value, 40);
    if (!usual && listed.insert(text).second) out_.unused.push_back(text);
  }
}

PictureSettings Reader::Read() {
  if (!Take("Steps")) {
    throw Error(ErrorCode::kBadFile,
                where_ +
                    ": its text \"parameters\" ends in no line of settings (Steps: 20, Sampler: "
                    "Euler a, ...), so there is nothing to take over");
  }
  GenerateSettings& settings = out_.settings;
  out_.foreign = true;
  settings.prompt = parts_.prompt;
  if (!parts_.negative.empty()) settings.negative = parts_.negative;
  settings.steps = TakeNumber<int>("Steps", "steps", 1, 1 << 20).value_or(0);
  settings.cfg = TakeNumber<double>("CFG scale", "cfg", 0, 1e6).value_or(-1);
  // A1111 counts from 1: its 1 is the last layer.
  settings.clip_skip = TakeNumber<int>("Clip skip", "clip-skip", 1, 1000).value_or(1) - 1;
  if (Take("Emphasis") == "None") {
    settings.prompt_weights = "off";
  } else {
    taken_.erase("Emphasis");
  }
  ReadPrompts();
  ReadSampler();
  ReadSize();
  ReadNoise();
  ReadModel();
  ReadPasses();
  ListUnused();
  return std::move(out_);
}

}  // namespace

std::string A1111Parameters(const GenerateSettings& s, const Provenance& provenance) {
  A1111Text parts{s.prompt, s.negative.value_or(""), {}};
  for (const NamedLora& lora : ParseLoraText(s.lora)) {
    parts.prompt += " " + LoraTag(lora);
  }
  const auto add = [&](const char* name, const std::string& value) {
    parts.fields.emplace_back(name, value);
  };
  const std::string& sampler = s.sampler.empty() ? provenance.sampler : s.sampler;
  add("Steps", std::to_string(s.steps));
  add("Sampler", A1111Sampler(sampler));
  add("Schedule type", A1111Schedule(sampler, s.schedule, provenance.schedule));
  add("CFG scale", Number(s.cfg));
  add("Seed", std::to_string(s.seed.value_or(0)));
  const auto size = [](int width, int height) {
    return std::to_string(width) + "x" + std::to_string(height);
  };
  // A1111's size is the first pass's.
  const HiresReport::TwoPass& two = provenance.hires.two_pass;
  const bool twice = two.width != 0;
  add("Size", twice ? size(two.width, two.height) : size(s.width, s.height));
  add("Model hash", provenance.hashes.model.substr(0, 10));
  add("Model", s.model);
  if (s.eta != 0) add("Eta DDIM", Number(s.eta));
  // A1111 counts from 1: its 1 is the last layer.
  if (s.clip_skip > 0) add("Clip skip", std::to_string(s.clip_skip + 1));
  if (s.prompt_weights == "off") add("Emphasis", "None");
  add("Attention", s.attention);
  if (s.guidance != "cfg") add("Guidance", s.guidance);
  if (!s.perturb.empty()) {
    // The keys of A1111's extension for PAG, where there are any.
    add("PAG Active", "True");
    add("PAG Scale", Number(s.perturb_scale));
    add("PAG Layers", s.perturb);
    if (s.perturb_kind != "identity") add("PAG Kind", s.perturb_kind);
    if (s.perturb_scope != "all") add("PAG Scope", s.perturb_scope);
    add("PAG Steps", s.perturb_steps);
  }
  if (!provenance.hires.schedule.empty()) add("HiDiffusion", s.hires);
  if (twice || s.strength > 0) {
    add("Denoising strength", Number(twice ? two.strength : s.strength));
  }
  if (twice) {
    add("Hires resize", size(s.width, s.height));
    add("Hires upscaler", "Lanczos");
  }
  std::string loras;
  for (const auto& [name, hash] : provenance.hashes.loras) {
    if (name.find_first_of(",:") != std::string::npos) continue;  // would read as two
    loras += (loras.empty() ? "" : ", ") + name + ": " + hash.substr(0, 12);
  }
  add("Lora hashes", loras);
  add("RNG", s.rng == "torch" ? "CPU" : "NV");
  add("Version", "fovea " + provenance.version);
  return WriteA1111Text(parts);
}

PictureSettings ReadA1111Parameters(std::string_view text, const std::string& where) {
  return Reader(text, where).Read();
}

}  // namespace fovea
