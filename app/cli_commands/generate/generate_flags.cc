#include "app/cli_commands/generate/generate_flags.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include "app/built_in_models.h"
#include "models/files/json_text.h"
#include "pipelines/pictures/formats/picture_text.h"
#include "pipelines/pictures/picture_file.h"
#include "pipelines/sampling/scheduler.h"
#include "pipelines/settings/hires_request.h"
#include "pipelines/settings/perturb_source.h"
#include "pipelines/settings/plan_source.h"
#include "pipelines/settings/random_seed.h"
#include "tensor/error.h"

namespace fovea {
namespace {

constexpr double kAny = std::numeric_limits<double>::max();

// How a field of GenerateSettings looks on the command line. Bounds that depend on the model are
// checked by TextToImage::Resolve.
struct FieldFlag {
  std::string_view field;
  const char* names;
  const char* otherwise;  // shown as the default
  double low = 0, high = kAny;
};

constexpr std::array kFieldFlags = {
    FieldFlag{"prompt", "-p,--prompt", "the model's sample prompt"},
    FieldFlag{"negative", "-n,--negative", "none: \"\", or zeros where the model says so"},
    FieldFlag{"prompt-2", "--prompt-2", "the prompt"},
    FieldFlag{"negative-2", "--negative-2", "the negative prompt"},
    FieldFlag{"prompt-3", "--prompt-3", "the prompt"},
    FieldFlag{"negative-3", "--negative-3", "the negative prompt"},
    FieldFlag{"prompt-weights", "--prompt-weights", "a1111"},
    FieldFlag{"width", "-W,--width", "the model's", 1, 1 << 20},
    FieldFlag{"height", "-H,--height", "the model's", 1, 1 << 20},
    FieldFlag{"steps", "--steps", "the model's, else 25", 1, 1 << 20},
    FieldFlag{"seed", "-s,--seed", "random, and printed"},
    FieldFlag{"batch", "-b,--batch", "1", 1, 4096},
    FieldFlag{"cfg", "--cfg", "the model's", 0, 1e6},
    FieldFlag{"true-cfg", "--true-cfg", "1", 0, 1e6},
    FieldFlag{"cfg-rescale", "--cfg-rescale", "the model's", 0, 1},
    FieldFlag{"cfg-interval", "--cfg-interval", "all steps"},
    FieldFlag{"guidance", "--guidance", "cfg"},
    FieldFlag{"perturb", "--perturb", "nothing"},
    FieldFlag{"perturb-kind", "--perturb-kind", "identity"},
    FieldFlag{"perturb-scope", "--perturb-scope", "all"},
    FieldFlag{"perturb-scale", "--perturb-scale", "3", 0, 1e6},
    FieldFlag{"perturb-steps", "--perturb-steps", "all that are guided"},
    FieldFlag{"sampler", "--sampler", "as the model's scheduler_config.json"},
    FieldFlag{"schedule", "--schedule", "model"},
    FieldFlag{"eta", "--eta", "0", 0, 1},
    FieldFlag{"shift", "--shift", "the model's", 0.01, 1000},
    FieldFlag{"ntk", "--ntk", "1", 0.01, 1000},
    FieldFlag{"attention", "--attention", "dense"},
    FieldFlag{"hires", "--hires", "off"},
    FieldFlag{"hires-steps", "--hires-steps", "as --steps", 1, 1 << 20},
    FieldFlag{"hires-cfg", "--hires-cfg", "as --cfg", 0, 1e6},
    FieldFlag{"hires-shift", "--hires-shift", "as --shift", 0.01, 1000},
    FieldFlag{"hires-ntk", "--hires-ntk", "as --ntk", 0.01, 1000},
    FieldFlag{"hires-attention", "--hires-attention", "as --attention"},
    FieldFlag{"overlay-pass", "--overlay-pass", "both"},
    FieldFlag{"strength", "--strength", "0.8, with --mask 1", 0, 1},
    FieldFlag{"mask-paste", "--mask-paste", "on"},
    FieldFlag{"clip-skip", "--clip-skip", "0", 0, 1000},
    FieldFlag{"max-sequence-length", "--max-sequence-length", "the model's, 256 or 512", 0, 512},
    FieldFlag{"rng", "--rng", "philox"},
    FieldFlag{"vae-tiling", "--vae-tiling", "auto"},
};

std::vector<std::string> ChoicesOf(std::string_view field) {
  if (field == "rng") return {"torch", "philox"};
  if (field == "vae-tiling") return {"auto", "on", "off"};
  if (field == "mask-paste") return {"on", "off"};
  if (field == "overlay-pass") return {"both", "second"};
  if (field == "perturb-scope") return {"all", "img-pure", "img-renorm"};
  if (field == "prompt-weights") return {"a1111", "comfy", "off"};
  if (field == "schedule") return {ScheduleNames().begin(), ScheduleNames().end()};
  if (field == "sampler") return {SamplerNames().begin(), SamplerNames().end()};
  return {};
}

template <class T>
void SetField(GenerateSettings& settings, std::string_view field, const T& value) {
  settings.ForEachField([&](std::string_view name, auto& member, const char*) {
    if constexpr (std::is_same_v<std::decay_t<decltype(member)>, T>) {
      if (name == field) member = value;
    }
  });
}

const FieldFlag* FindFlag(std::string_view field) {
  const auto flag = std::find_if(kFieldFlags.begin(), kFieldFlags.end(),
                                 [&](const FieldFlag& each) { return each.field == field; });
  return flag == kFieldFlags.end() ? nullptr : &*flag;
}

bool IsPlan(std::string_view field) {
  return field == "attention" || field == "hires-attention";
}

// The value of a flag for a field of type T. Throws kUsage naming the flag.
template <class T>
T ParseField(const FieldFlag& flag, const std::string& text) {
  const std::string name = std::string("--") + std::string(flag.field);
  if constexpr (std::is_same_v<T, std::optional<std::string>>) {
    CheckUtf8(name, text);
    return text;
  } else if constexpr (std::is_same_v<T, std::string>) {
    CheckUtf8(name, text);
    CheckChoice(name, text, ChoicesOf(flag.field));
    if (flag.field == "hires") ParseHires(text);
    return IsPlan(flag.field) ? ReadPlan(text, BuiltInPlansFolder()).Text() : text;
  } else if constexpr (std::is_same_v<T, int>) {
    return static_cast<int>(
        ParseWhole(name, text, static_cast<int64_t>(flag.low), static_cast<int64_t>(flag.high)));
  } else if constexpr (std::is_same_v<T, double>) {
    return ParseReal(name, text, flag.low, flag.high);
  } else {
    return ParseSeed(name, text);
  }
}

template <class T>
std::string PlaceholderOf(std::string_view field) {
  if constexpr (std::is_same_v<T, std::optional<std::string>>) return "TEXT";
  if constexpr (std::is_same_v<T, double>) return "X";
  if constexpr (!std::is_same_v<T, std::string>) return "N";
  if (IsPlan(field)) return "PLAN";
  if (field == "cfg-interval" || field == "perturb-steps") return "A-B";
  if (field == "perturb") return "LIST";
  if (field == "perturb-kind") return "identity|uniform|zero|meanq|blur:SIGMA|skip|op:SPEC";
  if (field == "hires") {
    return "off|auto|hidiffusion|raunet[=SCHEDULE]|two-pass[=SCALE[,STRENGTH]]";
  }
  const std::vector<std::string> choices = ChoicesOf(field);
  return choices.empty() ? "TEXT" : ListOf(choices);
}

}  // namespace

void GenerateFlags::Add(Flags& flags) {
  models.Add(flags);
  memory.Add(flags);
  models.needs_tokenizer = true;
  GenerateSettings fields;
  fields.ForEachField([&](std::string_view name, auto& member, const char* help) {
    const FieldFlag* flag = FindFlag(name);
    // The model and the dtype are flags of every subcommand.
    if (flag == nullptr) return;
    flags.Value(
        name == "steps" ? steps_flag : flag->names,
        PlaceholderOf<std::decay_t<decltype(member)>>(name),
        [this, field = flag->field](const std::string& text) { Take(field, text); }, help,
        flag->otherwise);
  });
  flags.Text("--from", "PICTURE", from, "take all settings of this picture; other flags win");
  flags.Text("--image", "FILE", image, "picture to start from");
  flags.Text("--mask", "FILE", mask, "its white part is made anew, the rest of --image is kept");
  flags.Text("--init-latents", "FILE", init_latents, "unit noise to start from: tensor latents");
  flags.Text("--save-latents", "FILE", save_latents, "write the final latents: tensor latents");
  flags.Text("--dump", "DIR", dump, "write text.safetensors and step-NNN.safetensors");
  flags.Text("--trace", "FILE", trace, "write a Chrome trace");
  flags.Text("-o,--output", "FILE|DIR", output,
             "picture, or folder for SEED-NNNN.png; of a batch FILE-NNNN.png; a trailing / or a "
             "name without .png is a folder",
             "out/");
  common.Add(flags);
}

void GenerateFlags::Take(std::string_view field, const std::string& text) {
  const FieldFlag* flag = FindFlag(field);
  ENSURE(flag != nullptr, std::string(field));
  GenerateSettings fields;
  fields.ForEachField([&](std::string_view name, auto& member, const char*) {
    if (name != field) return;
    using T = std::decay_t<decltype(member)>;
    const T value = ParseField<T>(*flag, text);
    if (field == "perturb") return TakePerturb(text);
    given.emplace(field);
    overrides.push_back([field = flag->field, value](GenerateSettings& settings) {
      SetField<T>(settings, field, value);
    });
  });
}

// What a file says beside its list is weaker than the flags of the same names.
void GenerateFlags::TakePerturb(const std::string& text) {
  const PerturbSource source = ReadPerturb(text, BuiltInPerturbsFolder());
  given.emplace("perturb");
  overrides.push_back([this, source](GenerateSettings& settings) {
    settings.perturb = source.list.Text();
    if (source.kind && !given.contains("perturb-kind")) settings.perturb_kind = *source.kind;
    if (source.scope && !given.contains("perturb-scope")) settings.perturb_scope = *source.scope;
    if (source.steps && !given.contains("perturb-steps")) settings.perturb_steps = *source.steps;
    if (source.scale && !given.contains("perturb-scale")) settings.perturb_scale = *source.scale;
  });
}

PictureSettings GenerateFlags::Settings() const {
  PictureSettings result = SettingsWithoutSeed();
  if (!result.settings.seed) result.settings.seed = RandomSeed();
  return result;
}

PictureSettings GenerateFlags::SettingsWithoutSeed() const {
  PictureSettings result;
  if (from) result = ReadPictureSettings(ReadPictureText(*from), *from);
  GenerateSettings& settings = result.settings;
  for (const auto& apply : overrides) apply(settings);
  if (models.model) settings.model = *models.model;
  for (const SettingProblem& problem : result.problems) {
    const bool replaced =
        given.contains(problem.setting) || (problem.setting == "model" && models.model) ||
        (problem.setting == "image" && image) || (problem.setting == "mask" && mask);
    if (!replaced) throw Error(problem.code, problem.message);
  }
  if (ParseHires(settings.hires).mode != HiresMode::kTwoPass) {
    for (const std::string& name : given) {
      if (!name.starts_with("hires-") && name != "overlay-pass") continue;
      throw Error(ErrorCode::kUsage,
                  "--" + name + " is about a second pass; give --hires two-pass, too");
    }
  }
  if (settings.perturb.empty() && !names_heads) {
    for (const std::string& name : given) {
      if (!name.starts_with("perturb-")) continue;
      throw Error(ErrorCode::kUsage, "--" + name +
                                         " is about perturbed heads; name some with "
                                         "--perturb, too");
    }
  }
  std::vector<NamedLora> loras = models.Loras();
  if (loras.empty()) loras = ParseLoraText(settings.lora);
  std::vector<std::string> notes;
  settings.prompt = TakeLoraTags(settings.prompt, loras, &notes);
  for (const std::string& note : notes) PrintWarning(note);
  settings.lora = LoraText(loras);
  if (models.overlay) settings.overlay = *models.overlay;
  if (common.dtype) settings.dtype = *common.dtype;
  if (from && result.provenance.init_latents && !init_latents) {
    throw Error(ErrorCode::kUsage,
                *from +
                    ": this picture began from given noise, which its settings do not hold; "
                    "give the same file with --init-latents");
  }
  return result;
}

GivenPictures GenerateFlags::ReadPictures(GenerateSettings* settings) const {
  const auto read_mask = [](const std::string& file) {
    MaskPicture read = ReadMask(file);
    if (read.from_alpha) {
      PrintWarning("mask: " + file +
                   " has one colour, so its transparency counts: what is opaque "
                   "is made anew");
    }
    return std::move(read.image);
  };
  const auto read = [&](const char* flag, const std::optional<std::string>& file,
                        std::string* digest) {
    std::optional<Image> picture;
    const std::string before = std::exchange(*digest, "");
    if (file) {
      picture = digest == &settings->mask ? read_mask(*file) : ReadPicture(*file);
      *digest = PictureDigest(*picture);
    }
    if (before.empty() || before == *digest) return picture;
    const std::string made = *from + " was made from another picture, " + Printable(before, 80);
    if (!file) {
      throw Error(ErrorCode::kUsage,
                  made + ", which its settings do not hold; give the same file with " + flag);
    }
    PrintWarning(made + "; " + *file + " is " + *digest);
    return picture;
  };
  GivenPictures pictures;
  pictures.image = read("--image", image, &settings->image);
  pictures.mask = read("--mask", mask, &settings->mask);
  return pictures;
}

}  // namespace fovea
