// `fovea grid`: one picture, or one table, of how settings change a picture.
#include <algorithm>
#include <fstream>
#include <set>

#include <nlohmann/json.hpp>

#include "app/cli_commands/batch/picture_folder.h"
#include "app/cli_commands/batch/render_job.h"
#include "app/cli_commands/batch/resolve_jobs.h"
#include "app/cli_commands/commands.h"
#include "app/cli_commands/grid/grid_table.h"
#include "app/jobs/finished_picture.h"
#include "app/output_files.h"
#include "app/process/exit_code.h"
#include "app/process/host_memory.h"
#include "app/process/stop_signals.h"
#include "models/files/atomic_file.h"
#include "pipelines/generation/provenance.h"
#include "pipelines/settings/random_seed.h"
#include "tensor/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostCells = 10000;
constexpr int64_t kMostPixels = 200000000;

struct GridFlags {
  BatchFlags batch;  // of it the settings of all cells
  std::optional<std::string> x, y, z, cells;
  std::optional<int64_t> repeat, max_pixels;

  void Add(Flags& flags) {
    const std::string help = "values: a,b,c or 1-5, 1-5(+2), 0-1[5]";
    flags.Text("--x", "KEY=VALUES", x, "what changes from left to right; " + help);
    flags.Text("--y", "KEY=VALUES", y, "what changes from top to bottom");
    flags.Text("--z", "KEY=VALUES", z, "what changes from page to page");
    flags.Text("--cells", "DIR", cells, "keep the cells here, and take up again what is there");
    flags.Whole("--repeat", repeat, 1, 1000, "times that a table measures a cell", "1");
    flags.Whole("--max-pixels", max_pixels, 1, int64_t{1} << 40, "refuse larger grids",
                "200000000");
    batch.generate.Add(flags);
  }
};

GridAxis AxisOf(const std::optional<std::string>& text) {
  return text ? ParseGridAxis(*text) : GridAxis{{}, {""}};
}

void Replace(std::string* text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += to.size()) {
    text->replace(at, from.size(), to);
  }
}

// The prompts of all cells before an axis changes them.
struct Prompts {
  std::string prompt, negative;
  bool Have(const std::string& text) const {
    return prompt.find(text) != std::string::npos || negative.find(text) != std::string::npos;
  }
};

// Adds one value of an axis to a cell.
void Apply(const GridAxis& axis, size_t at, Prompts* prompts, JobSettings* settings) {
  if (axis.key.empty()) return;
  const std::string& value = axis.values[at];
  if (axis.key == "prompt~") {
    Replace(&prompts->prompt, axis.values[0], value);
    Replace(&prompts->negative, axis.values[0], value);
    settings->emplace_back("prompt", prompts->prompt);
    if (!prompts->negative.empty()) settings->emplace_back("negative", prompts->negative);
  } else if (axis.key == "size") {
    const size_t cross = value.find('x');
    if (cross == std::string::npos) {
      throw Error(ErrorCode::kUsage, "axis size: '" + value + "' is not WxH, as 512x768");
    }
    settings->emplace_back("width", value.substr(0, cross));
    settings->emplace_back("height", value.substr(cross + 1));
  } else {
    settings->emplace_back(axis.key, value);
  }
}

class GridRun {
 public:
  explicit GridRun(const GridFlags& flags)
      : flags_(flags), here_(HereAndNow(FOVEA_VERSION)), renderer_(flags.batch, here_, 1) {}

  int Run() {
    const fs::path output = flags_.batch.generate.output.value_or("grid.png");
    const bool table = output.extension() == ".csv";
    if (!table && output.extension() != ".png") {
      throw Error(ErrorCode::kUsage, "-o " + output.string() + ": is neither .png nor .csv");
    }
    OutputFiles files;
    const fs::path temporary = files.Replace(output);
    if (flags_.cells) folder_.emplace(*flags_.cells);
    MakeCells();
    if (!table) CheckPixels();
    RenderCells(table);
    if (table) {
      std::ofstream(temporary, std::ios::binary) << GridTable(grid_, numbers_);
      std::error_code error;
      if (fs::file_size(temporary, error) == 0 || error) {
        throw Error(ErrorCode::kBadFile, output.string() + ": cannot be written");
      }
    } else {
      WritePng(temporary, DrawGrid(grid_), Text());
    }
    files.Commit();
    if (!flags_.batch.generate.common.json) std::printf("%s\n", output.c_str());
    const auto failed = std::count_if(grid_.cells.begin(), grid_.cells.end(),
                                      [](const GridCell& cell) { return !cell.image; });
    if (flags_.batch.generate.common.json) {
      PrintJson({{"file", output.string()}, {"cells", grid_.cells.size()}, {"failed", failed}});
    }
    return failed > 0 ? kExitSomeFailed : kExitDone;
  }

