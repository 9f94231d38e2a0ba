// `fovea-studio`: the desktop program.
#include <cstdio>
#include <memory>

#include "app/flags/cli_args.h"
#include "app/output_files.h"
#include "app/process/exit_code.h"
#include "app/process/passive_waits.h"
#include "app/studio/desk.h"
#include "pipelines/pictures/formats/png_file.h"
#include "tensor/machine/instruction_set.h"
#include "tensor/machine/threads.h"
#include "ui/window/window.h"

namespace fovea {
namespace {

struct StudioFlags {
  std::optional<std::string> data, widgets, frames;
  std::vector<std::string> models;
  std::optional<int64_t> threads, width, height, scale;

  void Add(Flags& flags) {
    flags.Text("--data", "DIR", data, "folder of pictures, gallery, queue and history",
               "~/.local/share/fovea");
    flags.TextList("--models", "DIR", models, "look for models here first; may be repeated");
    flags.Whole("-t,--threads", threads, 1, 1024, "threads of the processor", "all cores");
    flags.Whole("--width", width, 1000, 16384, "of the window, in pixels", "as the last time");
    flags.Whole("--height", height, 640, 16384, "of the window, in pixels", "as the last time");
    flags.Whole("--scale", scale, 50, 400, "size of letters and controls in percent",
                "as the screen says");
    flags.Text("--widgets", "FILE", widgets, "for tests: write where the controls are");
    flags.Text("--frames", "FILE", frames, "for measurements: write the times of frames, as CSV");
  }
};

int RunStudio(const StudioFlags& flags) {
  if (flags.threads) SetNumThreads(static_cast<int>(*flags.threads));
  DeskOptions desk_options;
  desk_options.data = flags.data ? std::filesystem::path(*flags.data) : DefaultDataFolder();
  desk_options.model_folders = flags.models;
  WindowOptions options;
  options.width = static_cast<int>(flags.width.value_or(options.width));
  options.height = static_cast<int>(flags.height.value_or(options.height));
  options.scale = static_cast<float>(flags.scale.value_or(0)) / 100.0f;
  options.save_picture = [folder = desk_options.data / "screenshots"](const Image& image) {
    OutputFiles files;
    files.MakeFolder(folder);
    WritePng(files.CountUp(folder, "window-", ".png"), image, {});
    files.Commit();
  };
  options.widgets = flags.widgets.value_or("");
  options.frames = flags.frames.value_or("");
  Window window(options);
  Desk desk(desk_options, [&window] { window.Wake(); });
  window.Run({[&desk] { return desk.Current(); },
              [&desk](StudioCommand command) { desk.Post(std::move(command)); }});
  return kExitDone;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  fovea::RestartWithPassiveWaits(argv);
  try {
    fovea::UsedInstructionSet();
    fovea::StudioFlags flags;
    fovea::CommandLine line;
    line.program = "fovea-studio";
    line.version = FOVEA_VERSION;
    line.about = "Fovea's desktop program: create pictures, swap attention, compare, keep.";
    line.commands = {{"", "", [&flags](fovea::Flags& parser) { flags.Add(parser); },
                      [&flags] { return fovea::RunStudio(flags); }}};
    const fovea::Command* command = fovea::ParseArguments(line, argc, argv);
    return command == nullptr ? fovea::kExitDone : command->run();
  } catch (const fovea::NoWindow& error) {
    std::fprintf(stderr, "fovea-studio: %s\n", error.what());
    return fovea::kExitDevice;
  } catch (...) {
    const fovea::Failure failure = fovea::DescribeCurrentException();
    std::fprintf(stderr, "fovea-studio: %s\n", failure.message.c_str());
    return failure.code;
  }
}
