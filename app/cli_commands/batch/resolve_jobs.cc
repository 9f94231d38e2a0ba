#include "app/cli_commands/batch/resolve_jobs.h"

#include <algorithm>
#include <sstream>

#include <nlohmann/json.hpp>

#include "app/process/exit_code.h"
#include "pipelines/pictures/picture_file.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// A path in a job file is relative to it; what is no file there may be a name.
std::string InFolder(const fs::path& folder, const std::string& text, bool may_be_name) {
  const fs::path path = folder / text;
  std::error_code error;
  if (may_be_name && (text.empty() || !fs::exists(path, error))) return text;
  return path.string();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

void TakeSetting(GenerateFlags& flags, const fs::path& folder, const std::string& name,
                 const std::string& value) {
  if (name == "model") {
    flags.models.model = value;
  } else if (name == "dtype") {
    CheckChoice("--dtype", value, {"auto", "f32", "bf16", "f16"});
    flags.common.dtype = value;
  } else if (name == "image") {
    flags.image = InFolder(folder, value, false);
  } else if (name == "mask") {
    flags.mask = InFolder(folder, value, false);
  } else if (name == "init-latents") {
    flags.init_latents = InFolder(folder, value, false);
  } else if (name == "from") {
    flags.from = InFolder(folder, value, false);
  } else if (name == "tokenizer") {
    flags.models.tokenizer = InFolder(folder, value, false);
  } else if (name == "config") {
    flags.models.config = InFolder(folder, value, true);
  } else if (name == "overlay") {
    flags.models.overlay = InFolder(folder, value, true);
  } else if (name == "lora") {
    flags.models.loras.clear();
    for (const std::string& text : Lines(value)) {
      NamedLora lora = ParseLoraFlag(text);
      lora.name = InFolder(folder, lora.name, true);
      flags.models.loras.push_back(LoraText({lora}));
    }
  } else if (name == "seed" && value == "-1") {
    flags.overrides.push_back([](GenerateSettings& settings) { settings.seed.reset(); });
  } else {
    flags.Take(name, value);
  }
}

// Pixels times steps times branches: like jobs of double the number take double the time.
double WorkOf(const GenerateSettings& settings) {
  const double width = settings.width > 0 ? settings.width : 512;
  const double height = settings.height > 0 ? settings.height : 512;
  const double steps = settings.steps > 0 ? settings.steps : 25;
  return width * height * (steps + 2) * (settings.cfg == 1 ? 1 : 2);
}

}  // namespace

std::unique_ptr<GenerateFlags> FlagsOf(const BatchFlags& flags, const JobFile& file,
                                       const JobLine& line) {
  auto own = std::make_unique<GenerateFlags>(flags.generate);
  for (const auto& [name, value] : line.settings) TakeSetting(*own, file.folder, name, value);
  return own;
}

std::string ModelKey(const GenerateFlags& flags, const GenerateSettings& settings) {
  std::string key;
  for (const std::string& part :
       {settings.model, flags.models.config.value_or(""), flags.models.tokenizer.value_or(""),
        settings.lora, settings.overlay, settings.dtype}) {
    key += part + '\n';
  }
  return key;
}

struct JobResolver::Model {
  Json files, inputs;
};

JobResolver::~JobResolver() = default;

JobResolver::JobResolver(const BatchFlags& flags, const Shard& shard)
    : flags_(flags), shard_(shard), name_(flags.name.value_or("{id}")) {}

const JobResolver::Model& JobResolver::ModelOf(const GenerateFlags& flags,
                                               const GenerateSettings& settings,
                                               const std::string& key) {
  const auto known = models_.find(key);
  if (known != models_.end()) return *known->second;
  const ModelFolder folder =
      flags.models.Open(settings.model, ParseLoraText(settings.lora), settings.overlay);
  auto model = std::make_unique<Model>();
  model->files = digests_.OfModel(folder);
  model->inputs = digests_.OfInputs(folder);
  return *(models_[key] = std::move(model));
}

const std::string& JobResolver::DigestOf(const std::string& path, bool mask) {
  const std::string key = (mask ? "m" : "i") + path;
  const auto known = pictures_.find(key);
  if (known != pictures_.end()) return known->second;
  return pictures_[key] = PictureDigest(mask ? ReadMask(path).image : ReadPicture(path));
}

// Settings, files and seed of the line's first picture; its number of pictures. Throws what
// generate would.
int JobResolver::Resolve(ResolvedJob& job, nlohmann::json* inputs) {
  const auto flags = FlagsOf(flags_, *job.file, *job.line);
  PictureSettings asked = flags->SettingsWithoutSeed();
  job.settings = asked.settings;
  job.prompt_given = flags->given.contains("prompt") || flags->from.has_value();
  // As ReadPictures, by digests that are remembered.
  for (const auto& [given, digest, mask] : {std::tuple{&flags->image, &job.settings.image, false},
                                            {&flags->mask, &job.settings.mask, true}}) {
    if (!*given && !digest->empty()) flags->ReadPictures(&asked.settings);  // says what is wrong
    *digest = *given ? DigestOf(**given, mask) : "";
  }
  job.model_key = ModelKey(*flags, job.settings);
  const Model& model = ModelOf(*flags, job.settings, job.model_key);
  *inputs = model.inputs;
  if (flags->init_latents) (*inputs)["init-latents"] = digests_.OfFile(*flags->init_latents);
  const int pictures = job.settings.batch;
  job.settings.batch = 1;
  if (!job.settings.seed) {
    const Json settings = JobSettingsJson(job.settings, job.prompt_given, false);
    int64_t& earlier = likes_[JobId(settings, model.files, *inputs)];
    job.settings.seed = DerivedSeed(settings, model.files, *inputs, earlier);
    earlier += pictures;
  }
  job.work = WorkOf(job.settings);
  return pictures;
}

void JobResolver::AddLine(const JobFile& file, const JobLine& line, JobLimit& limit) {
  ResolvedJob job;
  job.file = &file;
  job.line = &line;
  job.error = line.error;
  job.code = line.code;
  int pictures = 1;
  Json inputs;
  if (line.error.empty()) {
    try {
      pictures = Resolve(job, &inputs);
      job.code = 0;
    } catch (const Error& error) {
      job.error = OneLine(error.what());
      job.code = ExitCodeOf(error.code);
    }
  }
  if (!job.error.empty()) {
    job.number = static_cast<int64_t>(jobs_.size()) + 1;
    jobs_.push_back(std::move(job));
    return;
  }
  limit.Take(pictures - 1);
  const Model& model = *models_.at(job.model_key);
  for (int i = 0; i < pictures; ++i) {
    ResolvedJob one = job;
    one.number = static_cast<int64_t>(jobs_.size()) + 1;
    *one.settings.seed += static_cast<uint64_t>(i);
    one.id = JobId(JobSettingsJson(one.settings, one.prompt_given, true), model.files, inputs);
    const auto [first, added] = first_of_id_.try_emplace(one.id, one.number);
    if (!added) one.duplicate_of = first->second;
    PictureFacts facts;
    facts.id = one.id;
    facts.name = line.name;
    facts.shard = std::to_string(shard_.index) + "-of-" + std::to_string(shard_.count);
    facts.number = one.number;
    facts.line = line.line;
    facts.settings = &one.settings;
    one.path = name_.Of(facts);
    jobs_.push_back(std::move(one));
  }
}

void JobResolver::Add(const JobFile& file, JobLimit& limit) {
  for (const JobLine& line : file.lines) AddLine(file, line, limit);
}

}  // namespace fovea