 private:
  void MakeCells() {
    grid_.x = AxisOf(flags_.x);
    grid_.y = AxisOf(flags_.y);
    grid_.z = AxisOf(flags_.z);
    CheckAxes();
    const GenerateSettings base = flags_.batch.generate.SettingsWithoutSeed().settings;
    if (base.batch != 1)
      throw Error(ErrorCode::kUsage, "a grid has one picture a cell, no --batch");
    const Prompts prompts{base.prompt, base.negative.value_or("")};
    const bool seeds = grid_.x.key == "seed" || grid_.y.key == "seed" || grid_.z.key == "seed";
    const uint64_t seed = base.seed.value_or(RandomSeed());
    if (!seeds) PrintNote("seed " + std::to_string(seed));
    file_.name = "grid";
    for (size_t z = 0; z < grid_.z.values.size(); ++z) {
      for (size_t y = 0; y < grid_.y.values.size(); ++y) {
        for (size_t x = 0; x < grid_.x.values.size(); ++x) {
          JobLine line;
          line.line = static_cast<int64_t>(file_.lines.size()) + 1;
          line.settings.emplace_back("seed", std::to_string(seed));
          Prompts own = prompts;
          Apply(grid_.z, z, &own, &line.settings);
          Apply(grid_.y, y, &own, &line.settings);
          Apply(grid_.x, x, &own, &line.settings);
          file_.lines.push_back(std::move(line));
        }
      }
    }
    for (const GridAxis* axis : {&grid_.x, &grid_.y, &grid_.z}) {
      if (axis->key == "prompt~" && !prompts.Have(axis->values[0])) {
        throw Error(ErrorCode::kUsage, "axis prompt~: '" + axis->values[0] +
                                           "' is in neither prompt; give one with --prompt");
      }
    }
    JobLimit limit(kMostCells);
    JobResolver resolver(flags_.batch, shard_);
    resolver.Add(file_, limit);
    jobs_ = resolver.Take();
    ENSURE(jobs_.size() == file_.lines.size());
    for (const ResolvedJob& job : jobs_) {
      if (job.code == kExitUsage) throw Error(ErrorCode::kUsage, job.error);
    }
    grid_.cells.resize(jobs_.size());
    numbers_.resize(jobs_.size());
  }

  void CheckAxes() const {
    if (!flags_.x && !flags_.y && !flags_.z) {
      throw Error(ErrorCode::kUsage, "name an axis: --x KEY=VALUES; see fovea grid --help");
    }
    std::set<std::string> keys;
    for (const GridAxis* axis : {&grid_.x, &grid_.y, &grid_.z}) {
      if (!axis->key.empty() && !keys.insert(axis->key).second) {
        throw Error(ErrorCode::kUsage, "axis " + axis->key + ": is given twice");
      }
    }
    const auto count = [](const GridAxis& axis) { return static_cast<double>(axis.values.size()); };
    const double cells = count(grid_.x) * count(grid_.y) * count(grid_.z);
    if (cells > static_cast<double>(kMostCells)) {
      throw Error(ErrorCode::kUsage, "a grid has at most " + std::to_string(kMostCells) +
                                         " cells, this one has " +
                                         std::to_string(static_cast<int64_t>(cells)));
    }
  }

  void CheckPixels() {
    int width = 1, height = 1;
    for (const ResolvedJob& job : jobs_) {
      if (!job.error.empty()) continue;
      try {
        const GenerateSettings settings = renderer_.Resolve(job);
        width = std::max(width, settings.width);
        height = std::max(height, settings.height);
      } catch (const Error&) {
        // The cell says what is wrong with it.
      }
    }
    const int64_t pixels = GridPixels(grid_, width, height);
    if (pixels > flags_.max_pixels.value_or(kMostPixels)) {
      throw Error(ErrorCode::kUsage, "the grid would have " + std::to_string(pixels) +
                                         " pixels; raise --max-pixels, or write -o grid.csv");
    }
  }

