// `fovea`: the command line. Opens no window.
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "app/cli_commands/commands.h"
#include "app/flags/cli_args.h"
#include "app/process/exit_code.h"
#include "app/process/passive_waits.h"
#include "app/process/standard_streams.h"
#include "tensor/machine/instruction_set.h"

namespace fovea {
namespace {

int RunProgram(int argc, char** argv) {
  CommandLine line;
  line.program = "fovea";
  line.version = FOVEA_VERSION;
  line.about = "Runs image models and looks into their attention layers.";
  line.commands = {GenerateCommand(), BatchCommand(),      ForwardCommand(),
                   InfoCommand(),     BenchModelCommand(), BenchAttentionCommand(),
                   AttendCommand(),   ClassifyCommand(),   EmbedCommand(),
                   InspectCommand(),  HuntCommand(),       HeadsCommand()};
  const Command* command = ParseArguments(line, argc, argv);
  const int code = command == nullptr ? kExitDone : command->run();
  // A full disk behind standard output shows only here. A reader that left, or a closed output, is
  // no reason to call finished work a failure.
  if (std::fflush(stdout) != 0 && errno != EPIPE && errno != EBADF) {
    throw Error(ErrorCode::kBadFile, std::string("standard output: ") + std::strerror(errno));
  }
  return code;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  fovea::OpenStandardStreams();
  fovea::RestartWithPassiveWaits(argv);
  try {
    fovea::UsedInstructionSet();  // a wrong FOVEA_ISA is said before anything is done
    return fovea::RunProgram(argc, argv);
  } catch (...) {
    const fovea::Failure failure = fovea::DescribeCurrentException();
    std::fprintf(stderr, "fovea: %s\n", failure.message.c_str());
    return failure.code;
  }
}