  void RenderCells(bool measure) {
    std::vector<size_t> order(jobs_.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return jobs_[a].model_key < jobs_[b].model_key; });
    std::set<std::tuple<std::string, int, int>> warm;
    for (size_t done = 0; done < order.size(); ++done) {
      const size_t index = order[done];
      const ResolvedJob& job = jobs_[index];
      GridCell& cell = grid_.cells[index];
      numbers_[index].seed = job.settings.seed;
      try {
        if (!job.error.empty()) throw Error(ErrorCode::kBadFile, job.error);
        if (!TakeKept(job, &cell, &numbers_[index])) {
          const bool first =
              measure &&
              warm.insert({job.model_key, job.settings.width, job.settings.height}).second;
          if (first) Render(job);
          Measure(job, &cell, &numbers_[index]);
        }
      } catch (const Error& error) {
        if (error.code == ErrorCode::kDevice || writing_) throw;
        cell.image.reset();
        cell.error = OneLine(error.what());
        PrintNote("fovea: cell " + std::to_string(index + 1) + ": " + cell.error);
      }
      PrintNote("cell " + std::to_string(done + 1) + "/" + std::to_string(order.size()));
    }
  }

  // A cell of an earlier run.
  bool TakeKept(const ResolvedJob& job, GridCell* cell, CellNumbers* numbers) {
    if (!folder_) return false;
    const fs::path path = folder_->PathOf(job.path);
    std::error_code error;
    if (!fs::exists(path, error) || WhyNotFinished(path, job.settings, job.prompt_given)) {
      return false;
    }
    cell->image = ReadPng(path);
    numbers->file = path.string();
    if (text_.empty()) text_ = ReadPngText(path);
    return true;
  }

  RenderedJob Render(const ResolvedJob& job) {
    GenerateHooks hooks;
    hooks.stop = signals_.Token();
    RenderedJob made = renderer_.Render(job, hooks);
    if (made.cancelled) throw Cancelled{};
    return made;
  }

  void Measure(const ResolvedJob& job, GridCell* cell, CellNumbers* numbers) {
    // The high-water mark of memory begins anew; where that is not allowed it is the process's.
    std::ofstream("/proc/self/clear_refs") << "5";
    std::vector<double> seconds, denoise;
    RenderedJob made;
    for (int64_t i = 0; i < flags_.repeat.value_or(1); ++i) {
      made = Render(job);
      const Timings& t = made.timings;
      seconds.push_back(t.text + t.encode + t.denoise + t.decode);
      denoise.push_back(t.denoise);
    }
    numbers->seconds = Median(seconds);
    numbers->denoise_seconds = Median(denoise);
    numbers->peak_memory_mb = static_cast<double>(PeakMemoryBytes()) / 1e6;
    numbers->gflop = made.gflop;
    if (text_.empty()) text_ = made.text;
    if (folder_) {
      writing_ = true;
      std::error_code error;
      const fs::path path = folder_->PathOf(job.path);
      folder_->Put(job.path, made.image, made.text, fs::exists(path, error));
      writing_ = false;
      numbers->file = path.string();
    }
    cell->image = std::move(made.image);
  }

  static double Median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const size_t half = values.size() / 2;
    return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  }

  // The first cell's, and that this is a grid.
  PngText Text() const {
    PngText text = text_;
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    if (const auto found = text.find("fovea"); found != text.end()) {
      json = nlohmann::ordered_json::parse(found->second);
    }
    nlohmann::ordered_json axes = nlohmann::ordered_json::object();
    for (const auto& [name, axis] : {std::pair{"x", &grid_.x}, {"y", &grid_.y}, {"z", &grid_.z}}) {
      if (!axis->key.empty()) axes[name] = {{"key", axis->key}, {"values", axis->values}};
    }
    nlohmann::ordered_json cells = nlohmann::ordered_json::array();
    for (const ResolvedJob& job : jobs_) {
      GenerateSettings settings = job.settings;
      settings.model = fs::path(settings.model).filename().string();
      settings.lora.clear();
      settings.overlay.clear();
      cells.push_back(SettingsToJson(settings));
    }
    json["grid"] = {{"axes", axes}, {"cells", cells}};
    text["fovea"] = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return text;
  }

  const GridFlags& flags_;
  const StopSignals signals_;
  const Provenance here_;
  const Shard shard_;
  JobFile file_;
  JobRenderer renderer_;
  std::vector<ResolvedJob> jobs_;
  Grid grid_;
  std::vector<CellNumbers> numbers_;
  std::optional<PictureFolder> folder_;
  PngText text_;  // of the first cell
  bool writing_ = false;
};

int RunGrid(const GridFlags& flags) {
  const GenerateFlags& generate = flags.batch.generate;
  for (const auto& [name, value] : {std::pair{"--dump", &generate.dump},
                                    {"--save-latents", &generate.save_latents},
                                    {"--trace", &generate.trace}}) {
    if (*value) {
      throw Error(ErrorCode::kUsage, std::string(name) + " is of one run; use fovea generate");
    }
  }
  generate.common.Apply(true);
  return GridRun(flags).Run();
}

}  // namespace

Command GridCommand() {
  const auto flags = std::make_shared<GridFlags>();
  return {"grid", "compare settings in one picture or table",
          [flags](Flags& parser) { flags->Add(parser); }, [flags] { return RunGrid(*flags); }};
}

}  // namespace fovea
